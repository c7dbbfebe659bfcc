"""The hook: a connection of type ``altegio``, the client on it, and pandas DataFrames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from altegio_provider.api.errors import AltegioError, AltegioNotFoundError, AltegioValidationError
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import AirflowNotFoundException, BaseHook, mask_secret, with_connection_form

if TYPE_CHECKING:
    import pandas as pd

    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.types import Appointment, Event
    from altegio_provider.compat import Connection
    from altegio_provider.hooks.connection import ConnectionSettings

__all__ = ["AltegioHook"]

#: How long a probe is tried again.
_PROBE_SECONDS = 5.0

#: What a test of a connection adds where ``allow_http`` is in use.
_UNENCRYPTED = ". The host is http:// (allow_http is set): both tokens and the clients' data are sent unencrypted"

DtypeBackend = Literal["numpy", "pyarrow"]


@with_connection_form
class AltegioHook(BaseHook):
    """Talks to Altegio with the tokens and settings of an Airflow connection.

    The client's operations are here under the same names; ``location_id`` may be left out where the connection
    names a default location. Make a hook when a task runs, not when a DAG is parsed.

    :param altegio_conn_id: the connection; ``docs/connection.md`` describes its fields.
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
        """What the connection says.

        :raises AltegioValidationError: a field of the connection cannot be right.
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
            return self.get_connection(self.altegio_conn_id)
        except AirflowNotFoundException:
            if variable not in os.environ:
                raise
        except ValueError:
            pass
        # Airflow says of a variable that it cannot read that there is no such connection, or repeats what is in it.
        raise AltegioValidationError(
            f"the connection {self.altegio_conn_id!r} cannot be read.",
            errors={"port": ["must be a number of 1 to 65535"]},
            hint=f"Where {variable} is set, it must hold a JSON object or a URI.",
        )

    @clear_variables_on_error
    def get_conn(self) -> AltegioClient:
        """Return the client, the same one each time.

        :raises AltegioValidationError: a field of the connection cannot be right.
        """
        if self._client is None:
            self._client = self.settings.client()
        return self._client

    def close(self) -> None:
        """Close the client's connections; the next call makes new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def location_id(self, location_id: int | str | None = None) -> int:
        """Return the location to use: the one given, else the connection's default.

        :raises AltegioValidationError: there is neither, or it is no number.
        """
        from altegio_provider.api.arguments import argument_error, checked_id, is_absent

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
        """Yield the appointments of a time under either family: :meth:`AltegioClient.client_appointments_between`."""
        location = self.location_id(location_id)
        return self.get_conn().client_appointments_between(location, date_from, date_to, **options)

    @clear_variables_on_error
    def appointments_starting_between(
        self, location_id: int | None, date_from: datetime | str, date_to: datetime | str, **options: Any
    ) -> Iterator[Appointment]:
        """Yield what starts in a time, either family: :meth:`AltegioClient.appointments_starting_between`."""
        location = self.location_id(location_id)
        return self.get_conn().appointments_starting_between(location, date_from, date_to, **options)

    @clear_variables_on_error
    def update_event_appointment(
        self, location_id: int | None, event_id: int, record_id: int, changes: Mapping[str, Any]
    ) -> Appointment:
        """Change an appointment: :meth:`AltegioClient.update_event_appointment`."""
        location = self.location_id(location_id)
        return self.get_conn().update_event_appointment(location, event_id, record_id, changes)

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

        It is held in memory whole; for more than some 100,000 rows take :meth:`get_activities_df_by_chunks`.

        :param dtype_backend: ``numpy`` for pandas' classic types (a column with gaps becomes float or object),
            ``pyarrow`` for types that keep integers, lists and structs as they are.
        :param options: those of :meth:`AltegioClient.list_activities`.
        :returns: one row an activity, the columns of ``docs/schema.md``; also when there is no row.
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

        Only the present chunk is in memory: some 6 MB for every thousand rows. At least one DataFrame comes, without
        rows if there are none.
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
        """Ask for one activity of tomorrow in the default location, and say which family of routes answers.

        Both families are asked (reading only), for the one that a location does not answer under is the commonest
        mistake.
        """
        try:
            location = self.location_id()
            chosen = self.settings.route_family
            other = "locations" if chosen == "companies" else "companies"
            refusal = self._probe(chosen, location)
            if refusal is not None and refusal.transient:
                return False, str(refusal)  # the other one would keep the person waiting for the same
            refusal_of_other = self._probe(other, location)
        except AltegioError as error:
            return False, str(error)
        beside = "answers too" if refusal_of_other is None else f"says: {refusal_of_other}"
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
        retry = RetryPolicy(total_seconds=_PROBE_SECONDS)  # somebody waits in front of a form
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
        raise AltegioValidationError(
            f"dtype_backend must be 'numpy' or 'pyarrow', not {dtype_backend!r}.", errors={"dtype_backend": ["unknown"]}
        )
    # Each thread would keep memory of its own, and so few rows take no time.
    return table.to_pandas(use_threads=False)
