"""Finds the ledger of a bulk import: an argument, the environment variable, or a file if one host runs all tasks.

This module is imported when a task runs, never when a DAG is parsed.
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

#: The advice of errors about a ledger that is not shared.
HOW_TO_SHARE = (
    "Give every worker the same ledger: set ledger_conn_id= (an Airflow connection) or ledger_url= on the operator, or "
    f"set the environment variable {LEDGER_VARIABLE} on every worker to a connection id or a database URL such as "
    "postgresql://user@host/database."
)
#: Executors that run tasks on the scheduler's host, as the configuration names them.
_LOCAL_EXECUTORS = {"LocalExecutor", "airflow.executors.local_executor.LocalExecutor"}
#: Variables that the executors of Kubernetes, ECS, Batch and others set in the container of a task. The configuration
#: in the container often names the LocalExecutor.
_CONTAINER_MARKS = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")
_BACKENDS = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
#: Settings of a connection for the database's driver. The others are for Airflow's hooks.
_DRIVER_SETTINGS = re.compile(
    r"ssl(mode|rootcert|cert|key|crl)|application_name|connect_timeout|options|target_session_attrs|keepalives\w*|"
    r"charset|unix_socket|ssl_\w+|timeout"
)


def ledger_url_of(ledger_url: str | None = None, ledger_conn_id: str | None = None) -> str:
    """Return the database URL of the ledger.

    The arguments come first, then the environment variable ``ALTEGIO_LEDGER``, then the SQLite file
    ``$AIRFLOW_HOME/altegio_ledger.db``. The file is for one host: with several hosts, each would have its own file and
    book the rows again that another host has booked.

    :param ledger_url: a database URL or a connection id.
    :param ledger_conn_id: a connection id.
    :raises LedgerError: no ledger is given and tasks may run on several hosts, or the connection is unsuitable.
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
    """Return whether a ledger is configured. Otherwise the ledger is a file of one host.

    :param ledger_url: the argument of the operator.
    :param ledger_conn_id: the argument of the operator.
    """
    return bool(ledger_url or ledger_conn_id or os.environ.get(LEDGER_VARIABLE))


def _file_of_this_host() -> str:
    if elsewhere := _why_not_one_host():
        raise LedgerError(
            f"this import has no ledger that all workers share: {elsewhere}. The default ledger is a file of one host, "
            f"and a worker on another host would book the same rows again. {HOW_TO_SHARE}"
        )
    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home / 'altegio_ledger.db'}"


def _why_not_one_host() -> str:
    """Return why tasks may run on several hosts; empty if the configuration gives no reason to think so."""
    for mark in _CONTAINER_MARKS:
        if os.environ.get(mark):
            return f"this task runs in a container of its own ({mark} is set)"
    # The setting can name several executors, each with an alias or a team.
    for entry in re.split(r"[;,]", conf.get("core", "executor", fallback="LocalExecutor")):
        executor = entry.rpartition("=")[2].rpartition(":")[2].strip()
        if executor and executor not in _LOCAL_EXECUTORS:
            return f"its executor is {executor}, which may run tasks on several hosts"
    return ""


def _password_in(url: str) -> str | None:
    try:
        return sa.engine.make_url(url).password
    except (sa.exc.ArgumentError, ValueError):
        return None  # opening the ledger reports the invalid URL


def _of_connection(conn_id: str) -> str:
    try:
        connection = get_connection(conn_id)
    except AirflowNotFoundException:
        raise LedgerError(
            f"the ledger's Airflow connection {conn_id!r} does not exist: create it with type postgres, mysql or sqlite"
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
    # Airflow has one setting for MySQL's certificates; a URL has three.
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
    """Return the URL from the connection's hook, for databases that this module does not know."""
    try:
        url = getattr(BaseHook.get_hook(conn_id), "sqlalchemy_url", None)
    except Exception as error:  # a hook can raise anything, and its text can show secrets
        raise LedgerError(
            f"the connection {conn_id!r} (type {connection.conn_type}) has no usable hook ({type(error).__name__}): "
            "the ledger needs a connection of type postgres, mysql or sqlite"
        ) from None
    if not isinstance(url, sa.engine.URL):
        raise LedgerError(
            f"the connection {conn_id!r} has the type {connection.conn_type}, which cannot hold a ledger: "
            "use a connection of type postgres, mysql or sqlite"
        )
    return url
