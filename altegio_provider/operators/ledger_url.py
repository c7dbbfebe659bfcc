"""Which ledger a bulk import uses: the one it was given, the environment's, or a file where one host runs all tasks.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from altegio_provider.compat import AirflowNotFoundException, BaseHook, conf, get_connection, mask_secret
from altegio_provider.imports.ledger.ledger import LedgerError

if TYPE_CHECKING:
    from altegio_provider.compat import Connection

__all__ = ["HOW_TO_SHARE", "LEDGER_VARIABLE", "is_given", "ledger_url_of"]

#: The environment variable that names the ledger of all imports: a database URL, or an Airflow connection id.
LEDGER_VARIABLE = "ALTEGIO_LEDGER"

#: For an error.
HOW_TO_SHARE = (
    "Give every worker the same one, in one of two ways: ledger_conn_id= (an Airflow connection) or ledger_url= on the "
    f"operator; or the environment variable {LEDGER_VARIABLE} on every worker, with a connection id or a database URL "
    "such as postgresql://user@host/database."
)
#: Executors that run tasks on the scheduler's own host, as the configuration names them.
_LOCAL_EXECUTORS = {"LocalExecutor", "airflow.executors.local_executor.LocalExecutor"}
#: What the executors of Kubernetes, ECS, Batch and others set in the container of a task. The configuration in there
#: often names the LocalExecutor.
_CONTAINER_MARKS = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")
_BACKENDS = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
#: Settings of a connection that the database's driver takes; others are for Airflow's own hooks.
_DRIVER_SETTINGS = re.compile(
    r"ssl(mode|rootcert|cert|key|crl)|application_name|connect_timeout|options|target_session_attrs|keepalives\w*|"
    r"charset|unix_socket|ssl_\w+|timeout"
)


def ledger_url_of(ledger_url: str | None = None, ledger_conn_id: str | None = None) -> str:
    """Return the database URL of the ledger.

    It is the one given, that of the connection given, what the environment variable ``ALTEGIO_LEDGER`` names, or the
    SQLite file ``$AIRFLOW_HOME/altegio_ledger.db``. That file is for one host: where other hosts may run tasks, each
    would have a file of its own, and book again what another has booked.

    :param ledger_url: a database URL or, as before ``ledger_conn_id`` came, a connection id.
    :raises LedgerError: there is none, and tasks may run on several hosts; or the connection cannot be one.
    """
    if ledger_url and ledger_conn_id:
        raise LedgerError("ledger_url and ledger_conn_id are both given: give one of them")
    given = ledger_conn_id or ledger_url or os.environ.get(LEDGER_VARIABLE)
    if not given:
        return _file_of_this_host()
    if ledger_conn_id or "://" not in given:
        return _of_connection(given)
    if password := _password_in(given):
        mask_secret(password)
    return given


def is_given(ledger_url: str | None, ledger_conn_id: str | None) -> bool:
    """Whether somebody said which ledger to use; else it is a file of one host."""
    return bool(ledger_url or ledger_conn_id or os.environ.get(LEDGER_VARIABLE))


def _file_of_this_host() -> str:
    if elsewhere := _why_not_one_host():
        raise LedgerError(
            f"this import has no ledger that all workers share: {elsewhere}. By default the ledger is a file of one "
            f"host, and a worker on another host would book the same rows again. {HOW_TO_SHARE}"
        )
    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home / 'altegio_ledger.db'}"


def _why_not_one_host() -> str:
    """Why tasks may run on several hosts; empty where they do not, as far as the configuration tells."""
    for mark in _CONTAINER_MARKS:
        if os.environ.get(mark):
            return f"this task runs in a container of its own ({mark} is set)"
    # Several executors, some of them with an alias, some of them for one team only.
    for entry in re.split(r"[;,]", conf.get("core", "executor", fallback="LocalExecutor")):
        executor = entry.rpartition("=")[2].rpartition(":")[2].strip()
        if executor and executor not in _LOCAL_EXECUTORS:
            return f"its executor is {executor}, which may run tasks on several hosts"
    return ""


def _password_in(url: str) -> str | None:
    try:
        return sa.engine.make_url(url).password
    except (sa.exc.ArgumentError, ValueError):
        return None  # the ledger says what is wrong with it


def _of_connection(conn_id: str) -> str:
    try:
        connection = get_connection(conn_id)
    except AirflowNotFoundException:
        raise LedgerError(
            f"there is no Airflow connection {conn_id!r} for the ledger: make one of type postgres, mysql or sqlite"
        ) from None
    if connection.conn_type == "sqlite":
        return f"sqlite:///{connection.host or connection.schema or ''}"
    backend = _BACKENDS.get(connection.conn_type or "")
    url = _of_hook(conn_id, connection) if backend is None else _of_fields(backend, connection)
    return url.render_as_string(hide_password=False)


def _of_fields(backend: str, connection: Connection) -> sa.URL:
    return sa.engine.URL.create(
        backend,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port,
        database=connection.schema or None,
        query=_driver_settings(connection.extra_dejson),
    )


def _driver_settings(extra: Mapping[str, Any]) -> dict[str, str]:
    given = {**extra, **_as_mapping(extra.get("sqlalchemy_query"))}
    # MySQL's certificates are one setting in Airflow, and three in a URL.
    given |= {f"ssl_{name}": value for name, value in _as_mapping(extra.get("ssl")).items()}
    return {
        name: str(value)
        for name, value in given.items()
        if _DRIVER_SETTINGS.fullmatch(name) and isinstance(value, str | int | float)
    }


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _of_hook(conn_id: str, connection: Connection) -> sa.URL:
    """The URL that the connection's own hook makes, for databases that are not known here."""
    try:
        url = getattr(BaseHook.get_hook(conn_id), "sqlalchemy_url", None)
    except Exception as error:  # hooks raise what they like, and show what they like in it
        raise LedgerError(
            f"the connection {conn_id!r} (type {connection.conn_type}) has no hook here ({type(error).__name__}): "
            "the ledger needs one of type postgres, mysql or sqlite"
        ) from None
    if not isinstance(url, sa.engine.URL):
        raise LedgerError(
            f"the connection {conn_id!r} is of type {connection.conn_type}, which names no database for a ledger: "
            "make one of type postgres, mysql or sqlite"
        )
    return url
