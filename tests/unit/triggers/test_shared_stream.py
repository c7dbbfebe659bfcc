"""Many watchers, one reading of the list: with Airflow's own manager of shared streams."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.triggers.events import AltegioEventTrigger

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow shares streams from 3.3 on")

LOCATION = 81
START = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)


def test_three_watchers_read_the_list_once_and_are_told_each_its_own(altegio_sandbox, monkeypatch) -> None:
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(timezone="Europe/Riga"))
    watching = ({}, {"service_ids": [7]}, {"service_ids": [8], "kinds": ["new"]})
    triggers = [AltegioEventTrigger(location_id=LOCATION, poke_interval=0.05, **own) for own in watching]
    date = f"{START.astimezone(ZoneInfo('Europe/Riga')):%Y-%m-%d %H:%M:%S}"
    looks = 0

    async def counted(stream):
        nonlocal looks
        async for snapshot in stream:
            looks += 1
            if looks == 2:
                rows = [{"id": number, "service_id": number, "date": date} for number in (7, 8)]
                await asyncio.to_thread(altegio_sandbox.add_events, LOCATION, rows)
            yield snapshot

    async def first_told(manager, number, trigger):
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
        if number == 0:
            stream = counted(stream)
        event = await anext(trigger.filter_shared_stream(stream))
        return event.payload["new"]

    async def scenario():
        manager = shared_stream.SharedStreamManager()
        try:
            told = asyncio.gather(*(first_told(manager, number, one) for number, one in enumerate(triggers)))
            return await asyncio.wait_for(told, 20)
        finally:
            await manager.stop_all()

    assert asyncio.run(scenario()) == [[7, 8], [7], [8]]
    # A look takes up to four requests here; three watchers apart would have made three times as many looks.
    assert altegio_sandbox.stats()["requests"] <= 4 * (looks + 1)
