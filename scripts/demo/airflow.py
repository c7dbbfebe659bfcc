"""The demo's Airflow, with its own home and database."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.demo.output import print_line
from scripts.demo.paths import DATA, DEMO, REPOSITORY, WAREHOUSE

_LOG = DEMO / "airflow.log"


class Airflow:
    """Runs commands of ``airflow`` in one process; see ``scripts/airflow_commands.py``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: str) -> None:
        """Run ``airflow ARGUMENTS``. Its output goes to a file, and if it fails, the end of the output is printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(arguments), file=self._process.stdin, flush=True)
        if self._process.stdout.readline() != "0\n":
            print_line("\n".join(_LOG.read_text().splitlines()[-40:]))
            raise SystemExit(f"airflow {' '.join(arguments)} failed; the whole output is in {_LOG}")


@contextlib.contextmanager
def running_airflow(url: str, connection_extra: Mapping[str, Any], settings: Mapping[str, str]) -> Iterator[Airflow]:
    """Start the process that runs the commands.

    :param url: the sandbox's.
    :param connection_extra: what the connection says beside the address and the tokens.
    :param settings: of the DAGs, as in their docstrings.
    """
    command = [sys.executable, str(REPOSITORY / "scripts" / "airflow_commands.py")]
    with (
        _LOG.open("w") as log,
        subprocess.Popen(
            command,
            env=_environment(url, connection_extra) | dict(settings),
            cwd=DEMO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield Airflow(process)
        except BaseException:
            process.kill()
            raise


def _environment(url: str, connection_extra: Mapping[str, Any]) -> dict[str, str]:
    """Return Airflow's settings for the demo, which replace those of the shell."""
    connection = {
        "conn_type": "altegio",
        "host": url,
        "password": "sandbox-partner",
        "extra": {"user_token": "sandbox-user", **connection_extra},
    }
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "ALTEGIO"))
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ALTEGIO_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_ALTEGIO_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(WAREHOUSE)}),
        "ALTEGIO_DATA": str(DATA),
    }
