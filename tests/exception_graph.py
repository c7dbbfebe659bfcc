"""Everything that can be reached from an exception: what a tool may print, log, pickle or send somewhere."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import altegio_provider

_PACKAGE = str(Path(altegio_provider.__file__).parent)
_SILENT = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType)
_DEEPEST = 12
_MOST_OBJECTS = 200_000


def reachable_texts(error: BaseException) -> Iterator[str]:
    """Yield every text that is reachable from an exception.

    By its cause and context, its attributes and arguments, and the local variables of the frames of this package that
    it went through; from each object on by its attributes and items. What a closure holds is not reached: nothing
    shows it.
    """
    seen: set[int] = set()
    kept: list[Any] = []  # an id is unique among living objects only
    left: deque[tuple[Any, int]] = deque([(error, 0)])
    while left:
        one, depth = left.popleft()
        if id(one) in seen or isinstance(one, _SILENT) or one is None:
            continue
        seen.add(id(one))
        kept.append(one)
        assert len(kept) < _MOST_OBJECTS
        if isinstance(one, bytes | bytearray | memoryview):
            yield bytes(one).decode("latin-1")
        elif isinstance(one, str):
            yield one
        else:
            yield repr(one)
            yield str(one)
            if depth < _DEEPEST:
                left.extend((part, depth + 1) for part in _parts(one))


def _parts(one: Any) -> Iterator[Any]:
    if isinstance(one, Mapping):
        with suppress(NotImplementedError):  # a container that only gives what it is asked for
            yield from list(one.keys())
            yield from list(one.values())
    elif isinstance(one, list | tuple | set | frozenset | deque):
        yield from list(one)
    elif isinstance(one, BaseException):
        yield from (one.args, one.__cause__, one.__context__, getattr(one, "__notes__", None))
        yield from getattr(one, "exceptions", ())
        yield from _locals(one.__traceback__)
    yield from list(getattr(one, "__dict__", {}).values())
    for kind in type(one).__mro__:
        slots: Iterable[str] = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(one, name, None)


def _locals(trace: types.TracebackType | None) -> Iterator[Any]:
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            yield from list(trace.tb_frame.f_locals.values())
        trace = trace.tb_next


def assert_holds_none(error: BaseException, secrets: Iterable[str]) -> None:
    """Fail where one of these texts, of whatever case, is reachable from an exception."""
    sought = [secret.lower() for secret in secrets]
    for text in reachable_texts(error):
        lowered = text.lower()
        for secret in sought:
            assert secret not in lowered, f"{secret!r} is in {text[:300]!r}"
