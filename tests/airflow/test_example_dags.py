"""Each example DAG parses lightly, and really runs: through Airflow, against the sandbox."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from altegio_provider.tables.dataset.dataset import read_manifest

DAGS = sorted(path.stem for path in (Path(__file__).parents[2] / "dags").glob("*.py"))
HEAVY = {"pandas", "pyarrow", "requests", "pydantic", "sqlalchemy", "orjson", "pyroaring", "redis", "fastapi"}
# Airflow 3.1 imports its models for any operator, and the handlers of its providers for any asset with a URI.
_SMALLEST_DAG = """
from airflow.sdk import DAG, Asset, BaseHook, BaseOperator, dag, task
from altegio_provider.compat import CronDataIntervalTimetable
with DAG("smallest", schedule=CronDataIntervalTimetable("@daily", timezone="UTC")):
    BaseOperator(task_id="one", outlets=[Asset(name="one", uri="altegio://one")])
"""


@functools.cache
def modules_after(code: str) -> frozenset[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("name", DAGS)
def test_parsing_imports_nothing_heavy(repository, name) -> None:
    """Modules are counted and not seconds, which no noise disturbs."""
    before = modules_after(_SMALLEST_DAG)
    code = f"import runpy; runpy.run_path({str(repository / 'dags' / f'{name}.py')!r})"
    added = modules_after(code) - before
    assert not {module.split(".")[0] for module in added} & (HEAVY - {module.split(".")[0] for module in before})
    assert len([module for module in added if not module.startswith(("altegio_provider", "airflow"))]) < 10


@pytest.mark.parametrize("folder", ["dags", "scripts/scale_dags"])
def test_airflow_takes_every_file_for_one_with_a_dag(repository, folder) -> None:
    """It looks for its own name in the text, and silently passes over files without it."""
    from airflow.utils.file import might_contain_dag

    files = list((repository / folder).glob("*.py"))
    assert files
    assert all(might_contain_dag(str(file), safe_mode=True) for file in files)


def test_no_dag_has_an_import_error(airflow, airflow_db) -> None:
    assert airflow("dags", "list-import-errors", "--output", "json").splitlines()[-1] == "[]"


def test_the_daily_dag_writes_a_week_of_three_locations(airflow, airflow_db, altegio_sandbox, tmp_path) -> None:
    airflow("pools", "set", "altegio", "4", "Altegio")
    conf = {"date_from": "2026-11-09", "date_to": "2026-11-16"}
    airflow(
        "dags",
        "test",
        "altegio_activities_daily",
        "--conf",
        json.dumps(conf),
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(),
        ALTEGIO_DATA=str(tmp_path / "my data"),
    )
    root = tmp_path / "my data" / "activities"
    frame = pd.read_parquet(root)
    assert set(frame["location_id"]) == {1001, 1002, 1003}
    assert len(frame) == sum(file.rows for file in read_manifest(root))
    days = frame.groupby("location_id")["starts_at_local"].agg(lambda starts: starts.dt.date.nunique())
    assert set(days) == {7}
    zones = dict(zip(frame["location_id"], frame["timezone"], strict=True))
    assert zones == {1001: "Europe/Riga", 1002: "America/New_York", 1003: "Asia/Tbilisi"}
