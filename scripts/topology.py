"""Runs the services of docker-compose.yaml as processes of this machine, with the same commands and environment.

PostgreSQL and Redis are started in a temporary folder if they are installed. Otherwise the servers at
``ALTEGIO_SCALE_POSTGRES`` and ``ALTEGIO_SCALE_REDIS`` are used, by default at the usual local ports.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
_DATABASE = re.compile(r"//(\w+):[^@/]*@(postgres|warehouse)/(\w+)")


class Topology:
    """The services that Compose would start, as processes that end with the ``with`` block.

    :param folder: the folder for Airflow's home, the data and the logs.
    :param settings: environment variables in addition to those of the file.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.settings = dict(settings)
        self._services: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
        self._secrets = {name: secrets.token_hex(32) for name in ("API_SECRET_KEY", "JWT_SECRET", "POSTGRES_PASSWORD")}
        self._secrets["FERNET_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
        self._ports = {name: free_port() for name in ("api-server", "sandbox", "postgres", "warehouse", "redis")}
        self._databases: dict[str, str] = {}
        self._redis = ""
        self._temporary: list[Path] = []
        self._given_databases: list[tuple[str, str]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Topology:
        for name in ("airflow/data", "airflow/logs", "airflow/auth", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.stop(name)
        for url, database in self._given_databases:
            _execute(url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def sandbox_control(self) -> str:
        """The URL of the sandbox's control plane."""
        return f"http://127.0.0.1:{self._ports['sandbox']}/_sandbox"

    def database(self, service: str) -> str:
        """Return the URL of a service's database."""
        return self._databases[service]

    def redis(self, number: int) -> str:
        """Return the URL of one of Redis' databases, by its number in the file."""
        return self._local(f"redis://redis:6379/{number}")

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's environment, with the addresses of this machine."""
        kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "ALTEGIO" not in name}
        told = {name: self._local(str(value)) for name, value in self._services[service]["environment"].items()}
        ours = {
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__API__PORT": str(self._ports["api-server"]),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        return {**kept, **told, **ours, **self.settings}

    def run(self, service: str, command: str = "") -> str:
        """Run a command to its end, by default the service's own, and return what it printed."""
        arguments = shlex.split(self._local(command or self._services[service]["command"]))
        done = subprocess.run(
            arguments,
            env=self.environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{shlex.join(arguments)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def start(self, service: str, name: str = "", more: str = "") -> None:
        """Start a service's command in the background, followed by ``more``."""
        environment = (
            self.environment(service) if "environment" in self._services[service] else self.environment("init")
        )
        command = self._local(f"{self._services[service]['command']} {more}")
        self._spawn(name or service, shlex.split(command), env=environment, cwd=self.folder)
        if service == "sandbox":
            self._prefer(service)

    def start_databases(self) -> None:
        """Start PostgreSQL twice, for the metadata and for the warehouse, and Redis once."""
        for service in ("postgres", "warehouse"):
            told = self._services[service]["environment"]
            binaries = _postgres_binaries()
            if binaries:
                self._start_postgres(service, binaries, told["POSTGRES_USER"], told["POSTGRES_DB"])
            else:
                url = os.environ.get("ALTEGIO_SCALE_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
                database = f"altegio_scale_{service}"
                _execute(url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
                _execute(url, f"CREATE DATABASE {database}")
                self._given_databases.append((url, database))
                self._databases[service] = url.rsplit("/", 1)[0] + f"/{database}"
        if shutil.which("redis-server"):
            self.start_redis()
        else:
            self._redis = os.environ.get("ALTEGIO_SCALE_REDIS", "redis://127.0.0.1:6379")

    def start_redis(self) -> None:
        """Start Redis."""
        folder = tempfile.mkdtemp(prefix="altegio-redis-")
        self._temporary.append(Path(folder))
        port = self._ports["redis"]
        command = shlex.split(self._services["redis"]["command"])
        self._spawn("redis", [*command, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder])
        self._prefer("redis")
        until(lambda: answers(port), 20, "Redis")

    def family(self, name: str) -> list[int]:
        """Return the process ids of a process and its descendants."""
        root = psutil.Process(self.processes[name].pid)
        return [process.pid for process in (*root.children(recursive=True), root)]

    def cpu_seconds(self, name: str) -> float:
        """Return the processor time of a process and its descendants, including those that have ended."""
        return sum(sum(psutil.Process(pid).cpu_times()[:4]) for pid in self.family(name))

    def kill(self, name: str) -> int:
        """Kill a process and its descendants with SIGKILL; return how many there were."""
        family = [psutil.Process(pid) for pid in self.family(name)]
        self.processes.pop(name)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        return len(family)

    def stop(self, name: str) -> None:
        """Stop a process; kill it if it does not end."""
        process = self.processes[name]
        process.send_signal(signal.SIGINT if name in ("postgres", "warehouse") else signal.SIGTERM)
        try:
            process.wait(15)
            self.processes.pop(name)
        except subprocess.TimeoutExpired:
            self.kill(name)

    def _prefer(self, name: str) -> None:
        """Raise a process' priority, if allowed: it stands for another machine with its own processors."""
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self.processes[name].pid, -10)

    def _spawn(self, name: str, command: list[str], **options: Any) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
        self.processes[name] = process

    def _start_postgres(self, service: str, binaries: Path, user: str, database: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix="altegio-postgres-"))
        self._temporary.append(folder)
        identity: dict[str, Any] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            identity = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres", "postgres")
        made = [binaries / "initdb", "--pgdata", folder / "data", "--username", user, "--auth", "trust", "--no-sync"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/", **identity)
        port = self._ports[service]
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        command = [str(binaries / "postgres"), "-D", str(folder / "data")]
        self._spawn(service, [*command, *(part for one in settings for part in ("-c", one))], cwd="/", **identity)
        url = f"postgresql://{user}@127.0.0.1:{port}"
        until(lambda: answers(port) and _connects(f"{url}/postgres"), 30, "PostgreSQL")
        _execute(f"{url}/postgres", f"CREATE DATABASE {database}")
        self._databases[service] = f"{url}/{database}"

    def _local(self, text: str) -> str:
        """Put the values of ``.env`` and the addresses of this machine into a text of the file."""
        text = _VARIABLE.sub(lambda found: found[3] if found[2] == "-" else self._secrets.get(found[1], "secret"), text)
        text = _DATABASE.sub(lambda found: self._databases[found[2]].removeprefix("postgresql:"), text)
        if self._redis:  # a server that others may use: avoid its first databases
            text = re.sub(r"redis://redis:6379/(\d)", lambda found: f"{self._redis}/{14 + int(found[1])}", text)
        for there, here in (
            ("redis:6379", f"127.0.0.1:{self._ports['redis']}"),
            ("api-server:8080", f"127.0.0.1:{self._ports['api-server']}"),
            ("sandbox:8089", f"127.0.0.1:{self._ports['sandbox']}"),
            ("--host 0.0.0.0 --port 8089", f"--host 127.0.0.1 --port {self._ports['sandbox']}"),
            ("/opt/airflow/dags", str(REPOSITORY / "dags")),
            ("/opt/airflow/plugins", str(REPOSITORY / "plugins")),
            ("/opt/airflow", str(self.folder / "airflow")),
            ("/opt/altegio", str(REPOSITORY)),
        ):
            text = text.replace(there, here)
        return text


def free_port() -> int:
    """Return a free local port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Return whether a local port is in use."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.5) -> Any:
    """Wait for a condition and return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come within {seconds:.0f} s.")
        time.sleep(pause)
    return value


def _postgres_binaries() -> Path | None:
    found = [*sorted(glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), shutil.which("initdb")]
    folders = [Path(one).resolve().parent for one in found if one]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def _connects(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def _execute(url: str, sql: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(sql)
