"""The calculator's arithmetic against what it describes: the pager's requests and the limiter's schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider.api.ratelimit.limiter import Limiter, rates_of_limits
from altegio_provider.api.ratelimit.stores import MemorySlotStore
from altegio_provider.api.routes import COMPANIES
from altegio_provider.sandbox.data.seed import seeded_state
from altegio_provider.sandbox.forms.render import activity
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.dataset.dataset import ParquetDataset
from scripts.plan import Plan, least_seconds, main, requests_for_rows
from tests.property.churning_list import ChurningList, read_all


@pytest.mark.parametrize("rows", [0, 1, 30, 99, 101, 198, 199, 200, 900, 5000])
def test_the_requests_of_a_window_are_those_that_the_pager_makes(rows) -> None:
    server = ChurningList(rows)
    read_all(server, span=COMPANIES.span, page_size=100)
    assert abs(requests_for_rows(rows, 100) - server.requests) <= 1


@pytest.mark.parametrize("requests", [1, 5, 6, 200, 201, 400, 1234])
def test_the_time_is_that_of_the_limiters_schedule(requests) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    rates = rates_of_limits(5, 200)
    limiter = Limiter(MemorySlotStore(lambda: now[0]), rates, clock=lambda: now[0], sleep=sleep)
    for _ in range(requests):
        limiter.acquire()
    assert least_seconds(requests, rates) == pytest.approx(now[0], abs=0.01)


def test_a_plan_adds_up() -> None:
    plan = Plan(locations=40, events_per_day=30, days=1825)
    assert plan.rows == 2_190_000
    assert plan.requests == 40 * (60 * requests_for_rows(900, 100) + requests_for_rows(750, 100))
    assert Plan(locations=40, events_per_day=30, days=1825, addresses=2).minutes < plan.minutes * 0.51


@pytest.mark.parametrize("days", [1, 30, 365])
def test_the_size_is_that_of_real_looking_rows(days, tmp_path) -> None:
    location = seeded_state(1).locations[1001]
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    location.fill(begin.date(), (begin + timedelta(days - 1)).date())
    rows = [activity(location, event) for event in location.events.values()]
    with ParquetDataset(tmp_path, 1001).writer(begin, begin + timedelta(days)) as writer:
        for batch in ActivityConverter(1001, "Europe/Riga").batches(rows):
            writer.write(batch)
    plan = Plan(locations=1, events_per_day=len(rows) / days, days=days, window_days=days)
    assert plan.files == len(writer.result.files)
    assert plan.megabytes == pytest.approx(writer.result.bytes / 1e6, rel=0.15)


def test_the_command_prints_it(capsys) -> None:
    main(["--locations", "2", "--events-per-day", "10", "--days", "3"])
    assert "60" in capsys.readouterr().out


def test_nonsense_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--locations", "0", "--events-per-day", "10", "--days", "3"])
    assert "--locations" in capsys.readouterr().err
