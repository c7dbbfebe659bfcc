"""Imports a timetable as events: expands rows into events, weekly ones too, and searches for lost ones.

Weekly events start at the same wall clock time of the location, also across changes of summer time.
The first of them is created, and the others are copied from it, up to 100 in one request, where the server can do that.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from altegio_provider.api.bodies.copies import MAX_COPIES
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioNotFoundError,
    AltegioResponseOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.common.location_time import LocationClock, as_instant
from altegio_provider.imports.engine.file_import import FileImport
from altegio_provider.imports.engine.row_store import Pending
from altegio_provider.imports.engine.runner import NotTaken, Reply, Sent
from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.ledger.ledger import key_of
from altegio_provider.imports.matching.match import Absent, Found, Undecided, Verdict
from altegio_provider.imports.model import ImportFileError, SourceRow, normalized_text
from altegio_provider.imports.rows import cells, dates
from altegio_provider.imports.rows.cells import TOO_LONG, CellError, shape_of, too_long
from altegio_provider.imports.rows.column_facts import column_facts
from altegio_provider.imports.rows.columns import Columns, FieldNames
from altegio_provider.imports.rows.typed_row import RowContext

__all__ = ["TimetableImport", "occurrences"]

log = logging.getLogger(__name__)

_FORBIDDEN = 403
_SECOND_US = 1_000_000
_LONGEST_TERM = timedelta(days=2 * 366)
_DAYS = (
    "1 mon monday пн понедельник mo montag",
    "2 tue tuesday вт вторник di dienstag",
    "3 wed wednesday ср среда mi mittwoch",
    "4 thu thursday чт четверг do donnerstag",
    "5 fri friday пт пятница fr freitag",
    "6 sat saturday сб суббота sa samstag",
    "7 sun sunday вс воскресенье so sonntag",
)
#: A number as a spreadsheet writes it, and a range with spaces or a dash.
_HALF_DECIMALS = re.compile(r"\b(\d)[.,]0\b")
_SPACED_HYPHEN = re.compile(r"\s*[-\u2010-\u2015\u2212]\s*")
#: A shorter class is one whose length is given in minutes.
_SHORTEST_SECONDS = 300
_DAY_OF_WORD = {word: number for number, words in enumerate(_DAYS) for word in words.split()}
#: Fields of the row that are not fields of the event.
_ABOUT_THE_ROW = {"repeat_until", "weekdays", "external_id"}
_REQUIRED = ("staff_id", "service_id", "date", "length", "capacity")


def _start(value: Any, info: ValidationInfo[RowContext]) -> datetime:
    return dates.event_start(value, info.context.zone, is_month_first=info.context.facts.is_month_first)


def _last_day(value: Any, info: ValidationInfo[RowContext]) -> date:
    zone, is_month_first = info.context.zone, info.context.facts.is_month_first
    try:
        return dates.event_start(dates.joined(value, "12:00"), zone, is_month_first=is_month_first).date()
    except CellError:
        raise CellError("must be a day such as 2026-12-20 or 20.12.2026") from None


def _weekdays(value: Any) -> frozenset[int]:
    text = _HALF_DECIMALS.sub(r"\1", str(value).strip("[]"))
    days: set[int] = set()
    for part in re.split(r"[,;/\s]+", _SPACED_HYPHEN.sub("-", text)):
        words = [normalized_text(word).removesuffix(".") for word in part.split("-")]
        if not part:
            continue
        if len(words) > 2 or any(word not in _DAY_OF_WORD for word in words):
            raise CellError("must be days of the week such as mon,wed or mon-fri or 1,3 (1 is Monday)")
        first, last = _DAY_OF_WORD[words[0]], _DAY_OF_WORD[words[-1]]
        if first > last or (first == last and len(words) == 2):
            raise CellError("must have the earlier day of the week first, such as mon-fri")
        days.update(range(first, last + 1))
    if not days:
        raise CellError("must be days of the week such as mon,wed or mon-fri or 1,3 (1 is Monday)")
    return frozenset(days)


def _length(value: Any) -> int:
    length = cells.whole_number(value)
    if length < _SHORTEST_SECONDS:
        raise CellError(f"must be in seconds: an hour is 3600. If {length} are minutes, write {length * 60}")
    return length


_Day = date  # `_Row` has a field named `date`
_Id = Annotated[int, BeforeValidator(cells.whole_number)]
_Ids = Annotated[list[int], BeforeValidator(cells.label_ids)]
_Text = Annotated[str | None, BeforeValidator(cells.long_text)]


class _Row(BaseModel):
    """One row of a timetable, with the API's field names."""

    model_config = ConfigDict(hide_input_in_errors=True)

    staff_id: _Id
    service_id: _Id
    date: Annotated[datetime, BeforeValidator(_start)]
    length: Annotated[int, BeforeValidator(_length)]
    capacity: _Id
    resource_instance_ids: _Ids = []
    label_ids: _Ids = []
    technical_break_duration: Annotated[int | None, BeforeValidator(cells.whole_number)] = None
    comment: _Text = None
    instructions: _Text = None
    stream_link: _Text = None
    color: _Text = None
    force: Annotated[bool | None, BeforeValidator(cells.flag)] = None
    repeat_until: Annotated[_Day | None, BeforeValidator(_last_day)] = None
    weekdays: Annotated[frozenset[int] | None, BeforeValidator(_weekdays)] = None
    external_id: _Text = None


_FIELDS = FieldNames([*_Row.model_fields, "time"])


def occurrences(start: datetime, repeat_until: date | None, weekdays: frozenset[int] | None) -> Iterator[datetime]:
    """Yield the starts of a weekly event.

    :param start: the first day and the time, a naive datetime on the wall clock.
    :param repeat_until: the last day, included; ``None`` for the first day only.
    :param weekdays: the days of the week, 0 is Monday; ``None`` for the day of ``start``.
    """
    days = weekdays or {start.weekday()}
    day = start
    while day.date() <= (repeat_until or start.date()):
        if day.weekday() in days:
            yield day
        day += timedelta(days=1)


class TimetableImport(FileImport):
    """Creates the events of a timetable. The partition of a row is its team member."""

    kind = "event"
    partition_column = "staff_id"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._has_copies = self.client.has_operation("duplicate_event")
        #: The first class that this run created for each line of the file: the others are copied from it.
        self._first_classes: dict[int, int] = {}
        #: The places of classes that must be created alone.
        self._alone: set[int] = set()

    def _row_handler(self, source: RowSource) -> Callable[[SourceRow], None]:
        options = self.options
        columns = Columns.from_headings(source.columns, _FIELDS, options.column_mapping, options.defaults)
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            raise ImportFileError(
                f"the file has no column for {', '.join(missing)}, which every event needs: "
                "add it, or use column_mapping or defaults."
            )
        today = datetime.now(UTC).astimezone(self.timezone).date()
        context = RowContext(self.timezone, None, today, column_facts(source, columns))

        def plan(row: SourceRow) -> None:
            given = columns.fields(row)
            if long := too_long(given):
                self.store.reject(row, [f"{columns.heading_of(name)}: {TOO_LONG}" for name in long])
                return
            if surplus := row.values.get(None):
                self.store.reject(row, [f"(no heading): the row has {len(surplus)} cells more than the heading"])
                return
            try:
                if "time" in given:
                    given["date"] = dates.joined(given.get("date"), given.pop("time"))
            except CellError as error:
                self.store.reject(row, [f"{columns.heading_of('time')}: {error}"])
                return
            try:
                typed = _Row.model_validate(given, context=context)
            except ValidationError as error:
                self.store.reject(row, list(_issues(error, columns, row)))
            else:
                _, end = dates.event_times(given["date"], self.timezone)
                if end is not None and (end - typed.date).total_seconds() != typed.length:
                    reason = f"{columns.heading_of('date')}: the end of the class is not its start and its length"
                    self.store.reject(row, [f"{reason}; correct one of them, or give the start alone"])
                    return
                self._add_row(row, typed)

        return plan

    def _add_row(self, row: SourceRow, typed: _Row) -> None:
        if typed.repeat_until is not None and not typed.date.date() <= typed.repeat_until:
            self.store.reject(row, ["repeat_until: must not be before the first event"])
            return
        if typed.repeat_until is not None and typed.repeat_until - typed.date.date() > _LONGEST_TERM:
            self.store.reject(row, ["repeat_until: must be within two years of the first event"])
            return
        starts = list(occurrences(typed.date, typed.repeat_until, typed.weekdays))
        if not starts:
            self.store.reject(row, ["weekdays: no event starts on these days; give repeat_until"])
        for number, start in enumerate(starts):
            self._add_class(row, typed, start, number)

    def _add_class(self, row: SourceRow, typed: _Row, start: datetime, number: int) -> None:
        given = typed.model_dump(exclude=_ABOUT_THE_ROW, exclude_none=True) | {"date": start}
        try:
            body = self.client.event_body(given)
        except AltegioValidationError as error:
            reasons = [f"{name}: {'; '.join(texts)}" for name, texts in error.errors.items()]
            self.store.reject(row, reasons)
            return
        if _is_skipped(start, self.timezone):
            reason = (
                f"date: {start:%Y-%m-%d %H:%M} does not exist in this time zone: the change to summer time skips it"
            )
            self.store.reject(row, [reason])
            return
        content = key_of(self.location_id, typed.staff_id, typed.service_id, body["date"])
        if not typed.external_id:
            self._accept(row, content, typed.staff_id, body)
            return
        # The key has the number of the event in its row, not its start: an event that was moved in the file is
        # reported, and not created a second time.
        key = key_of(self.location_id, "external_id", typed.external_id, number)
        self._accept(row, key, typed.staff_id, body, content=content)

    def _check_availability(self) -> None:
        """Do nothing: the API checks team members and resources itself, and answers 409 if they are busy."""

    def _post(self, row: Pending) -> Sent:
        event_id = self.client.create_event(self.location_id, row.body).get("id")
        if not isinstance(event_id, int) or event_id < 1:
            raise AltegioResponseOutcomeUnknownError(
                "the answer is invalid: it lacks the id of the event.", method="POST"
            )
        self._first_classes.setdefault(row.line, event_id)
        return Sent(event_id)

    def _largest_batch(self, first: Pending) -> int:
        is_copy = self._has_copies and first.line in self._first_classes and first.seq not in self._alone
        return MAX_COPIES if is_copy else 1

    def _joins(self, first: Pending, row: Pending) -> bool:
        # The classes of a line differ in their dates alone.
        return row.line == first.line and row.seq not in self._alone

    def _post_rows(self, rows: Sequence[Pending]) -> Sequence[Reply]:
        if len(rows) == 1:
            return [self._post(rows[0])]
        body = rows[0].body
        try:
            copies = self.client.duplicate_event(
                self.location_id,
                self._first_classes[rows[0].line],
                [row.body["date"] for row in rows],
                force=bool(body.get("force")),
            )
        except (AltegioValidationError, AltegioConflictError, AltegioNotFoundError, AltegioAuthError) as error:
            if isinstance(error, AltegioAuthError) and error.status != _FORBIDDEN:
                raise
            # One of the dates cannot be, or the server lacks the route: alone, each class gets an answer of its own.
            if isinstance(error, AltegioNotFoundError | AltegioAuthError):
                self._has_copies = False
                log.warning("Events cannot be copied here (%s). The classes are created one by one.", error.summary)
            self._alone.update(row.seq for row in rows)
            return [NotTaken()] * len(rows)
        return [Sent(copy["id"]) for copy in copies]

    def _search(
        self, partition: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]]
    ) -> dict[str, Verdict]:
        """Search for events of the same team member, service and start.

        The coming ones of a service are searched in one list; a past one alone, for not every server lists the past.
        """
        now = datetime.now(UTC)
        groups: dict[tuple[int, str], dict[str, datetime]] = defaultdict(dict)
        for row in rows:
            start = as_instant(row.body["date"], self.timezone)
            groups[row.body["service_id"], row.key if start <= now else ""][row.key] = start
        verdicts: dict[str, Verdict] = {}
        for (service_id, _), starts in groups.items():
            verdicts.update(self._verdicts_on(starts, partition, service_id, taken))
        return verdicts

    def _verdicts_on(
        self, starts: dict[str, datetime], staff_id: int, service_id: int, taken: Callable[[Sequence[int]], set[int]]
    ) -> dict[str, Verdict]:
        by_start: dict[int, list[int]] = defaultdict(list)
        clock = LocationClock(self.timezone)
        for event in self.client.list_activities(
            self.location_id,
            min(starts.values()).astimezone(UTC),
            max(starts.values()).astimezone(UTC) + timedelta(seconds=1),
            staff_ids=[staff_id],
            service_ids=[service_id],
            timezone=self.timezone.key,
        ):
            start = clock.start_of(event)
            if start is not None:
                by_start[start.instant_us // _SECOND_US].append(event["id"])
        ours = [number for start in starts.values() for number in by_start[round(start.timestamp())]]
        others = taken(ours) if ours else set()
        return {
            key: _verdict([number for number in by_start[round(start.timestamp())] if number not in others])
            for key, start in starts.items()
        }


def _verdict(free: list[int]) -> Verdict:
    """Return what the events at a class's start that belong to no other row say of it."""
    if len(free) > 1:
        return Undecided(f"several events match: {', '.join(map(str, free))}", retryable=False)
    return Found(free[0]) if free else Absent()


def _issues(error: ValidationError, columns: Columns, row: SourceRow) -> Iterator[str]:
    given: Mapping[str, Any] = columns.fields(row)
    for issue in error.errors(include_url=False, include_input=False):
        name = str(issue["loc"][0])
        message = "is required" if issue["type"] == "missing" else str(issue["msg"]).removeprefix("Value error, ")
        yield f"{columns.heading_of(name)}: {message} (found: {shape_of(given.get(name))})"


def _is_skipped(start: datetime, zone: ZoneInfo) -> bool:
    """Return whether this time does not exist because the change to summer time skips it."""
    there = start.replace(tzinfo=zone)
    return there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != start
