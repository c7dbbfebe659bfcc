"""Which appointment, if any, came of a booking whose answer was lost. Plain values in, a verdict out.

What the API shows of a client may be incomplete: ``client.id`` can be empty for seconds after booking, phones come
masked or not at all to users without the right to see them, and the name may be the one that the location keeps for
that phone. So there are more answers than two to "is this the client?", and whenever a *perhaps* could be the booking
that is looked for, the verdict is that nobody knows: a booking in doubt is a nuisance, one that is sent twice is a
fault.
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
    """A booking that is looked for: its key, the client as it was sent, the seats, and who comes instead."""

    key: str
    client: Mapping[str, Any]
    seats: int
    comer: Mapping[str, Any] | None = None


class Found(NamedTuple):
    """It was made: this is the appointment.

    :param remark: what a person should know of it.
    """

    record_id: int
    remark: str = ""


class Absent(NamedTuple):
    """It surely was not made."""


class Undecided(NamedTuple):
    """Nobody can tell.

    :param reason: why, for a person.
    :param retryable: whether looking again a little later may help.
    """

    reason: str
    retryable: bool


Verdict = Found | Absent | Undecided


class _ClientMatch(Enum):
    NO = 0
    HIDDEN = 1  # what would tell is not shown, or differs in a way that somebody may have changed since
    INCOMPLETE = 2  # what would tell is not there yet
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
    """What an appointment is recognised by. A family may share it: then the names tell, where they can."""
    client = sought.client
    return client.get("id"), client.get("phone") or normalized_text(client.get("email") or ""), sought.seats


def _certain_verdicts(
    group: list[LostBooking], matches: Mapping[str, list[tuple[_ClientMatch, Row]]]
) -> dict[str, Verdict]:
    """Return the verdicts on bookings recognised alike, as far as there are appointments that surely are they."""
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
    """Return the verdict on a booking that none of the appointments surely is, from how like it they are."""
    if _ClientMatch.INCOMPLETE in matches:
        return Undecided("an appointment of this event does not show its client yet", retryable=True)
    if matches - {_ClientMatch.NO}:
        return Undecided(
            "an appointment of this event may match, but the fields to compare are changed, masked or hidden",
            retryable=False,
        )
    return Absent()


def _without_conflicts(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    """An appointment that two different bookings could be is neither's."""
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
        return _ClientMatch.HIDDEN  # the right client with other seats: somebody may have changed them
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
    # The e-mail is all that was sent; who may see phones sees e-mails too.
    if by_email is None and not is_clear_phone(shown.get("phone")):
        return _ClientMatch.HIDDEN
    return _ClientMatch.HIDDEN if by_email is None and are_named_alike(client, shown) else _ClientMatch.NO


def _shown_client(row: Row) -> Row:
    joined = row.get("client")
    if isinstance(joined, Mapping) and joined:
        return joined
    # Who was booked without becoming a client has a name in the appointment itself.
    return {name: row.get(f"client_fictive_{name}") for name in ("name", "phone", "email")}


def _is_named_alike(sought: LostBooking, row: Row) -> bool:
    return are_named_alike(sought.client, _shown_client(row))


def _could_come(sought: LostBooking, row: Row) -> bool:
    """Whether who comes is who was to come, the client or another; a parent may book two children."""
    shown = row.get("comer")
    name = normalized_text(str(shown.get("name") or "")) if isinstance(shown, Mapping) else ""
    if sought.comer and sought.comer.get("id"):
        return str(sought.comer["id"]) == str(row.get("comer_id"))
    if row.get("comer_id") and not name:
        return False  # somebody comes, and the server does not show who
    if sought.comer:
        return name == normalized_text(str(sought.comer.get("name") or ""))
    return not name or are_named_alike(sought.client, {"name": name})
