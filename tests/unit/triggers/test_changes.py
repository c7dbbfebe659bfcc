"""What the watcher sees: differences, the cursor, and the same against the sandbox."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.api.errors import AltegioAuthError, AltegioServerError, AltegioValidationError
from altegio_provider.compat import AirflowNotFoundException
from altegio_provider.triggers.changes import KINDS, Cursor, Mark, differences
from altegio_provider.triggers.cursors import CursorStore
from altegio_provider.triggers.events import AltegioEventTrigger
from altegio_provider.triggers.payloads import EventsChanged

LOCATION = 79
RIGA = ZoneInfo("Europe/Riga")
MOMENT = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
IDS = st.integers(1, 2**40)
MARKS = st.builds(Mark, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
CURSORS = st.builds(Cursor, st.integers(0, 2**32), st.dictionaries(IDS, MARKS, max_size=60))


class State:
    """An asset's state as Airflow's accessor has it: values survive only as JSON."""

    def __init__(self, fails=0):
        self.values = {}
        self.fails = fails
        self.written = 0

    async def aget(self, key):
        if self.fails:
            self.fails -= 1
            raise OSError("the store is away")
        return json.loads(self.values.get(key, "null"))

    async def aset(self, key, value):
        self.values[key] = json.dumps(value)
        self.written += 1


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    connection = altegio_sandbox.airflow_connection(timezone="Europe/Riga", route_family=request.param)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


def row_of(start, fields):
    row = {"date": f"{start.astimezone(RIGA):%Y-%m-%d %H:%M:%S}", "staff_id": 1, "service_id": 2, "capacity": 9}
    return {**row, **fields}


@pytest.fixture
def add(altegio_sandbox):
    def add(start=MOMENT, **fields):
        (number,) = altegio_sandbox.add_events(LOCATION, [row_of(start, fields)])
        return number

    return add


@pytest.fixture
def change(altegio_sandbox):
    def change(number, **fields):
        altegio_sandbox.replace_events(LOCATION, [row_of(MOMENT, {"id": number, **fields})])

    return change


def trigger_of(state=None, **arguments):
    trigger = AltegioEventTrigger(**{"location_id": LOCATION, "poke_interval": 0.01, **arguments})
    trigger.asset_state_store = state
    return trigger


def told(trigger, *actions):
    """What the trigger tells, look by look: before each look but the first, an action."""

    async def scenario():
        stream = type(trigger).open_shared_stream(trigger.serialize()[1])

        async def acted():
            yield await anext(stream)
            for action in actions:
                action()
                yield await anext(stream)

        return [event.payload async for event in trigger.filter_shared_stream(acted())]

    payloads = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert json.loads(json.dumps(payloads)) == payloads
    return [{kind: ids for kind in KINDS if (ids := EventsChanged(**one).payload()[kind])} for one in payloads]


@given(CURSORS)
def test_a_cursor_survives_as_json(cursor) -> None:
    assert Cursor.decode(json.loads(json.dumps(cursor.encode()))) == cursor


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {},
        {"version": 2, "until": 1, "marks": ""},
        {"version": 1, "until": 1, "marks": "no base 85 \n"},
        {"version": 1, "until": 1, "marks": None},
        {"version": 1, "until": "soon", "marks": Cursor(1, {}).encode()["marks"]},
        {"version": 1, "marks": Cursor(1, {}).encode()["marks"]},
    ],
)
def test_what_is_no_cursor_is_none(value) -> None:
    assert Cursor.decode(value) is None


def test_a_cursor_of_five_thousand_events_stays_below_airflows_bound() -> None:
    marks = {9_000_000 + 3 * n: Mark(1_790_000_000 + 900 * (n % 2_880), n * 2_654_435_761 % 2**32) for n in range(5000)}
    assert len(json.dumps(Cursor(1_790_000_000, marks).encode())) < 65_536


@given(CURSORS, CURSORS, st.integers(0, 2**32))
def test_every_difference_is_told_once_and_nothing_else(before, now, seen_at) -> None:
    changes = differences(before, now, seen_at)
    sets = {kind: set(getattr(changes, kind)) for kind in KINDS}
    assert sum(map(len, sets.values())) == sum(len(getattr(changes, kind)) for kind in KINDS)
    assert sets["new"] | sets["in_view"] == now.marks.keys() - before.marks.keys()
    assert not sets["new"] & sets["in_view"]
    assert sets["changed"] == {n for n in now.marks if before.marks.get(n, now.marks[n]) != now.marks[n]}
    lost = before.marks.keys() - now.marks.keys()
    assert sets["gone"] == {number for number in lost if seen_at < before.marks[number].start < now.until}
    messages = list(changes.messages(KINDS))
    assert {kind: {n for message in messages for n in message[kind]} for kind in KINDS} == sets
    assert differences(now, now, seen_at) == type(changes)([], [], [], [])


def test_many_changes_come_in_pieces() -> None:
    now = Cursor(10, {number: Mark(5, 0) for number in range(1, 1202)})
    pieces = list(differences(Cursor(10, {}), now, 0).messages(["new"]))
    assert [len(piece["new"]) for piece in pieces] == [500, 500, 201]


def test_the_first_look_only_remembers_and_the_others_tell(family, altegio_sandbox, add, change) -> None:
    first = add()
    second = add(MOMENT + timedelta(hours=2))
    made = []
    payloads = told(
        trigger_of(),
        lambda: None,
        lambda: made.append(add(MOMENT + timedelta(hours=4))),
        lambda: altegio_sandbox.delete_event(LOCATION, first),
        lambda: change(second, capacity=12),
        lambda: None,
    )
    assert payloads == [{"new": made}, {"gone": [first]}, {"changed": [second]}]


def test_only_fields_that_count_are_changes(family, add, change) -> None:
    event_id = add(comment="old")
    seats = "clients_count" if family == "locations" else "records_count"

    def book():
        change(event_id, comment="new", first_records=2, first_seats=2)

    assert told(trigger_of(), book) == []
    change(event_id, comment="old")
    assert told(trigger_of(fields=["comment"]), book) == [{"changed": [event_id]}]
    change(event_id, comment="new")
    assert told(trigger_of(fields=[seats]), book) == [{"changed": [event_id]}]


def test_what_the_horizon_reaches_is_not_new_and_what_starts_is_not_gone() -> None:
    day = 86_400
    before = Cursor(30 * day, {1: Mark(100, 0), 2: Mark(20 * day, 0)})
    now = Cursor(30 * day + 3600, {2: Mark(20 * day, 0), 3: Mark(30 * day + 60, 0), 4: Mark(5 * day, 0)})
    changes = differences(before, now, seen_at=160)
    assert (changes.new, changes.in_view, changes.changed, changes.gone) == ([4], [3], [], [])


def test_a_watcher_sees_its_services_and_team_members_alone(family, add, change) -> None:
    mine = add(service_id=7, staff_id=1)

    def act():
        add(MOMENT + timedelta(hours=1), service_id=8, staff_id=1)
        add(MOMENT + timedelta(hours=2), id=555, service_id=7, staff_id=1)
        add(MOMENT + timedelta(hours=3), service_id=7, staff_id=2)
        change(mine, service_id=8, staff_id=1)

    assert told(trigger_of(service_ids=[7], staff_ids=[1]), act) == [{"new": [555], "gone": [mine]}]


def test_only_the_kinds_asked_for_are_told(family, altegio_sandbox, add) -> None:
    event_id = add()
    assert told(trigger_of(kinds=["new"]), lambda: altegio_sandbox.delete_event(LOCATION, event_id)) == []


def test_what_changes_while_the_triggerer_is_down_is_told_when_it_is_back(family, add) -> None:
    state = State()
    add()
    assert told(trigger_of(state)) == []
    missed = add(MOMENT + timedelta(hours=1))
    assert told(trigger_of(state), lambda: None) == [{"new": [missed]}]
    assert told(trigger_of(state), lambda: None) == []


def test_what_may_not_be_stored_yet_is_told_again_after_a_restart(family, add) -> None:
    state = State()
    made = []
    assert told(trigger_of(state), lambda: made.append(add())) == [{"new": made}]
    assert told(trigger_of(state)) == [{"new": made}]


def test_the_cursor_is_written_only_when_it_is_another(family, add) -> None:
    state = State()
    add()
    told(trigger_of(state), *[lambda: None] * 5)
    assert state.written == 1


def test_watchers_of_one_asset_have_each_their_own_cursor(family) -> None:
    state = State()
    for arguments in ({}, {"service_ids": [7]}, {"fields": ["comment"]}, {"poke_interval": 0.02}, {"kinds": ["new"]}):
        told(trigger_of(state, **arguments))
    assert len(state.values) == 3


def test_a_store_that_is_away_forgets_nothing() -> None:
    state = State()
    asyncio.run(state.aset("cursor", Cursor(9, {1: Mark(5, 5)}).encode()))
    state.fails = 1
    store = CursorStore(state, "cursor")
    with pytest.raises(OSError, match="away"):
        asyncio.run(store.exchange(Cursor(9, {})))
    assert asyncio.run(store.exchange(Cursor(9, {}))).marks == {1: Mark(5, 5)}


def test_failures_are_survived_up_to_the_bound(family, altegio_sandbox, add) -> None:
    made = []

    def fail(times):
        altegio_sandbox.fault("status", status=503, times=times)
        made.append(add(MOMENT + timedelta(hours=1)))

    assert told(trigger_of(), lambda: fail(4)) == [{"new": made}]
    with pytest.raises(AltegioServerError):
        told(trigger_of(), lambda: fail(5))


def test_wrong_tokens_are_asked_again_at_the_same_pace_for_airflow_begins_anew(family, altegio_sandbox) -> None:
    altegio_sandbox.fault("status", status=401)
    with pytest.raises(AltegioAuthError):
        told(trigger_of(max_failures=3))
    assert altegio_sandbox.stats()["requests"] == 3


def test_a_connection_that_is_not_there_is_an_error_too() -> None:
    with pytest.raises(AirflowNotFoundException):
        told(trigger_of(altegio_conn_id="nowhere"))


@pytest.mark.parametrize("arguments", [{"kinds": ["newer"]}, {"kinds": "new"}, {"fields": "capacity"}, {"fields": [1]}])
def test_a_wrong_argument_is_named(arguments) -> None:
    (name,) = arguments
    with pytest.raises(AltegioValidationError, match=name):
        AltegioEventTrigger(**arguments)
