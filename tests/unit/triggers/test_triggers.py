"""What Airflow asks of a trigger: a round trip, JSON, no secrets, sharing; and the pace of its looks."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time

import pytest
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import BaseEventTrigger
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.assets import watched_events
from altegio_provider.triggers.changes import KINDS
from altegio_provider.triggers.conditions import CONDITIONS
from altegio_provider.triggers.events import AltegioEventConditionTrigger, AltegioEventTrigger
from altegio_provider.triggers.polling import PollingFailed, in_thread, poll

ID = st.integers(1, 10**12)
WAITING = st.fixed_dictionaries(
    {"location_id": ID, "event_id": ID, "condition": st.sampled_from(CONDITIONS)},
    optional={
        "min_free_seats": ID,
        "timezone": st.none() | st.just("Europe/Riga"),
        "poke_interval": st.floats(0.1, 1e6),
        "max_failures": st.integers(1, 99),
        "altegio_conn_id": st.text(min_size=1),
    },
)
WATCHING = st.fixed_dictionaries(
    {},
    optional={
        "location_id": st.none() | ID,
        "horizon_days": st.integers(1, 400),
        "kinds": st.lists(st.sampled_from(KINDS)) | st.just(KINDS),
        "service_ids": st.lists(ID) | st.just((1, 2)),
        "staff_ids": st.lists(ID),
        "fields": st.lists(st.text(min_size=1)),
        "timezone": st.none() | st.just("Europe/Riga"),
        "poke_interval": st.floats(0.1, 1e6),
        "altegio_conn_id": st.text(min_size=1),
    },
)


@given(st.tuples(st.just(AltegioEventConditionTrigger), WAITING) | st.tuples(st.just(AltegioEventTrigger), WATCHING))
def test_a_trigger_comes_back_from_json_as_it_was(made) -> None:
    kind, arguments = made
    path, kwargs = kind(**arguments).serialize()
    module, _, name = path.rpartition(".")
    assert getattr(sys.modules[module], name) is kind
    assert json.loads(json.dumps(kwargs)) == kwargs
    again = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    assert kind(**again).serialize() == (path, kwargs)
    for argument, value in arguments.items():
        assert kwargs[argument] == (list(value) if isinstance(value, tuple) else value)


def test_triggers_that_read_the_same_share_the_reading_and_no_others() -> None:
    key = AltegioEventTrigger(location_id=1).shared_stream_key()
    assert AltegioEventTrigger(location_id=1, kinds=["new"], service_ids=[7], staff_ids=[1]).shared_stream_key() == key
    others = (
        {"location_id": 2},
        {"horizon_days": 5},
        {"fields": ["comment"]},
        {"timezone": "UTC"},
        {"poke_interval": 9},
        {"altegio_conn_id": "other"},
    )
    assert (
        len({AltegioEventTrigger(**{"location_id": 1, **other}).shared_stream_key() for other in others} | {key}) == 7
    )
    hash(key)


def test_a_watched_asset_has_a_watcher_that_airflow_takes() -> None:
    asset = watched_events(1001, service_ids=[7])
    (watcher,) = asset.watchers
    assert (asset.name, asset.uri) == ("altegio_events_1001", "altegio://locations/1001/events")
    assert isinstance(watcher.trigger, BaseEventTrigger)
    path, kwargs = watcher.trigger.serialize()
    assert isinstance(BaseEventTrigger.hash(path, kwargs), int)


def test_two_watched_parts_of_a_location_are_no_conflict_to_airflow() -> None:
    whole, part = watched_events(1001), watched_events(1001, "yoga", service_ids=[7])
    assert whole.name != part.name
    assert whole.uri != part.uri
    assert whole.watchers[0].name != part.watchers[0].name


def test_looks_are_paced_with_jitter_and_failures_in_a_row_are_counted() -> None:
    answers = iter([1, OSError("a"), OSError("b"), 2, OSError("c"), OSError("d"), OSError("e")])
    pauses = []

    async def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(seconds):
        pauses.append(seconds)

    async def scenario():
        return [
            seen async for seen in poll(look, interval=60, max_failures=3, is_retryable=lambda error: True, sleep=sleep)
        ]

    first, second, failed = asyncio.run(scenario())
    assert (first, second) == (1, 2)
    assert isinstance(failed, PollingFailed)
    assert (str(failed.error), failed.failures) == ("e", 3)
    assert len(pauses) == 6
    assert all(54 <= pause <= 66 for pause in pauses)
    assert len(set(pauses)) > 1


def test_the_next_look_may_be_due_sooner() -> None:
    pauses = []

    async def look():
        return 3.0

    async def sleep(seconds):
        pauses.append(seconds)

    async def scenario():
        seen = poll(
            look, interval=60, max_failures=1, is_retryable=bool, seconds_to_next=lambda soon: soon, sleep=sleep
        )
        return [await anext(seen), await anext(seen)]

    asyncio.run(scenario())
    assert pauses == [3.0]


@pytest.mark.parametrize(("keys", "most"), [(["a"] * 6, 1), (["a", "b"] * 3, 2)])
def test_one_look_at_a_time_for_each_connection(keys, most) -> None:
    lock = threading.Lock()
    under_way = 0
    highest = 0

    def look():
        nonlocal under_way, highest
        with lock:
            under_way += 1
            highest = max(highest, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1

    async def scenario():
        await asyncio.gather(*(in_thread(key, look) for key in keys))

    asyncio.run(scenario())
    asyncio.run(scenario())
    assert highest == most
