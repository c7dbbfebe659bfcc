"""The one row shape that the answers of both families become.

It is the flat one of ``companies``: a dict with ``id`` (an int, as are the ids of what it refers to), the event's own
fields, and ``staff``, ``service``, ``labels`` and ``resource_instances`` nested in it. A JSON:API resource of
``locations`` is flattened to it, its ``included`` resources joined. Appointments have the same shape, with ``client``,
``staff`` and ``comer``.
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
    """Return the rows of a list answer in the one row shape.

    :raises AltegioResponseError: ``data`` is no list of objects.
    """
    data = document.get("data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise AltegioResponseError(
            "the answer is no valid answer: `data` is no list of objects.",
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
    """Return the one resource of an answer in the flat row shape.

    :raises AltegioResponseError: ``data`` is no object, or what was created has no id.
    """
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise invalid_response(method, path, 200, "`data` is no object")
    row = _row(data, _by_reference(document.get("included")))
    if method == "POST" and not isinstance(row.get("id"), int):
        raise invalid_response(method, path, 200, "what was created has no id")
    return row


#: What is a number, though it may come as text.
_IDS = ("id", "activity_id", "staff_id", "service_id", "client_id")


def _row(data: Row, included: Mapping[tuple[str, str], Row]) -> Row:
    row = flat_row(data, included) if "attributes" in data else data
    numbers = {name: _number(row[name]) for name in _IDS if type(row.get(name)) is str}
    return {**row, **numbers} if numbers else row


#: What an answer may include without a relationship that ties it.
_LINKED_BY_ID = ("client", "staff")


def flat_row(resource: Mapping[str, Any], included: Mapping[tuple[str, str], Row]) -> Row:
    """Flatten a JSON:API resource: its id as a number, its attributes, and the resources it refers to."""
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
