"""A home of its own for each session's Airflow, and the profiles of the property tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

AirflowCommand = Callable[..., str]

REPOSITORY = Path(__file__).resolve().parent.parent


def _fresh_airflow_home() -> Path:
    """Point Airflow at an empty folder. It reads its environment when it is first imported, so this comes first."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="altegio-airflow-"))
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(REPOSITORY / "plugins"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )
    return home


_AIRFLOW_HOME = _fresh_airflow_home()

# No deadline: a slow machine is no fault of the code. CI tries the same cases each time, so that it fails for a
# change and not by chance; a person's machine tries new ones.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's top folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The session's own ``AIRFLOW_HOME``; it has no database, see :func:`airflow_db`."""
    return _AIRFLOW_HOME


@pytest.fixture(scope="session")
def airflow() -> AirflowCommand:
    """Run ``airflow ARGUMENTS`` in a process of its own and return what it printed; it must succeed.

    Settings are keyword arguments: ``airflow("dags", "test", "mine", AIRFLOW__CORE__DAGS_FOLDER=folder)``.
    """

    def run(*arguments: str, **settings: str) -> str:
        command = [sys.executable, "-m", "airflow", *arguments]
        env = os.environ | settings
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path, airflow: AirflowCommand) -> Path:
    """``AIRFLOW_HOME`` with a migrated SQLite database, for tests that run tasks. Made once, in about five seconds."""
    airflow("db", "migrate")
    return airflow_home
