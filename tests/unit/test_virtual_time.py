"""The simulation of scale keeps the limit as the API counts it, and agrees with the plan's arithmetic."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.api.ratelimit.limiter import rates_of_limits
from benchmarks.scale_simulation import daily_beside_backfill
from benchmarks.virtual_time import Job, run
from scripts.plan import least_seconds


def busiest(sent: list[float], seconds: float) -> int:
    """The most requests in any half-open window."""
    sent = sorted(sent)
    return max(number - bisect_right(sent, at - seconds) + 1 for number, at in enumerate(sent))


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8)), min_size=1, max_size=3))
def test_all_jobs_together_keep_both_windows(shapes) -> None:
    jobs = [
        Job(tasks, requests, slots, begins_at=7.0 * number) for number, (tasks, requests, slots) in enumerate(shapes)
    ]
    run(*jobs)
    sent = [at for job in jobs for at in job.sent]
    assert len(sent) == sum(tasks * requests for tasks, requests, _ in shapes)
    assert busiest(sent, 1.0) <= 5
    assert busiest(sent, 60.0) <= 200


@pytest.mark.parametrize("requests", [1, 5, 6, 200, 201, 1_000])
def test_enough_slots_take_what_the_plan_says(requests) -> None:
    job = Job(requests, 1, 8, latency_seconds=0.1)
    run(job)
    assert max(job.sent) - min(job.sent) == pytest.approx(least_seconds(requests, rates_of_limits(5, 200)), rel=0.001)


def test_a_backfill_of_lower_limits_hardly_holds_up_the_daily_run() -> None:
    alone = Job(40, 8, 4)
    run(alone)
    seconds, meanwhile = daily_beside_backfill(4, 150)
    assert seconds <= alone.seconds * 1.2
    assert meanwhile <= 5
    assert daily_beside_backfill(5, 200)[0] > alone.seconds * 1.5
