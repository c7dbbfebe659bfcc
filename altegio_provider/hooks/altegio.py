"""The hook: the client of an Airflow connection, and pandas DataFrames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.errors import AltegioError, AltegioNotFoundError, AltegioValidationError
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import (
    AirflowNotFoundException,
    BaseHook,
    get_connection,
    mask_secret,
    with_connection_form,
)

if TYPE_CHECKING:
    import pandas as pd

    from altegio_provider.api.bodies.bulk import BulkRefusal
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.types import Appointment, Event
    from altegio_provider.compat import Connection
    from altegio_provider.hooks.connection import ConnectionSettings

__all__ = ["AltegioHook"]

#: How long the requests of a connection test are retried.
_PROBE_SECONDS = 5.0

#: What a connection test adds if ``allow_http`` is in use.
_UNENCRYPTED = ". The host is http:// (allow_http is set): both tokens and the clients' data are sent unencrypted"

DtypeBackend = Literal["numpy", "pyarrow"]


@with_connection_form
class AltegioHook(BaseHook):
    """The operations of Altegio, with the tokens and settings of an Airflow connection.

    It has the client's operations under the same names. ``location_id`` may be ``None`` if the connection has a default
    location. Make a hook when a task runs, not when a DAG is parsed.

    :param altegio_conn_id: the connection; ``docs/connection.md`` describes its fields.
    :param kwargs: passed to Airflow's ``BaseHook``.
    """

    conn_name_attr: ClassVar[str] = "altegio_conn_id"
    default_conn_name: ClassVar[str] = "altegio_default"
    conn_type: ClassVar[str] = "altegio"
    hook_name: ClassVar[str] = "Altegio"

    def __init__(self, altegio_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.altegio_conn_id = altegio_conn_id
        self._client: AltegioClient | None = None
        self._settings: ConnectionSettings | None = None

    @property
    def settings(self) -> ConnectionSettings:
        """The settings of the connection.

        :raises AltegioValidationError: a field of the connection is invalid.
        """
        from altegio_provider.hooks.connection import ConnectionSettings

        if self._settings is None:
            self._settings = ConnectionSettings.of(self._connection())
            for secret in self._settings.secrets:
                mask_secret(secret)
        return self._settings

    def _connection(self) -> Connection:
        variable = f"AIRFLOW_CONN_{self.altegio_conn_id.upper()}"
        try:
            return get_connection(self.altegio_conn_id)
        except AirflowNotFoundException:
            if variable not in os.environ:
                raise
        except ValueError:
            pass
        # For a variable that it cannot read, Airflow says that the connection does not exist, or repeats its value.
        raise AltegioValidationError(
            f"the connection {self.altegio_conn_id!r} cannot be read.",
            errors={"port": ["must be a number of 1 to 65535"]},
            hint=f"If {variable} is set, it must be a JSON object or a URI.",
        )

    @clear_variables_on_error
    def get_conn(self) -> AltegioClient:
        """Return the client, the same one at each call.

        :raises AltegioValidationError: a field of the connection is invalid.
        """
        if self._client is None:
            self._client = self.settings.client()
        return self._client

    def close(self) -> None:
        """Close the client's connections. The next call opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def location_id(self, location_id: int | str | None = None) -> int:
        """Return the location to use.

        :param location_id: the location; ``None`` for the connection's default.
        :raises AltegioValidationError: there is none, or it is not a number.
        """
        from altegio_provider.api.arguments import checked_id, is_absent

        chosen = self.settings.location_id if is_absent(location_id) else location_id
        if chosen is None:
            raise argument_error(
                "location_id",
                f"is missing: neither the task nor the connection {self.altegio_conn_id!r} names one",
                "Give it to the task, or set it in the connection's extra.",
            )
        return checked_id("location_id", chosen)

    @clear_variables_on_error
    def list_activities(
        self, location_id: int | None, date_from: datetime | str, date_to: datetime | str, **options: Any
    ) -> Iterator[Event]:
        """Yield activities as flat dicts: :meth:`AltegioClient.list_activities`, with the same options."""
        return self.get_conn().list_activities(self.location_id(location_id), date_from, date_to, **options)

    @clear_variables_on_error
    def get_event(self, location_id: int | None, event_id: int, **options: Any) -> Event:
        """Return one event: :meth:`AltegioClient.get_event`, with the same options."""
        return self.get_conn().get_event(self.location_id(location_id), event_id, **options)

    @clear_variables_on_error
    def create_event(self, location_id: int | None, event: Mapping[str, Any]) -> Event:
        """Create an event: :meth:`AltegioClient.create_event`."""
        return self.get_conn().create_event(self.location_id(location_id), event)

    @clear_variables_on_error
    def duplicate_event(
        self, location_id: int | None, event_id: int, dates: Sequence[datetime | str], **options: Any
    ) -> list[Event]:
        """Copy an event to other dates: :meth:`AltegioClient.duplicate_event`."""
        return self.get_conn().duplicate_event(self.location_id(location_id), event_id, dates, **options)

    @clear_variables_on_error
    def update_event(self, location_id: int | None, event_id: int, event: Mapping[str, Any]) -> Event:
        """Replace an event: :meth:`AltegioClient.update_event`."""
        return self.get_conn().update_event(self.location_id(location_id), event_id, event)

    @clear_variables_on_error
    def delete_event(self, location_id: int | None, event_id: int) -> None:
        """Delete an event: :meth:`AltegioClient.delete_event`."""
        self.get_conn().delete_event(self.location_id(location_id), event_id)

    @clear_variables_on_error
    def create_event_appointment(
        self, location_id: int | None, event_id: int, appointment: Mapping[str, Any]
    ) -> Appointment:
        """Book a client: :meth:`AltegioClient.create_event_appointment`."""
        return self.get_conn().create_event_appointment(self.location_id(location_id), event_id, appointment)

    @clear_variables_on_error
    def list_appointments(self, location_id: int | None = None, **options: Any) -> Iterator[Appointment]:
        """Yield appointments as flat dicts: :meth:`AltegioClient.list_appointments`, with the same options."""
        return self.get_conn().list_appointments(self.location_id(location_id), **options)

    @clear_variables_on_error
    def event_appointments(self, location_id: int | None, event_id: int, **options: Any) -> Iterator[Appointment]:
        """Yield an event's appointments under either family: :meth:`AltegioClient.event_appointments`."""
        return self.get_conn().event_appointments(self.location_id(location_id), event_id, **options)

    @clear_variables_on_error
    def client_appointments_between(
        self, location_id: int | None, date_from: datetime | str, date_to: datetime | str, **options: Any
    ) -> Iterator[Appointment]:
        """Yield the appointments of a range under either family: :meth:`AltegioClient.client_appointments_between`."""
        location = self.location_id(location_id)
        return self.get_conn().client_appointments_between(location, date_from, date_to, **options)

    @clear_variables_on_error
    def appointments_starting_between(
        self, location_id: int | None, date_from: datetime | str, date_to: datetime | str, **options: Any
    ) -> Iterator[Appointment]:
        """Yield the appointments that start in a range: :meth:`AltegioClient.appointments_starting_between`."""
        location = self.location_id(location_id)
        return self.get_conn().appointments_starting_between(location, date_from, date_to, **options)

    @clear_variables_on_error
    def bulk_create_event_appointments(
        self, location_id: int | None, event_id: int, appointments: Sequence[Mapping[str, Any]], **options: Any
    ) -> list[Appointment | BulkRefusal]:
        """Book up to 50 clients into an event: :meth:`AltegioClient.bulk_create_event_appointments`."""
        location = self.location_id(location_id)
        return self.get_conn().bulk_create_event_appointments(location, event_id, appointments, **options)

    @clear_variables_on_error
    def update_event_appointment(
        self, location_id: int | None, event_id: int, record_id: int, changes: Mapping[str, Any], **options: Any
    ) -> Appointment:
        """Change an appointment: :meth:`AltegioClient.update_event_appointment`."""
        location = self.location_id(location_id)
        return self.get_conn().update_event_appointment(location, event_id, record_id, changes, **options)

    @clear_variables_on_error
    def reschedule_event_appointment(
        self, location_id: int | None, event_id: int, record_id: int, to_event_id: int, **options: Any
    ) -> Appointment:
        """Move an appointment: :meth:`AltegioClient.reschedule_event_appointment`, with the same options."""
        location = self.location_id(location_id)
        return self.get_conn().reschedule_event_appointment(location, event_id, record_id, to_event_id, **options)

    @clear_variables_on_error
    def delete_appointment(self, location_id: int | None, appointment_id: int) -> None:
        """Delete an appointment: :meth:`AltegioClient.delete_appointment`."""
        self.get_conn().delete_appointment(self.location_id(location_id), appointment_id)

    @clear_variables_on_error
    def get_activities_df(
        self,
        location_id: int | None,
        date_from: datetime | str,
        date_to: datetime | str,
        *,
        dtype_backend: DtypeBackend = "numpy",
        **options: Any,
    ) -> pd.DataFrame:
        """Return the activities that start in ``[date_from, date_to)`` as one DataFrame.

        All rows are held in memory. For more than about 100,000 use :meth:`get_activities_df_by_chunks`.

        :param location_id: the location; ``None`` for the connection's default.
        :param date_from: the start: aware, or ISO 8601 text with an offset; a naive one is on the location's clock.
        :param date_to: the end, not included.
        :param dtype_backend: ``numpy`` for pandas' classic types (a column with nulls becomes float or object),
            ``pyarrow`` for types that keep integers, lists and structs.
        :param options: those of :meth:`AltegioClient.list_activities`.
        :returns: one row for each activity, with the columns of ``docs/schema.md`` even if there are no rows.
        """
        import pyarrow as pa

        batches = list(self._batches(location_id, date_from, date_to, 65_536, options))
        return _frame(pa.Table.from_batches(batches), dtype_backend)

    @clear_variables_on_error
    def get_activities_df_by_chunks(
        self,
        location_id: int | None,
        date_from: datetime | str,
        date_to: datetime | str,
        *,
        chunksize: int = 2_000,
        dtype_backend: DtypeBackend = "numpy",
        **options: Any,
    ) -> Iterator[pd.DataFrame]:
        """Yield the same as :meth:`get_activities_df` in DataFrames of ``chunksize`` rows, the last one shorter.

        Only one chunk is in memory: about 6 MB for 1,000 rows. There is at least one DataFrame, without rows if there
        are none.

        :param location_id: the location; ``None`` for the connection's default.
        :param date_from: the start, as for :meth:`get_activities_df`.
        :param date_to: the end, not included.
        :param chunksize: rows of a DataFrame.
        :param dtype_backend: as for :meth:`get_activities_df`.
        :param options: those of :meth:`AltegioClient.list_activities`.
        """
        import pyarrow as pa

        from altegio_provider.api.arguments import checked_id

        chunksize = checked_id("chunksize", chunksize)
        for batch in self._batches(location_id, date_from, date_to, chunksize, options):
            yield _frame(pa.Table.from_batches([batch]), dtype_backend)

    def _batches(
        self,
        location_id: int | None,
        date_from: datetime | str,
        date_to: datetime | str,
        rows: int,
        options: Mapping[str, Any],
    ) -> Iterator[Any]:
        from altegio_provider.tables.convert.activities import ActivityConverter

        location = self.location_id(location_id)
        timezone = options.get("timezone") or self.settings.timezone
        activities = self.get_conn().list_activities(location, date_from, date_to, **options)
        yield from ActivityConverter(location, timezone).batches(activities, rows)

    def test_connection(self) -> tuple[bool, str]:
        """Read one activity of tomorrow in the default location, and return which route families answer.

        Both families are read, because a family under which the location does not answer is the commonest mistake.
        """
        try:
            location = self.location_id()
            chosen = self.settings.route_family
            other = "locations" if chosen == "companies" else "companies"
            refusal = self._probe(chosen, location)
            if refusal is not None and refusal.transient:
                return False, str(refusal)  # the other family would fail in the same way
            refusal_of_other = self._probe(other, location)
        except AltegioError as error:
            return False, str(error)
        beside = "answers too" if refusal_of_other is None else f"fails: {refusal_of_other}"
        if refusal is None:
            in_clear = _UNENCRYPTED if self.settings.is_unencrypted else ""
            return True, f"Location {location} answers under route_family={chosen!r}; {other!r} {beside}{in_clear}"
        advice = ""
        if isinstance(refusal, AltegioNotFoundError) and refusal_of_other is None:
            advice = f" Set route_family to {other!r}."
        return False, f"{refusal} Under route_family={other!r} it {beside}.{advice}"

    def _probe(self, route_family: str, location: int) -> AltegioError | None:
        from datetime import UTC, timedelta

        from altegio_provider.api.http.retry import RetryPolicy

        begin = datetime.now(UTC) + timedelta(days=1)
        retry = RetryPolicy(total_seconds=_PROBE_SECONDS)  # a person waits for the result
        try:
            with self.settings.with_route_family(route_family).client(retry=retry) as client:
                next(client.list_activities(location, begin, begin + timedelta(days=1), page_size=1), None)
        except AltegioError as error:
            return error
        return None


def _frame(table: Any, dtype_backend: DtypeBackend) -> pd.DataFrame:
    if dtype_backend == "pyarrow":
        import pandas as pd

        return table.to_pandas(types_mapper=pd.ArrowDtype, use_threads=False)
    if dtype_backend != "numpy":
        raise argument_error("dtype_backend", f"must be 'numpy' or 'pyarrow', not {dtype_backend!r}")
    # Threads would each keep memory of their own, and so few rows need no threads.
    return table.to_pandas(use_threads=False)
