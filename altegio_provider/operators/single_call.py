"""What the operators that make one call share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.operators.personal import OperatorWithPersonalFields

if TYPE_CHECKING:
    from altegio_provider.compat import Context

__all__ = ["SingleCallOperator", "integer_or_unchanged", "no_retry_if_outcome_unknown", "select_fields"]


class SingleCallOperator(OperatorWithPersonalFields):
    """The connection, the location, and the hook for the time of a call.

    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    """

    template_fields: Sequence[str] = ("altegio_conn_id", "location_id")
    ui_color = "#e8f3ec"
    #: What a call names beside location and event, for the text of a 404.
    also_named: Sequence[str] = ()

    def __init__(
        self,
        *,
        location_id: int | str | None = None,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.location_id = location_id
        self.altegio_conn_id = altegio_conn_id

    @clear_variables_on_error
    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's signature
        """Make the call with a hook that is closed afterwards."""
        from altegio_provider.api.errors import AltegioNotFoundError
        from altegio_provider.api.writes.not_found import describe_missing

        hook = AltegioHook(self.altegio_conn_id)
        try:
            location_id = hook.location_id(self.location_id)
            try:
                return self._call(hook, location_id)
            except AltegioNotFoundError as error:
                event_id = integer_or_unchanged(getattr(self, "event_id", None))
                missing = describe_missing(hook.get_conn(), location_id, event_id, self.also_named)
                error.hint = f"{missing} {error.hint}".strip()
                raise
        finally:
            hook.close()

    def _call(self, hook: AltegioHook, location_id: int) -> Any:
        raise NotImplementedError

    def _deleted(self, hook: AltegioHook, location_id: int, delete: Callable[[], None], *, missing_ok: bool) -> bool:
        """Delete something, and say whether it was there.

        :raises AltegioNotFoundError: it was not, and that is an error; or there is no such location.
        """
        from altegio_provider.api.errors import AltegioNotFoundError
        from altegio_provider.api.writes.not_found import has_location
        from altegio_provider.api.writes.repeatable import delete_until_gone

        try:
            delete_until_gone(delete)
        except AltegioNotFoundError:
            if not (missing_ok and has_location(hook.get_conn(), location_id)):
                raise
            self.log.info("It is gone already")
            return False
        return True


@contextmanager
def no_retry_if_outcome_unknown() -> Iterator[None]:
    """Fail the task for good, whatever its ``retries``, when a write's outcome cannot be found out.

    :raises AirflowFailException: in place of an ``AltegioOutcomeUnknownError``, which a retry would make worse.
    """
    from altegio_provider.api.errors import AltegioOutcomeUnknownError
    from altegio_provider.compat import AirflowFailException

    try:
        yield
    except AltegioOutcomeUnknownError as error:
        raise AirflowFailException(str(error)) from error


def integer_or_unchanged(value: Any) -> Any:
    """A template gives text where a number belongs; what is no number is left for the checks to name."""
    from altegio_provider.common.integers import integer_or_none

    number = integer_or_none(value.strip()) if isinstance(value, str) else None
    return value if number is None else number


def select_fields(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the named fields that a row has."""
    return {name: row[name] for name in names if name in row}
