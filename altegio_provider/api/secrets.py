"""Keeps tokens and personal data out of ``repr`` and out of tracebacks that show local variables.

Some tools print the variables of each frame of a traceback, or keep an error with its whole chain. So secrets have a
type that shows nothing, and the frames of an error that leaves this package keep no variables.
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
    """A text that ``repr``, ``str``, formats, pickles and debuggers do not show. Use it for tokens and passwords.

    :param text: the text, or another secret.
    """

    __slots__ = ("_reveal",)

    def __init__(self, text: Secret | str) -> None:
        # In a closure and not in an attribute, because tools show attributes.
        revealed = text.reveal() if isinstance(text, Secret) else text
        self._reveal: Callable[[], str] = lambda: revealed

    def reveal(self) -> str:
        """Return the text. Do not keep it in a variable, which a traceback could show."""
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
        raise TypeError("a secret cannot be pickled")


def clear_variables(error: BaseException) -> None:
    """Clear the local variables of the frames of an error, its causes and its contexts.

    The lines of the traceback stay. Frames that are still running keep their variables.

    :param error: the error.
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
    """Decorate a function or generator so that its errors keep no local variables or arguments.

    Use it for functions that take or read tokens or personal data.

    :param function: the function or generator function.
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
