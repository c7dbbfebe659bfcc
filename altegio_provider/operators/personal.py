"""Template fields with personal data: templates in them work, and Airflow's database stores ``***`` instead.

Airflow stores each template field twice: unrendered in the serialized DAG, and rendered for each run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from altegio_provider.api.http.redaction import NON_PERSONAL_FIELDS
from altegio_provider.compat import BaseOperator, XComArg

if TYPE_CHECKING:
    import jinja2

    from altegio_provider.compat import Context

__all__ = ["OperatorWithPersonalFields", "Personal", "PersonalField", "unwrap_personal"]

_SHOWN = "***"


class Personal:
    """A value with personal data, which neither its ``repr`` nor Airflow's serialization shows.

    :param value: the value. In a mapping, fields without personal data stay visible.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> Any:
        """Return the form that Airflow may store."""
        if not isinstance(self.value, Mapping):
            return _SHOWN
        return {str(name): one if name in NON_PERSONAL_FIELDS else _SHOWN for name, one in self.value.items()}

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return str(self.serialize())

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Personal) else other))

    __hash__ = None  # type: ignore[assignment]


class PersonalField:
    """A descriptor for a template field that stores its value as :class:`Personal`, before and after rendering.

    The output of another task (``upstream.output``) is not wrapped before rendering, because Airflow looks for it.

    :param texts_are_personal: whether a text that is not a template is personal too.
    """

    def __init__(self, *, texts_are_personal: bool) -> None:
        self._texts_are_personal = texts_are_personal
        self._attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_personal_{name}"

    @overload
    def __get__(self, operator: None, owner: type) -> PersonalField: ...

    @overload
    def __get__(self, operator: object, owner: type) -> Any: ...

    def __get__(self, operator: object | None, owner: type) -> Any:
        if operator is None:
            return self
        try:
            return operator.__dict__[self._attribute]
        except KeyError:
            raise AttributeError(self._attribute.removeprefix("_personal_")) from None

    def __set__(self, operator: object, value: Any) -> None:
        operator.__dict__[self._attribute] = Personal(value) if self._is_personal(value) else value

    def _is_personal(self, value: Any) -> bool:
        if value is None or isinstance(value, Personal):
            return False
        if isinstance(value, str):
            return self._texts_are_personal and "{{" not in value and "{%" not in value
        if isinstance(value, os.PathLike) or hasattr(value, "open") or hasattr(value, "resolve"):
            return False
        return next(iter(XComArg.iter_xcom_references(value)), None) is None


class OperatorWithPersonalFields(BaseOperator):
    """Base class of operators with :class:`PersonalField` fields. It renders the values inside of them."""

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a template. If that fails, Airflow logs the :class:`Personal` and not its value.

        :param content: the value of the field.
        :param context: Airflow's context of the task.
        :param jinja_env: the Jinja environment.
        :param seen_oids: ids of objects that are rendered already.
        """
        value = content.value if isinstance(content, Personal) else content
        return super().render_template(value, context, jinja_env, seen_oids)


def unwrap_personal(value: Any) -> Any:
    """Return the value inside a :class:`Personal`, and any other value unchanged.

    :param value: the value of a field.
    """
    return value.value if isinstance(value, Personal) else value
