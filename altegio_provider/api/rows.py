"""Parses the responses of both route families to rows of one shape.

The shape is the flat one of ``companies``: a dict with ``id`` (an integer, as are the ids that it refers to), the
event's own fields, and nested ``staff``, ``service``, ``labels`` and ``resource_instances``. A JSON:API resource of
``locations`` is flattened, and its ``included`` resources are joined to it. Appointments have the same shape, with
``client``, ``staff`` and ``comer``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from altegio_provider.api.errors import AltegioResponseError
from altegio_provider.api.http.responses import invalid_response
from altegio_provider.api.routes import ListPage, Row
from altegio_provider.common.integers import integer_or_none

__all__ = ["parse_page", "parse_resource"]


def parse_page(document: Mapping[str, Any], path: str) -> ListPage:
    """Return the rows of a list response.

    :param document: the response's JSON document.
    :param path: the request's path, for the error.
    :raises AltegioResponseError: ``data`` is not a list of objects.
    """
    data = document.get("data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise AltegioResponseError(
            "invalid response: `data` is not a list of objects.",
            method="GET",
            path=path,
            status=200,
        )
    meta = document.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    total = pagination.get("total") if isinstance(pagination, dict) else None
    included = _by_reference(document.get("included"))
    rows = [_row(row, included) for row in data]
    return ListPage(rows, total if isinstance(total, int) and not isinstance(total, bool) else None)


def parse_resource(document: Mapping[str, Any], method: str, path: str) -> Row:
    """Return the row of a response with one resource.

    :param document: the response's JSON document.
    :param method: the request's HTTP method.
    :param path: the request's path, for the error.
    :raises AltegioResponseError: ``data`` is not an object, or a created resource has no id.
    """
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise invalid_response(method, path, 200, "`data` is not an object")
    row = _row(data, _by_reference(document.get("included")))
    if method == "POST" and not isinstance(row.get("id"), int):
        raise invalid_response(method, path, 200, "the created resource has no id")
    return row


#: Fields that are integers, although they may come as text.
_IDS = ("id", "activity_id", "staff_id", "service_id", "client_id")


def _row(data: Row, included: Mapping[tuple[str, str], Row]) -> Row:
    row = flat_row(data, included) if "attributes" in data else data
    numbers = {name: _number(row[name]) for name in _IDS if type(row.get(name)) is str}
    return {**row, **numbers} if numbers else row


#: Included resources that no relationship links, only an id.
_LINKED_BY_ID = ("client", "staff")


def flat_row(resource: Mapping[str, Any], included: Mapping[tuple[str, str], Row]) -> Row:
    """Flatten a JSON:API resource: its id as a number, its attributes, and the resources that it refers to.

    :param resource: the resource.
    :param included: the response's other resources, by type and id.
    """
    attributes = resource.get("attributes")
    row: Row = {**(attributes if isinstance(attributes, dict) else {}), "id": _number(resource.get("id"))}
    relationships = resource.get("relationships")
    for name, relationship in relationships.items() if isinstance(relationships, dict) else ():
        linked = relationship.get("data") if isinstance(relationship, dict) else None
        if isinstance(linked, dict):
            row.setdefault(name, _joined(linked, included))
        elif isinstance(linked, list):
            row.setdefault(name, [_joined(one, included) for one in linked])
    for name in _LINKED_BY_ID:
        tie = (name, str(row.get(f"{name}_id")))
        if name not in row and tie in included:
            row[name] = included[tie]
    return row


def _joined(reference: Any, included: Mapping[tuple[str, str], Row]) -> Any:
    if not isinstance(reference, dict):
        return reference
    key = (str(reference.get("type")), str(reference.get("id")))
    return included.get(key, {"id": _number(reference.get("id"))})


def _by_reference(included: Any) -> dict[tuple[str, str], Row]:
    resources: Iterable[Any] = included if isinstance(included, list) else ()
    return {
        (str(one.get("type")), str(one["id"])): flat_row(one, {})
        for one in resources
        if isinstance(one, dict) and one.get("id") is not None
    }


def _number(value: Any) -> Any:
    number = integer_or_none(value)
    return value if number is None else number
