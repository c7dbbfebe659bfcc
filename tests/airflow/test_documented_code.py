"""The Python of README and docs runs as it stands there, with whatever Airflow the tests run with."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from altegio_provider.tables.dataset.dataset import read_manifest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)


BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page), 1)
    if not block.startswith(">>>")
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs_without_a_warning(block) -> None:
    exec(compile(block, "documentation", "exec"), {"__name__": "documentation"})  # noqa: S102 - our own documentation


def test_the_session_of_the_readme_runs(altegio_sandbox, capsys) -> None:
    (session,) = [block for block in blocks(REPOSITORY / "README.md") if block.startswith(">>>")]
    names = {"partner_token": "sandbox-partner", "user_token": "sandbox-user"}
    for example in doctest.DocTestParser().get_examples(session):
        source = example.source.replace("https://api.alteg.io/api/v2", altegio_sandbox.url)
        exec(compile(source, "README", "exec"), names)  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("2026-11-20") for line in lines)


def test_the_first_dag_of_the_readme_writes_a_whole_day(airflow, airflow_db, altegio_sandbox, tmp_path) -> None:
    """``@daily`` alone has an interval without length on Airflow 3, and would write nothing."""
    dag, root = blocks(REPOSITORY / "README.md")[0], tmp_path / "activities"
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "first.py").write_text(dag.replace("s3://aws_default@warehouse/altegio/activities", str(root)))
    airflow(
        "dags",
        "test",
        "altegio",
        "2026-11-21",
        AIRFLOW__CORE__DAGS_FOLDER=str(folder),
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(timezone="UTC"),
    )
    files = read_manifest(root)
    assert {file.location_id for file in files} == {1001, 1002, 1003}
    assert {(file.start.isoformat(), file.end.isoformat()) for file in files} == {
        ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")
    }
    assert all(file.rows for file in files)
