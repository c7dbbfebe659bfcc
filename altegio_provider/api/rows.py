"""Parses the responses of both route families to rows of one shape.

The shape is the flat one of ``companies``: a dict with ``id`` (an integer, as are the ids that it refers to), the
event's own fields, and nested ``staff``, ``service``, ``labels`` and ``resource_instances``. A JSON:API resource of
``locations`` is flattened, and its ``included`` resources are joined to it. Appointments have the same shape, with
``client``, ``staff`` and ``comer``.

Some included resources have ``"type": null``. Such a resource is joined only where its id can mean one thing: where no
relationship of another kind refers to the same id, and no second resource without a type has it. Otherwise the row
gets the bare id: the name of a tag must not become the name of a team member.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from altegio_provider.api.errors import AltegioResponseError
from altegio_provider.api.http.responses import invalid_response
from altegio_provider.api.routes import ListPage, Row
from altegio_provider.common.integers import integer_or_none

__all__ = ["pagination_of", "parse_page", "parse_resource"]


def parse_page(document: Mapping[str, Any], path: str, asked: Sequence[str] = ()) -> ListPage:
    """Return the rows of a list response.

    :param document: the response's JSON document.
    :param path: the request's path, for the error.
    :param asked: the relationships that the request asked for.
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
    included = _Included(document.get("included"), data)
    rows = [_row(row, included) for row in data]
    missing = tuple(name for name in asked if rows and not included.shows(name, data))
    return ListPage(rows, pagination_of(document).get("total"), missing)


def pagination_of(document: Mapping[str, Any]) -> Mapping[str, int]:
    """Return the whole numbers that a list response has in ``meta.pagination``.

    :param document: the response's JSON document.
    """
    meta = document.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    fields = pagination.items() if isinstance(pagination, dict) else ()
    return {name: value for name, value in fields if type(value) is int}


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
    row = _row(data, _Included(document.get("included"), [data]))
    if method == "POST" and not isinstance(row.get("id"), int):
        raise invalid_response(method, path, 200, "the created resource has no id")
    return row


#: What is a number, though it may come as text.
_IDS = ("id", "activity_id", "staff_id", "service_id", "client_id")
#: Included resources that no relationship links, only an id.
_LINKED_BY_ID = ("client", "staff")
#: What a row refers to by an attribute, where it has no relationship to it.
_WITH_AN_ID = ("client", "comer", "service", "staff")
#: The types that the resources of a relationship have, where they are not called as it is.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "master": ("staff",),
    "services": ("service",),
    "labels": ("label", "tag"),
    "resource_instances": ("resource_instance",),
    "comer": ("comer", "client"),
    "goods": ("good",),
    "transactions": ("transaction",),
    "attendance_service_items": ("attendance_service_item",),
    "attendance_good_items": ("attendance_good_item",),
}
#: The relationships that refer to the same things under two names.
_KINDS = {"master": "staff", "services": "service"}


class _Included:
    """The included resources of a response, by what can refer to them.

    :param included: the resources, as they came.
    :param data: the resources that refer to them.
    """

    def __init__(self, included: Any, data: Iterable[Row]) -> None:
        self._typed: dict[tuple[str, str], Row] = {}
        self._untyped: dict[str, Row] = {}
        several: set[str] = set()
        for one in included if isinstance(included, list) else ():
            if not isinstance(one, dict) or one.get("id") is None:
                continue
            row, number = _flat_row(one, None), str(one["id"])
            if one.get("type") is not None:
                self._typed[str(one["type"]), number] = row
            elif self._untyped.setdefault(number, row) != row:
                several.add(number)
        for number in several:
            del self._untyped[number]
        if self._untyped:
            self._drop_ambiguous(data)

    def _drop_ambiguous(self, data: Iterable[Row]) -> None:
        """Drop each resource without a type to whose id relationships of several kinds refer."""
        kinds: dict[str, set[str]] = defaultdict(set)
        for resource in data:
            for name, reference in _references(resource):
                if self._of_type(name, reference) is None:
                    kinds[str(reference.get("id"))].add(_KINDS.get(name, name))
            attributes, relationships = resource.get("attributes"), resource.get("relationships")
            ids = attributes if isinstance(attributes, dict) else {}
            for name in _WITH_AN_ID:
                if not isinstance(relationships, dict) or name not in relationships:
                    kinds[str(ids.get(f"{name}_id"))].add(name)
        for number in [number for number in self._untyped if len(kinds[number]) > 1]:
            del self._untyped[number]

    def _of_type(self, name: str, reference: Row) -> Row | None:
        """Return the resource of the type that a reference names, or else of one of the relationship's types."""
        number = str(reference.get("id"))
        types = _TYPES.get(name, (name,)) if reference.get("type") is None else (str(reference["type"]),)
        return next((self._typed[key] for kind in types if (key := (kind, number)) in self._typed), None)

    def find(self, name: str, reference: Row) -> Row | None:
        """Return the resource that a reference of a relationship points to; ``None`` where it is not told."""
        found = self._of_type(name, reference)
        return self._untyped.get(str(reference.get("id"))) if found is None else found

    def linked_by_id(self, name: str, number: Any) -> Row | None:
        """Return what a row names by an id alone."""
        return self._typed.get((name, str(number)))

    def shows(self, name: str, data: Iterable[Row]) -> bool:
        """Whether a relationship that was asked for is in one of the resources, with what it points to, if anything."""
        name, is_there, has_references = name.partition(".")[0], False, False
        for resource in data:
            attributes = resource.get("attributes")
            attributes = attributes if isinstance(attributes, dict) else {}
            if isinstance(resource.get(name, attributes.get(name)), dict | list):
                return True
            if name in _LINKED_BY_ID and self.linked_by_id(name, attributes.get(f"{name}_id")) is not None:
                return True
            relationships = resource.get("relationships")
            if not isinstance(relationships, dict):
                continue
            is_there |= name in relationships
            for _, reference in _references({"relationships": {name: relationships.get(name)}}):
                has_references = True
                if self.find(name, reference) is not None:
                    return True
        return is_there and not has_references


def _row(data: Row, included: _Included) -> Row:
    row = _flat_row(data, included) if "attributes" in data else data
    numbers = {name: _number(row[name]) for name in _IDS if type(row.get(name)) is str}
    return {**row, **numbers} if numbers else row


def _flat_row(resource: Mapping[str, Any], included: _Included | None) -> Row:
    """Flatten a JSON:API resource: its id as a number, its attributes, and the resources it refers to."""
    attributes = resource.get("attributes")
    row: Row = {**(attributes if isinstance(attributes, dict) else {}), "id": _number(resource.get("id"))}
    relationships = resource.get("relationships")
    for name, relationship in relationships.items() if isinstance(relationships, dict) else ():
        linked = relationship.get("data") if isinstance(relationship, dict) else None
        if isinstance(linked, dict):
            row.setdefault(name, _joined(name, linked, included))
        elif isinstance(linked, list):
            row.setdefault(name, [_joined(name, one, included) for one in linked])
    if included is not None:
        for name in _LINKED_BY_ID:
            if name not in row and (linked := included.linked_by_id(name, row.get(f"{name}_id"))) is not None:
                row[name] = linked
    return row


def _joined(name: str, reference: Any, included: _Included | None) -> Any:
    if not isinstance(reference, dict):
        return reference
    found = included.find(name, reference) if included is not None else None
    return {"id": _number(reference.get("id"))} if found is None else found


def _references(resource: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """Yield each reference of a resource, with the name of its relationship."""
    relationships = resource.get("relationships")
    for name, relationship in relationships.items() if isinstance(relationships, dict) else ():
        linked = relationship.get("data") if isinstance(relationship, dict) else None
        for one in linked if isinstance(linked, list) else [linked]:
            if isinstance(one, dict):
                yield name, one


def _number(value: Any) -> Any:
    number = integer_or_none(value)
    return value if number is None else number
