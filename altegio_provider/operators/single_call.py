"""The base class of operators that make one call, and their common functions."""

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
    """Base class of operators that make one call. A subclass implements ``_call``.

    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :param kwargs: arguments of Airflow's ``BaseOperator``.
    """

    template_fields: Sequence[str] = ("altegio_conn_id", "location_id")
    ui_color = "#e8f3ec"
    #: Names of further ids in the request. The error names them after a 404.
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
        """Make the call, and close the hook afterwards.

        :param context: Airflow's context of the task.
        :raises AltegioNotFoundError: the API answered 404; the error says what may be missing.
        """
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
        """Delete something. Return whether it existed.

        :raises AltegioNotFoundError: it did not exist and ``missing_ok`` is off, or the location does not exist.
        """
        from altegio_provider.api.errors import AltegioNotFoundError
        from altegio_provider.api.writes.not_found import has_location
        from altegio_provider.api.writes.repeatable import delete_until_gone

        try:
            delete_until_gone(delete)
        except AltegioNotFoundError:
            if not (missing_ok and has_location(hook.get_conn(), location_id)):
                raise
            self.log.info("Nothing to delete: it does not exist any more")
            return False
        return True


@contextmanager
def no_retry_if_outcome_unknown() -> Iterator[None]:
    """Fail the task without a retry if the outcome of a write is unknown: a retry could write a second time.

    :raises AirflowFailException: instead of an ``AltegioOutcomeUnknownError``.
    """
    from altegio_provider.api.errors import AltegioOutcomeUnknownError
    from altegio_provider.compat import AirflowFailException

    try:
        yield
    except AltegioOutcomeUnknownError as error:
        raise AirflowFailException(str(error)) from error


def integer_or_unchanged(value: Any) -> Any:
    """Return text of an integer, as a template gives it, as ``int``, and any other value unchanged.

    The checks of the client report values that are not integers.

    :param value: an argument.
    """
    from altegio_provider.common.integers import integer_or_none

    number = integer_or_none(value.strip()) if isinstance(value, str) else None
    return value if number is None else number


def select_fields(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return some fields of a row, without those that it lacks.

    :param row: the row.
    :param names: the names of the fields.
    """
    return {name: row[name] for name in names if name in row}
