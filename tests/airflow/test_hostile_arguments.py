"""Whatever a connection, an operator, a sensor or a trigger is given: it is taken, or one typed error names it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from altegio_provider import plugin
from altegio_provider.api.errors import AltegioNotSentError, AltegioValidationError
from altegio_provider.compat import AirflowFailException
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.hooks.connection import ConnectionSettings
from altegio_provider.operators.appointments import (
    AltegioCreateAppointmentsOperator,
    AltegioDeleteAppointmentOperator,
    AltegioListAppointmentsOperator,
    AltegioRescheduleAppointmentOperator,
    AltegioUpdateAppointmentOperator,
)
from altegio_provider.operators.events import (
    AltegioCreateEventAppointmentOperator,
    AltegioCreateEventOperator,
    AltegioCreateEventsOperator,
    AltegioDeleteEventOperator,
    AltegioGetEventOperator,
    AltegioUpdateEventOperator,
)
from altegio_provider.sensors.events import AltegioEventSensor
from altegio_provider.sensors.inbox import AltegioInboxSensor
from altegio_provider.transfers.altegio_to_parquet import (
    AltegioActivitiesToParquetOperator,
    AltegioAppointmentsToParquetOperator,
)
from altegio_provider.triggers.events import AltegioEventConditionTrigger, AltegioEventTrigger
from tests.unit.api.test_hostile_arguments import BOOKING, CHANGE, EVENT, HOSTILE

#: Of the hostile values those that broke something once. (Airflow itself cannot take what is nested without end.)
BREAKING = (
    "nan,inf,huge,fraction,surrogate,5000 digits,superscript,list of none,object,text of year 1,year 9999,timedelta"
)
FLAT = {name: HOSTILE[name] for name in BREAKING.split(",")}
RANGE = {"date_from": "2027-11-20", "date_to": "2027-11-21"}
EXTRACT = {**RANGE, "lookback": dt.timedelta(0), "concurrency": 1, "page_size": 5, "timezone": "UTC", "location_id": 7}
CLIENTS = [{"name": "A", "surname": "B", "email": "a@example.com", "phone": "+37120000000"}]
BULK = {"defaults": None, "column_mapping": None, "max_rejected": 0, "on_duplicate": "skip", "dry_run": False}
PACE = {"settle_seconds": 0.01, "concurrency": 1, "resend_in_doubt": False, "timezone": "UTC", "location_id": 7}
OPERATORS: dict[Any, dict[str, Any]] = {
    AltegioCreateEventOperator: {**EVENT, "event": None, "location_id": 7},
    AltegioGetEventOperator: {"event_id": 5, "location_id": 7},
    AltegioUpdateEventOperator: {"event_id": 5, "changes": EVENT, "replace": True},
    AltegioDeleteEventOperator: {"event_id": 5},
    AltegioCreateEventAppointmentOperator: {"event_id": 5, "appointment": BOOKING},
    AltegioListAppointmentsOperator: {"event_id": 5, "client_id": 1, **RANGE},
    AltegioUpdateAppointmentOperator: {"event_id": 5, "record_id": 5, "changes": CHANGE},
    AltegioRescheduleAppointmentOperator: {"event_id": 5, "record_id": 5, "to_event_id": 6, "clients_count": 1},
    AltegioDeleteAppointmentOperator: {"appointment_id": 5},
    AltegioActivitiesToParquetOperator: {
        **EXTRACT,
        "staff_ids": [1],
        "service_ids": [1],
        "capacity": 1,
        "search": None,
        "history": False,
    },
    AltegioAppointmentsToParquetOperator: EXTRACT,
    AltegioCreateAppointmentsOperator: {"source": CLIENTS, "event_id": 5, **BULK, **PACE, "default_region": None},
    AltegioCreateEventsOperator: {"source": [EVENT], **BULK, **PACE},
    AltegioEventSensor: {"event_id": 5, "location_id": 7, "min_free_seats": 1, "timezone": "UTC", "max_failures": 5},
    AltegioInboxSensor: {"quiet_seconds": 1},
}
OWN = {
    AltegioActivitiesToParquetOperator: lambda folder: {"output_path": str(folder / "out")},
    AltegioAppointmentsToParquetOperator: lambda folder: {"output_path": str(folder / "out")},
    AltegioCreateAppointmentsOperator: lambda folder: {
        "ledger_url": f"sqlite:///{folder / 'ledger.db'}",
        "check_seats": False,
    },
    AltegioCreateEventsOperator: lambda folder: {"ledger_url": f"sqlite:///{folder / 'ledger.db'}"},
    AltegioInboxSensor: lambda folder: {"folder": str(folder)},
}
NUMBERS = ("location_id", "requests_per_second", "requests_per_minute", "timeout")
TEXTS = ("user_token", "route_family", "timezone", "rate_limit_url", "verify", "allow_http")
OF_JSON = [None, True, -1, 1.5, "", " ", "word", "\ud800", "9" * 5000, "²", "nan", "inf", "1e308", "1e999", [], [1], {}]


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2"
    extra = {"user_token": "user-token", "location_id": 7, "route_family": "locations", "requests_per_minute": 0}
    connection = {"conn_type": "altegio", "host": url, "password": "partner-token", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_each_argument_of_an_operator(kind, tmp_path) -> None:
    arguments = {**OWN.get(kind, lambda _: {})(tmp_path), **OPERATORS[kind]}
    faults = {}
    for argument in OPERATORS[kind]:
        for name, value in FLAT.items():
            try:
                operator = kind(task_id="hostile", **{**arguments, argument: value})
                (operator.poke if hasattr(operator, "poke") else operator.execute)({})
            except (AltegioValidationError, AirflowFailException):
                continue  # a bulk operator fails for good with the typed error's text
            except Exception as error:
                if "no connection" not in str(error):
                    faults[argument, name] = f"{type(error).__name__}: {str(error)[:80]}"
    assert faults == {}


@pytest.mark.parametrize("field", [*NUMBERS, *TEXTS])
def test_each_field_of_a_connections_extra(field) -> None:
    faults = {}
    for value in [*OF_JSON, 1e308, float("inf"), float("nan"), 10**400, 2**63]:
        extra = {"user_token": "user-token", field: value}
        connection = SimpleNamespace(
            conn_id="c", host="", port=None, schema=None, password="partner", extra_dejson=extra
        )
        try:
            ConnectionSettings.of(connection).client().close()
        except AltegioValidationError as error:
            if field not in error.errors:
                faults[str(value)[:20]] = str(error)
        except Exception as error:
            faults[str(value)[:20]] = f"{type(error).__name__}: {error}"
    assert faults == {}


@pytest.mark.parametrize(
    "connection",
    [
        '{"conn_type": "altegio", "host": "h", "port": "abc", "password": "secret-word"}',
        "altegio://:secret-word@host:port/",
        "altegio://:secret-word@host:99999999/",
        "altegio://:secret-word@[::1",
        '{"conn_type": "altegio", "password": "secret-word", "extra": "[1]"}',
        '{"conn_type": "altegio", "password": "secret-word", "port": 70000, "host": "api.example"}',
        '{"secret-word',
    ],
)
def test_a_connection_that_cannot_be_read_is_named_without_what_is_in_it(monkeypatch, connection) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HOSTILE", connection)
    with pytest.raises(AltegioValidationError, match="the connection 'hostile' cannot be") as caught:
        _ = AltegioHook("hostile").settings
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("argument", ["poke_interval", "max_failures", "horizon_days", "service_ids", "staff_ids"])
def test_each_argument_of_a_trigger(argument) -> None:
    triggers = [lambda **own: AltegioEventTrigger(location_id=7, **own)]
    if argument in ("poke_interval", "max_failures"):
        triggers.append(
            lambda **own: AltegioEventConditionTrigger(location_id=7, event_id=5, condition="exists", **own)
        )
    faults = {}
    for name, value in HOSTILE.items():
        for make in triggers:
            try:
                trigger = make(**{argument: value})
                dt.timedelta(days=getattr(trigger, "horizon_days", 1), seconds=trigger.poke_interval)
            except AltegioValidationError as error:
                if argument not in error.errors:
                    faults[name] = str(error)
            except Exception as error:
                faults[name] = f"{type(error).__name__}: {error}"
    assert faults == {}


@pytest.mark.parametrize("macro", [plugin.day_start, plugin.day_end, plugin.month_start, plugin.month_end])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"])
def test_a_day_that_no_clock_can_show_is_named(macro, day) -> None:
    with pytest.raises(ValueError, match="day"):
        macro(day, "Europe/Riga")


@pytest.mark.parametrize("value", [0, -1, None, "2000", 1.5, float("nan"), True])
def test_a_chunk_size_that_is_none_is_named(value) -> None:
    chunks = AltegioHook().get_activities_df_by_chunks(7, "2027-11-20", "2027-11-21", chunksize=value)
    if value == "2000":
        with pytest.raises(AltegioNotSentError):
            next(chunks)
        return
    with pytest.raises(AltegioValidationError, match="chunksize"):
        next(chunks)
