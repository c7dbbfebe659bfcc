"""Decides which appointment, if any, a booking created whose response was lost. It sends no requests.

The API may show a client incompletely: ``client.id`` can be empty for seconds after booking, phones are masked or
missing for users without the right to see them, and the name can be the one that the location has for that phone. So
the comparison of two clients has more than two results. If an uncertain appointment could be the booking, the verdict
is undecided: a row in doubt costs a person a look, a row that is sent twice is an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from altegio_provider.imports.matching.identity import are_named_alike, compare_emails, compare_phones, is_clear_phone
from altegio_provider.imports.model import normalized_text

__all__ = ["Absent", "Found", "LostBooking", "Undecided", "Verdict", "match"]

Row = Mapping[str, Any]


class LostBooking(NamedTuple):
    """A booking to search for.

    :param key: the key of the row.
    :param client: the client as it was sent.
    :param seats: the number of seats.
    :param comer: the visitor who comes in the client's place.
    """

    key: str
    client: Mapping[str, Any]
    seats: int
    comer: Mapping[str, Any] | None = None


class Found(NamedTuple):
    """Verdict: the booking was created as this appointment.

    :param record_id: the appointment.
    :param remark: a remark for the report.
    """

    record_id: int
    remark: str = ""


class Absent(NamedTuple):
    """Verdict: the booking was certainly not created."""


class Undecided(NamedTuple):
    """Verdict: it is unknown whether the booking was created.

    :param reason: the reason, for the report.
    :param retryable: whether a later search may help.
    """

    reason: str
    retryable: bool


Verdict = Found | Absent | Undecided


class _ClientMatch(Enum):
    NO = 0
    HIDDEN = 1  # the fields to compare are not shown, or differ but may have been changed since
    INCOMPLETE = 2  # the fields to compare are not there yet
    YES = 3


def match(sought: Sequence[LostBooking], records: Iterable[Row], taken: Collection[int]) -> dict[str, Verdict]:
    """Return the verdict on each booking.

    :param sought: bookings of one event, in the order in which they were sent.
    :param records: the appointments that the API shows, flat, with ``client`` and ``comer`` joined.
    :param taken: the appointments that belong to another row; each belongs to one row only.
    """
    free = [row for row in records if row["id"] not in taken]
    alike: dict[tuple[Any, ...], list[LostBooking]] = defaultdict(list)
    for one in sought:
        alike[_identity_of(one)].append(one)
    matches = {one.key: [(_compare(one, row), row) for row in free] for one in sought}
    verdicts: dict[str, Verdict] = {}
    for group in alike.values():
        verdicts.update(_certain_verdicts(group, matches))
    verdicts = _without_conflicts(verdicts)
    found = {verdict.record_id for verdict in verdicts.values() if isinstance(verdict, Found)}
    for one in sought:
        if one.key not in verdicts:
            verdicts[one.key] = _verdict_without_match(
                {match_ for match_, row in matches[one.key] if row["id"] not in found}
            )
    return verdicts


def _identity_of(sought: LostBooking) -> tuple[Any, ...]:
    """Return the values that identify a booking. Members of a family can share them; then their names decide."""
    client = sought.client
    return client.get("id"), client.get("phone") or normalized_text(client.get("email") or ""), sought.seats


def _certain_verdicts(
    group: list[LostBooking], matches: Mapping[str, list[tuple[_ClientMatch, Row]]]
) -> dict[str, Verdict]:
    """Return verdicts on bookings with equal identity, as far as appointments certainly match them."""
    could_be = {one.key: [row for match_, row in matches[one.key] if match_ is _ClientMatch.YES] for one in group}
    left = {row["id"] for rows in could_be.values() for row in rows}
    if len(left) > len(group):
        reason = f"several appointments of this client match: {', '.join(map(str, sorted(left)))}"
        return {one.key: Undecided(reason, retryable=False) for one in group}
    verdicts: dict[str, Verdict] = {}
    for is_fit in (_is_named_alike, lambda _one, _row: True):
        for one in group:
            fit = [row["id"] for row in could_be[one.key] if row["id"] in left and is_fit(one, row)]
            if fit and one.key not in verdicts:
                left.remove(fit[0])
                verdicts[one.key] = Found(int(fit[0]))
    return verdicts


def _verdict_without_match(matches: set[_ClientMatch]) -> Verdict:
    """Return the verdict on a booking that no appointment certainly matches."""
    if _ClientMatch.INCOMPLETE in matches:
        return Undecided("an appointment of this event does not show its client yet", retryable=True)
    if matches - {_ClientMatch.NO}:
        return Undecided(
            "an appointment of this event may match, but the fields to compare are changed, masked or hidden",
            retryable=False,
        )
    return Absent()


def _without_conflicts(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    """Replace verdicts that give one appointment to two bookings: both are undecided."""
    claims: dict[int, list[str]] = defaultdict(list)
    for key, verdict in verdicts.items():
        if isinstance(verdict, Found):
            claims[verdict.record_id].append(key)
    for record_id, keys in claims.items():
        if len(keys) > 1:
            verdict = Undecided(f"two rows match appointment {record_id}", retryable=False)
            verdicts.update(dict.fromkeys(keys, verdict))
    return verdicts


def _compare(sought: LostBooking, row: Row) -> _ClientMatch:
    matches = _compare_client(sought.client, row)
    seats = row.get("clients_count")
    has_other_seats = seats is not None and seats != sought.seats
    if matches is _ClientMatch.YES and (has_other_seats or not _could_come(sought, row)):
        return (
            _ClientMatch.HIDDEN
        )  # the same client with other seats or another visitor: somebody may have changed them
    return matches


def _compare_client(client: Mapping[str, Any], row: Row) -> _ClientMatch:
    shown = _shown_client(row)
    shown_id = shown.get("id") or row.get("client_id")
    if client.get("id") and shown_id:
        return _ClientMatch.YES if str(client["id"]) == str(shown_id) else _ClientMatch.NO
    if not any(shown.get(name) for name in ("phone", "email", "name", "surname")):
        # A server that knows the client's number and does not join the client will not do so later either.
        is_left_out = not isinstance(row.get("client"), Mapping) and bool(row.get("client_id"))
        return _ClientMatch.HIDDEN if is_left_out else _ClientMatch.INCOMPLETE
    by_phone = compare_phones(client.get("phone"), shown.get("phone"))
    if by_phone is True:
        return _ClientMatch.YES
    if by_phone is False:
        return _ClientMatch.HIDDEN if client.get("id") else _ClientMatch.NO
    by_email = compare_emails(client.get("email"), shown.get("email"))
    if by_email is True and are_named_alike(client, shown):
        return _ClientMatch.YES
    if client.get("id") or client.get("phone") or by_email is True:
        return _ClientMatch.HIDDEN
    # Only an e-mail was sent. A user who may see phones sees e-mails too.
    if by_email is None and not is_clear_phone(shown.get("phone")):
        return _ClientMatch.HIDDEN
    return _ClientMatch.HIDDEN if by_email is None and are_named_alike(client, shown) else _ClientMatch.NO


def _shown_client(row: Row) -> Row:
    joined = row.get("client")
    if isinstance(joined, Mapping) and joined:
        return joined
    # A person who was booked without becoming a client has the name in the appointment itself.
    return {name: row.get(f"client_fictive_{name}") for name in ("name", "phone", "email")}


def _is_named_alike(sought: LostBooking, row: Row) -> bool:
    return are_named_alike(sought.client, _shown_client(row))


def _could_come(sought: LostBooking, row: Row) -> bool:
    """Return whether the shown visitor can be the one that was sent. A parent may book two children."""
    shown = row.get("comer")
    name = normalized_text(str(shown.get("name") or "")) if isinstance(shown, Mapping) else ""
    if sought.comer and sought.comer.get("id"):
        return str(sought.comer["id"]) == str(row.get("comer_id"))
    if row.get("comer_id") and not name:
        return False  # somebody comes, and the server does not show who
    if sought.comer:
        return name == normalized_text(str(sought.comer.get("name") or ""))
    return not name or are_named_alike(sought.client, {"name": name})
