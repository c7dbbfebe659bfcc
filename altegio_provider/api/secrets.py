"""Keeps tokens and people out of what tools show of objects and errors: ``repr``, tracebacks with local variables.

An error may be shown by a tool that prints the variables of each frame it went through, or be kept with its whole
chain. So secrets are held in a type that shows nothing, and an error that leaves this package takes no variables along.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, ParamSpec, TypeVar

__all__ = ["Secret", "clear_variables", "clear_variables_on_error"]

P = ParamSpec("P")
T = TypeVar("T")

_SHOWN = "***"


class Secret:
    """A text that neither ``repr`` nor ``str``, a format, a pickle or a debugger's listing shows.

    :param text: the text, or a secret, which is taken as it is.
    """

    __slots__ = ("_reveal",)

    def __init__(self, text: Secret | str) -> None:
        # In a closure and not in an attribute, for tools list the attributes of what they show.
        revealed = text.reveal() if isinstance(text, Secret) else text
        self._reveal: Callable[[], str] = lambda: revealed

    def reveal(self) -> str:
        """Return the text. Pass it on at once; a variable that holds it would be shown."""
        return self._reveal()

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def clear_variables(error: BaseException) -> None:
    """Clear the local variables of the frames that an error, its causes and its contexts went through.

    The lines of the traceback stay. Frames that still run keep their variables.
    """
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        one = errors.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        errors += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            errors += one.exceptions


def clear_variables_on_error(function: Callable[P, T]) -> Callable[P, T]:
    """Let no error that leaves this function, or generator, take local variables or arguments along.

    For functions that are given tokens or people's data, or read them.
    """
    if isgeneratorfunction(function):
        return _clearing_generator(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            clear_variables(error)
            raise

    return call


def _clearing_generator(function: Callable[P, Any]) -> Callable[P, Any]:
    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        values = function(*args, **kwargs)
        del args, kwargs
        try:
            yield from values
        except BaseException as error:
            del values
            clear_variables(error)
            raise

    return call
