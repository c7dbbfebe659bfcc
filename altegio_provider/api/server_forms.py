"""Which forms of a request the server accepts: those of autumn 2026, or those of an older server.

The client sends the newest form first. Where the server refuses it (400 or 422), the client sends the older one, says
so once in the log, and sends the older one from then on.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from altegio_provider.api.errors import AltegioValidationError

__all__ = ["Forms", "ServerForms"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_REFUSED = (400, 422)
_WORD = re.compile(r"[A-Za-z_]+")
#: The field of an error that names no field.
_UNNAMED = "request"


@dataclass(frozen=True)
class Forms:
    """The forms that one request is sent in.

    :param has_bracket_include: relationships are asked for by ``include[]``; else by the bare ``include``, of which
        some servers keep the last key alone.
    :param has_deleted_events: ``filter[include_deleted]=1`` is sent with a list of events, which brings the past and
        the deleted events.
    :param has_large_pages: ``limit`` may be larger than the API's documented default.
    """

    has_bracket_include: bool = True
    has_deleted_events: bool = True
    has_large_pages: bool = True

    def include_query(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return the query that asks for relationships."""
        return [("include[]" if self.has_bracket_include else "include", name) for name in names]

    def alternatives(
        self, error: AltegioValidationError, *, has_include: bool, is_event_list: bool, has_large_page: bool
    ) -> Iterator[Forms]:
        """Yield the forms to try after a refusal: older ones of what the error names, or of all if it names nothing.

        :param error: the refusal.
        :param has_include: whether the request asked for relationships.
        :param is_event_list: whether it asked for a list of events of ``locations``.
        :param has_large_page: whether it asked for more rows than the API's documented default.
        """
        words = _words(error)
        if has_large_page and self.has_large_pages and (not words or "limit" in words):
            yield replace(self, has_large_pages=False)
        if error.status not in _REFUSED:
            return
        if has_include and self.has_bracket_include and (not words or "include" in words):
            yield replace(self, has_bracket_include=False)
        if is_event_list and self.has_deleted_events and (not words or words & {"include_deleted", "from"}):
            yield replace(self, has_deleted_events=False)


def _words(error: AltegioValidationError) -> set[str]:
    """Return the words of the fields that a refusal names."""
    return {word for field in error.errors if field != _UNNAMED for word in _WORD.findall(field)}


class ServerForms:
    """What a client has found out about its server. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        #: The forms that the server accepts, as far as is known.
        self.accepted = Forms()
        #: The most rows that a page had: the server does not cap pages at fewer.
        self.longest_page = 0
        #: How many rows came without a relationship that was asked for, by its name.
        self.rows_without: Counter[str] = Counter()

    def send(
        self,
        request: Callable[[Forms], T],
        *,
        has_include: bool,
        is_event_list: bool = False,
        has_large_page: bool = False,
    ) -> T:
        """Send a request in the newest form that the server accepts.

        :param request: sends it in the given forms.
        :param has_include: whether it asks for relationships.
        :param is_event_list: whether it asks for a list of events of ``locations``.
        :param has_large_page: whether it asks for more rows than the API's documented default.
        :raises AltegioValidationError: the server refuses each form; this is the first refusal.
        """
        first: AltegioValidationError | None = None
        untried, tried = [self.accepted], set()
        while untried:
            forms = untried.pop(0)
            tried.add(forms)
            try:
                answer = request(forms)
            except AltegioValidationError as error:
                if error.status is None:
                    if first is not None and _words(first):
                        self._accept(forms)  # the range cannot be asked for in the form that the server accepts
                    raise
                first = first or error
                others = forms.alternatives(
                    error, has_include=has_include, is_event_list=is_event_list, has_large_page=has_large_page
                )
                untried += [one for one in others if one not in tried and one not in untried]
                continue
            if first is not None:
                self._accept(forms)
            return answer
        assert first is not None  # noqa: S101 - the loop ends without an answer only after a refusal
        raise first

    def count_missing(self, what: str, names: Collection[str], rows: int) -> None:
        """Note that rows came without relationships that were asked for, and say so once for each of them.

        :param what: what the rows are, such as ``events``.
        :param names: the relationships.
        :param rows: how many rows the page had.
        """
        for name in names:
            with self._lock:
                self.rows_without[name] += rows
            self._tell_once(
                f"{what} {name}",
                "The server sent no %r with %s, though the request asked for it. Its columns are null.",
                name,
                what,
            )

    def _accept(self, forms: Forms) -> None:
        with self._lock:
            before, self.accepted = self.accepted, forms
        if before.has_bracket_include and not forms.has_bracket_include:
            self._tell_once(
                "include",
                "The server refuses include[]: it is older than autumn 2026. The client sends include instead.",
            )
        if before.has_large_pages and not forms.has_large_pages:
            self._tell_once("limit", "The server refuses pages of so many rows. The client requests smaller ones.")
        if before.has_deleted_events and not forms.has_deleted_events:
            self._tell_once(
                "include_deleted",
                "The server refuses filter[include_deleted] or the past: it is older than autumn 2026. "
                "It lists neither past nor deleted events.",
            )

    def _tell_once(self, key: str, text: str, *arguments: str) -> None:
        with self._lock:
            is_known = key in self._told
            self._told.add(key)
        if not is_known:
            log.warning(text, *arguments)
