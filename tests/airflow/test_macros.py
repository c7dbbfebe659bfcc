"""The macros: a day's bounds on a location's clock, and how templates come to have them."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.plugin import AltegioPlugin, day_end, day_start, macros_in, month_end, month_start

ZONES = ["UTC", "Europe/Riga", "America/New_York", "Africa/Cairo", "America/Havana", "Pacific/Apia", "Asia/Kathmandu"]


@pytest.mark.parametrize(
    ("day", "zone", "start", "end"),
    [
        ("2026-11-20", "Europe/Riga", "2026-11-20T00:00:00+02:00", "2026-11-21T00:00:00+02:00"),
        # 23 and 25 hours.
        ("2026-03-29", "Europe/Riga", "2026-03-29T00:00:00+02:00", "2026-03-30T00:00:00+03:00"),
        ("2026-10-25", "Europe/Riga", "2026-10-25T00:00:00+03:00", "2026-10-26T00:00:00+02:00"),
        # Midnight does not exist: the day begins at one.
        ("2026-04-24", "Africa/Cairo", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"),
        # Midnight comes twice: the day begins with the first.
        ("2026-11-01", "America/Havana", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        # A day that was left out altogether is empty.
        ("2011-12-30", "Pacific/Apia", "2011-12-31T00:00:00+14:00", "2011-12-31T00:00:00+14:00"),
    ],
)
def test_the_bounds_of_a_day(day, zone, start, end):
    assert (day_start(day, zone), day_end(day, zone)) == (start, end)


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        ("2026-03-15", "2026-03-01T00:00:00+02:00", "2026-04-01T00:00:00+03:00"),
        ("2028-02-29", "2028-02-01T00:00:00+02:00", "2028-03-01T00:00:00+02:00"),
        ("2026-12-31", "2026-12-01T00:00:00+02:00", "2027-01-01T00:00:00+02:00"),
    ],
)
def test_the_bounds_of_a_month(day, start, end):
    assert (month_start(day, "Europe/Riga"), month_end(day, "Europe/Riga")) == (start, end)


@pytest.mark.parametrize(
    "day",
    [
        "2026-11-20",
        date(2026, 11, 20),
        datetime(2026, 11, 20, 23, 59),  # noqa: DTZ001 - a naive moment is that day's, whatever the zone
        datetime(2026, 11, 19, 22, 0, tzinfo=UTC),
        "2026-11-19T22:30:00+00:00",
        "2026-11-20T21:59:59Z",
    ],
)
def test_whatever_a_template_has_at_hand_names_the_day(day):
    assert day_start(day, "Europe/Riga") == "2026-11-20T00:00:00+02:00"


@given(st.dates(date(1990, 1, 1), date(2037, 12, 30)), st.sampled_from(ZONES))
def test_days_join_and_hold_their_own_moments(day, zone):
    start, end = (datetime.fromisoformat(bound(day, zone)) for bound in (day_start, day_end))
    assert day_end(day, zone) == day_start(day + timedelta(days=1), zone)
    assert timedelta(0) <= end - start <= timedelta(hours=25)
    if start < end:
        one = timedelta(seconds=1)
        clock = [moment.astimezone(UTC).astimezone(ZoneInfo(zone)).date() for moment in (start, end - one)]
        assert clock == [day, day]
        assert (start.astimezone(UTC) - one).astimezone(ZoneInfo(zone)).date() < day


@pytest.mark.parametrize(
    ("day", "zone", "text"),
    [
        ("2026-11-20", "Europe/Rigga", "timezone 'Europe/Rigga'"),
        ("yesterday", "UTC", "day 'yesterday' is not an ISO 8601 date"),
        (None, "UTC", "day must be a date or ISO 8601 text, not NoneType"),
    ],
)
def test_what_cannot_be_right_is_said(day, zone, text):
    with pytest.raises(ValueError, match=text):
        day_start(day, zone)


def test_macros_with_the_zone_already_in_them():
    bound = {macro.__name__: macro for macro in macros_in("Europe/Riga")}
    assert list(bound) == [macro.__name__ for macro in AltegioPlugin.macros]
    assert bound["day_start"]("2026-11-20") == "2026-11-20T00:00:00+02:00"
    with pytest.raises(ValueError, match="Europe/Rigga"):
        macros_in("Europe/Rigga")


DAG_FILE = """
    from pathlib import Path
    from airflow.sdk import DAG, BaseOperator

    class Note(BaseOperator):
        template_fields = ("text",)

        def __init__(self, text, **kwargs):
            super().__init__(**kwargs)
            self.text = text

        def execute(self, context):
            Path(__file__).with_name("rendered").write_text(self.text)

    with DAG("macros", schedule=None):
        Note(
            task_id="note",
            text="{{ macros.altegio.day_start(ds, 'Europe/Riga') }} {{ macros.altegio_local.day_end(ds) }}",
        )
"""


@pytest.mark.usefixtures("airflow_db")
def test_a_run_renders_both_plugins(airflow, tmp_path):
    (tmp_path / "macros_dag.py").write_text(textwrap.dedent(DAG_FILE))
    airflow(
        *("dags", "test", "macros", "2026-03-29"),
        AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path),
        ALTEGIO_TIMEZONE="America/New_York",
    )
    assert (tmp_path / "rendered").read_text() == "2026-03-29T00:00:00+02:00 2026-03-30T00:00:00-04:00"


def test_airflow_loads_both_plugins_without_import_errors():
    program = (
        "import json\n"
        "from airflow import plugins_manager\n"
        "from airflow.api_fastapi.core_api.routes.public.plugins import import_errors\n"
        "errors = [error.model_dump() for error in import_errors().import_errors]\n"
        "print(json.dumps([errors, sorted(p['name'] for p in plugins_manager.get_plugin_info())]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    errors, names = json.loads(done.stdout.splitlines()[-1])
    assert errors == []
    assert [name for name in names if name.startswith("altegio")] == ["altegio", "altegio_local"]
