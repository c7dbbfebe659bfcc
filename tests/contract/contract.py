"""The OpenAPI document as a judge of what went over the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.contract.wiretap import BASE, Exchange

__all__ = [
    "DOCUMENT",
    "OPERATIONS",
    "WITHOUT_CLIENT",
    "Contract",
    "Operation",
    "each_operation",
    "each_operation_of_the_client",
]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "altegio-b2b-v2.openapi.yaml"
_METHODS = ("get", "post", "put", "patch", "delete")
_HOST = "https://api.alteg.io"


@dataclass(frozen=True)
class Operation:
    """One operation of the document.

    :param base: where the routes of its version of the API begin.
    :param family: ``companies`` or ``locations``, or ``v1``.
    :param name: the client's method.
    """

    id: str
    method: str
    path: str
    statuses: tuple[str, ...]
    base: str = BASE

    @property
    def family(self) -> str:
        return self.path.split("/")[1] if self.base == BASE else "v1"

    @property
    def name(self) -> str:
        return self.id.removesuffix(f"_{self.family}")

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def __str__(self) -> str:
        return self.id


def _read() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(DOCUMENT.read_bytes(), Loader=yaml.CSafeLoader)
    return document


def _operations_of(document: dict[str, Any]) -> dict[str, Operation]:
    """The operations of a document by their id."""
    found = [
        Operation(
            item[method]["operationId"],
            method.upper(),
            path,
            tuple(map(str, item[method]["responses"])),
            urlsplit(item["servers"][0]["url"]).path if "servers" in item else BASE,
        )
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    return {operation.id: operation for operation in found}


#: The operations of the document by their id.
OPERATIONS = _operations_of(_read())

#: What the client has no method for yet.
WITHOUT_CLIENT = {"get_location", "list_locations"}


def _each(operations: Iterable[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("family", "operation"),
        [pytest.param(one.family, one, id=one.id) for one in operations],
        indirect=["family"],
    )


#: A test with ``family`` and ``operation`` for each operation.
each_operation = _each(OPERATIONS.values())
#: The same for those that the client has a method for.
each_operation_of_the_client = _each(one for one in OPERATIONS.values() if one.name not in WITHOUT_CLIENT)


@dataclass
class _Request:
    """An exchange's request in the form that the validator reads."""

    exchange: Exchange

    def __post_init__(self) -> None:
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(self.exchange.query), header=Headers(list(self.exchange.headers.items()))
        )
        self.host_url = _HOST
        self.path = self.exchange.base + self.exchange.path
        self.method = self.exchange.method.lower()
        self.body = self.exchange.body or None
        self.content_type = self.exchange.headers.get("content-type", "").lower()


@dataclass
class _Answer:
    """An exchange's answer in the form that the validator reads."""

    exchange: Exchange

    def __post_init__(self) -> None:
        self.status_code = self.exchange.status
        self.headers = Headers(list(self.exchange.answer_headers.items()))
        self.content_type = self.exchange.answer_headers.get("content-type", "").lower()
        self.data = self.exchange.answer


class Contract:
    """The document, and what does not fit it."""

    def __init__(self) -> None:
        self.document = _read()
        self._validator = OpenAPI.from_dict(self.document)
        self.operations = OPERATIONS
        self._patterns = [
            (operation, re.compile(re.sub(r"{\w+}", "[^/]+", operation.path))) for operation in self.operations.values()
        ]

    def operation_of(self, exchange: Exchange) -> Operation | None:
        """The operation that a request is one of."""
        for operation, pattern in self._patterns:
            is_meant = (operation.method, operation.base) == (exchange.method, exchange.base)
            if is_meant and pattern.fullmatch(exchange.path):
                return operation
        return None

    def complaint_about_request(self, exchange: Exchange) -> str | None:
        """What in a request does not fit; ``None`` for nothing. What the document does not name does not fit either."""
        operation = self.operation_of(exchange)
        if operation is None:
            return f"{exchange}: there is no such operation"
        try:
            self._validator.validate_request(_Request(exchange))
        except OpenAPIError as error:
            return f"{exchange}: {_reasons(error)}"
        unknown = [*self._unknown_query(operation, exchange), *self._unknown_fields(operation, exchange)]
        return f"{exchange}: the document does not name {', '.join(unknown)}" if unknown else None

    def complaint_about_answer(self, exchange: Exchange) -> str | None:
        """What in an answer does not fit; ``None`` for nothing."""
        if exchange.status >= 500 and not exchange.answer:
            return None  # proxies answer with nothing, which OpenAPI has no word for
        try:
            self._validator.validate_response(_Request(exchange), _Answer(exchange))
        except OpenAPIError as error:
            return f"{exchange}: {_reasons(error)}: {exchange.answer[:500]!r}"
        return None

    def complaint_about_body(self, schema_name: str, body: Any) -> str | None:
        """What in a body does not fit a schema of the document, or is not named in it; ``None`` for nothing."""
        from openapi_schema_validator import OAS31Validator

        schema = {"$ref": f"#/components/schemas/{schema_name}", "components": self.document["components"]}
        errors = [f"{error.json_path}: {error.message}" for error in OAS31Validator(schema).iter_errors(body)]
        return "; ".join([*errors, *self._unnamed(schema, body, "")]) or None

    def _entry(self, operation: Operation) -> dict[str, Any]:
        entry: dict[str, Any] = self.document["paths"][operation.path][operation.method.lower()]
        return entry

    def _unknown_query(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        named = {one["name"]: one for one in map(self._resolved, self._entry(operation).get("parameters", []))}
        names = [name for name, _ in exchange.query]
        for name in dict.fromkeys(names):
            if name not in named:
                yield name
            elif names.count(name) > 1 and not self._is_repeated(named[name]):
                yield f"a second {name}"

    def _is_repeated(self, parameter: dict[str, Any]) -> bool:
        is_array = self._resolved(parameter["schema"]).get("type") == "array"
        return is_array and bool(parameter.get("explode", True))

    def _unknown_fields(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        if exchange.body:
            schema = self._entry(operation)["requestBody"]["content"]["application/json"]["schema"]
            yield from self._unnamed(schema, json.loads(exchange.body), "")

    def _unnamed(self, schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
        if isinstance(value, list):
            items = [part["items"] for part in self._parts(schema) if "items" in part]
            for one in value:
                for item in items:
                    yield from self._unnamed(item, one, where)
        if not isinstance(value, dict):
            return
        properties = {name: of for part in self._parts(schema) for name, of in part.get("properties", {}).items()}
        if not properties:
            return  # an object of which nothing is said
        for name, inner in value.items():
            if name not in properties:
                yield where + name
            elif isinstance(properties[name], dict):
                yield from self._unnamed(properties[name], inner, f"{where}{name}.")

    def _parts(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        schema = self._resolved(schema)
        yield schema
        for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
            yield from self._parts(part)

    def _resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in thing:
            return thing
        found: Any = self.document
        for step in thing["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return self._resolved(found)


def _reasons(error: BaseException) -> str:
    """The innermost reasons of a validator's error, whose own text is a general one."""
    inner = [str(one.message) for one in getattr(error, "schema_errors", ())]
    if inner:
        return "; ".join(inner)
    return _reasons(error.__cause__) if error.__cause__ else str(error)
