"""PostgreSQL, MySQL and Redis for tests, where they answer; and Airflow connections to warehouses.

A test that stops or breaks a Redis starts one of its own (:class:`PrivateRedis`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

_REDIS = os.environ.get("ALTEGIO_TEST_REDIS", "redis://127.0.0.1:6379/9")
_POSTGRES = os.environ.get("ALTEGIO_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
_MYSQL = os.environ.get("ALTEGIO_TEST_MYSQL", "mysql://root@127.0.0.1:3306/test")
#: The databases that can hold a ledger.
LEDGERS = ("sqlite", "postgresql+psycopg", "mysql+pymysql")


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a database of its own, dropped afterwards; one of :data:`LEDGERS`."""
    import sqlalchemy as sa

    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    service = sa.make_url(_POSTGRES if kind.startswith("postgresql") else _MYSQL).set(drivername=kind)
    engine = sa.create_engine(service, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"altegio_{uuid.uuid4().hex[:12]}"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except sa.exc.OperationalError:
        _do_without(kind, str(service))
    try:
        yield service.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}" + " WITH (FORCE)" * kind.startswith("postgresql"))


def postgres_uri() -> str:
    """PostgreSQL's address; the test is skipped where it lets nobody in, or fails where services are demanded."""
    import adbc_driver_postgresql.dbapi as driver

    try:
        driver.connect(_POSTGRES).close()
    except driver.Error:
        _do_without("PostgreSQL", _POSTGRES)
    return _POSTGRES


def redis_url() -> str:
    """Redis's address; likewise."""
    import redis

    try:
        with redis.Redis.from_url(_REDIS) as client:
            client.ping()
    except redis.RedisError:
        _do_without("Redis", _REDIS)
    return _REDIS


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class PrivateRedis:
    """A Redis server of this test alone, which it may stop and start again. It forgets everything when it stops.

    :param options: of ``redis-server``, as in ``"--requirepass", "secret"``.
    """

    def __init__(self, *options: str) -> None:
        if shutil.which("redis-server") is None:
            _do_without("redis-server", "its own port")
        self.port = free_port()
        self._folder = tempfile.mkdtemp(prefix="altegio-redis-")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder]
        self._process = subprocess.Popen(["redis-server", *options, *self._options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < until
                assert self._process.poll() is None
                time.sleep(0.005)

    def stop(self) -> None:
        """Kill it; nothing answers at its port afterwards."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def private_redis(*options: str) -> Iterator[PrivateRedis]:
    """A :class:`PrivateRedis` that is closed afterwards."""
    server = PrivateRedis(*options)
    try:
        yield server
    finally:
        server.close()


def _do_without(service: str, url: str) -> NoReturn:
    where = urlsplit(url).netloc.rpartition("@")[2]
    if os.environ.get("ALTEGIO_REQUIRE_SERVICES"):
        pytest.fail(f"{service} does not let us in at {where}, and ALTEGIO_REQUIRE_SERVICES is set")
    pytest.skip(f"{service} does not let us in at {where}")


def connection_of(kind: str, where: str) -> str:
    """An Airflow connection as JSON."""
    if kind == "duckdb":
        return json.dumps({"conn_type": "duckdb", "host": where})
    return json.dumps({"conn_type": "adbc", "extra": {"dialect": "postgresql", "db_kwargs": {"uri": where}}})
