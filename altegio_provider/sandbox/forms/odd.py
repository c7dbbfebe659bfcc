"""What some faults make of rows, of the metadata of a page, and of requests with many rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from altegio_provider.sandbox.settings import Call

__all__ = ["odd_meta", "odd_resource", "odd_row", "rows_are_odd", "rows_let_through"]

_Row = TypeVar("_Row")


def rows_are_odd(call: Call) -> bool:
    """Whether a fault changes rows, so that the ones that are kept cannot be sent."""
    return bool(call.effects.keys() & {"wrong_offset", "dates", "wrong_timestamp"})


def odd_row(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """Change a flat event as the faults want it."""
    if "wrong_offset" in call.effects:
        row["datetime"] = row["datetime"][:-5] + call.effects["wrong_offset"].get("offset", "+0000")
    form = call.effects.get("dates", {}).get("form")
    if form == "iso":
        row["date"] = row["datetime"]
    elif form == "milliseconds":
        row["date"] = row["date"].replace(" ", "T") + ".000"
    elif form == "colon":
        row["date"] = row["datetime"][:-2] + ":" + row["datetime"][-2:]
    return _with_timestamp(call, row, row["id"])


def odd_resource(call: Call, resource: dict[str, Any]) -> dict[str, Any]:
    """Change an event or appointment of `locations` as the faults want it."""
    _with_timestamp(call, resource["attributes"], int(resource["id"]))
    return resource


def _with_timestamp(call: Call, fields: dict[str, Any], number: int) -> dict[str, Any]:
    params = call.effects.get("wrong_timestamp")
    if params is not None and number % int(params.get("each", 1)) == 0:
        fields["timestamp"] += int(params.get("by", 7200))
    return fields


def rows_let_through(rows: list[_Row], partial: Mapping[str, Any] | None) -> list[_Row]:
    """The rows of a request that take effect: all of them, the first ones (half), or those at the places of a fault.

    :param partial: the fault ``partial_effect``, if there is one.
    """
    if partial is None:
        return rows
    wanted = partial.get("rows", len(rows) // 2)
    return [rows[place] for place in wanted if place < len(rows)] if isinstance(wanted, list) else rows[: int(wanted)]


def odd_meta(call: Call, pagination: dict[str, Any], asked: int) -> Any:
    """Return the ``meta`` of a page; ``None`` for none.

    :param pagination: the true one.
    :param asked: the ``limit`` of the request.
    """
    params = call.effects.get("meta")
    if params is None:
        return {"pagination": pagination}
    form = params.get("form", "absent")
    if form == "list":
        return []
    if form == "empty":
        return {}
    if form == "asked":
        return {"pagination": {**pagination, "limit": asked}}
    if form in ("wrong", "changing") and "total" in pagination:
        by = params.get("by", -50) if form == "wrong" else (call.number % 7 - 3) * 40
        return {"pagination": {**pagination, "total": max(0, pagination["total"] + int(by))}}
    return {"pagination": pagination} if form in ("wrong", "changing") else None
