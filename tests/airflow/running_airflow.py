"""A whole Airflow with a scheduler, a triggerer and an API server, for what ``airflow dags test`` does not do.

Before Airflow 3.3 ``dags test`` runs no trigger that asks its supervisor for a person's answer, as approvals do.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

__all__ = ["RunningAirflow", "running_airflow"]

#: For the start of Airflow, or for one run: far more than they take, for a busy machine is not a fault.
_SECONDS = 400


class RunningAirflow:
    """The REST API of a running Airflow, with every permission.

    :param url: where the API server answers.
    :param log: the file with the output of all of Airflow's processes.
    """

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to ``/api/v2/PATH`` and return the answer, which must be a success."""
        answer = self._session.request(method, f"{self._url}/api/v2/{path}", json=body, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition is true, and return its value. Airflow is watched from outside: this polls."""
        end = time.monotonic() + _SECONDS
        while not (value := condition()):
            assert time.monotonic() < end, f"{what} did not come within {_SECONDS} s:\n{self._log.read_text()[-9999:]}"
            time.sleep(0.5)
        return value

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run once its file has been read. A task that starts before the API server does would fail."""
        self.wait_for(lambda: dag_id in {dag["dag_id"] for dag in self.call("GET", "dags")["dags"]}, "the DAG")
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})

    def seen_by_the_scheduler(self, task_id: str) -> int:
        """Return of how many instances of a task the scheduler knows that they gave their worker back."""
        event = rf"executor event with state success for task instance TaskInstanceKey\(.*task_id='{task_id}'"
        return len(re.findall(event, self._log.read_text()))

    def log_in(self) -> None:
        """Wait for the API server, and get a token. Where everybody is an administrator, no password is asked for."""

        def token() -> Any:
            with contextlib.suppress(requests.ConnectionError):
                return self._session.get(f"{self._url}/auth/token", timeout=30).json()["access_token"]

        self._session.headers["Authorization"] = f"Bearer {self.wait_for(token, 'the API server')}"


@contextlib.contextmanager
def running_airflow(home: Path, dags: Path, settings: Mapping[str, str]) -> Iterator[RunningAirflow]:
    """Run ``airflow standalone`` with a SQLite database of its own; its DAGs are paused.

    :param home: a folder for the database and the logs.
    :param dags: the folder of the DAGs.
    :param settings: environment variables.
    """
    api, worker_logs, trigger_logs = _free_ports(3)
    url = f"http://127.0.0.1:{api}"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(api),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": "the secret of a test, which is long enough to be one: 0123456789 0123456789",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        **settings,
    }
    log = home / "standalone.log"
    command = [sys.executable, "-m", "airflow", "standalone"]
    # Airflow starts its parts as `airflow`, by PATH.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            airflow = RunningAirflow(url, log)
            airflow.log_in()
            yield airflow
        finally:
            family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
