"""PostgreSQL, MySQL and Redis for tests, where they answer; and Airflow connections to warehouses."""

from __future__ import annotations

import json
import os
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
