"""Requests the next pages while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from altegio_provider.api.routes import ListPage, PageSpan

__all__ = ["Prefetcher"]


class Prefetcher:
    """A queue of pages that are being requested. Use it as a context manager.

    :param fetch: returns a page; called in threads.
    :param concurrency: how many pages may be requested at once.
    """

    def __init__(self, fetch: Callable[[PageSpan], ListPage], concurrency: int) -> None:
        self._fetch = fetch
        self.concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="altegio-page")
        self._under_way: deque[tuple[PageSpan, Future[ListPage]]] = deque()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Requests that have begun end by themselves; a reader that stops early does not wait for them.
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def spans(self) -> list[PageSpan]:
        """The requested pages, in the order of the requests."""
        return [span for span, _ in self._under_way]

    def request(self, span: PageSpan) -> None:
        """Request a page.

        :param span: the page.
        """
        self._under_way.append((span, self._pool.submit(self._fetch, span)))

    def next_page(self) -> tuple[PageSpan, ListPage]:
        """Wait for the page that was requested first, and return it.

        :raises AltegioError: its request failed.
        """
        span, page = self._under_way.popleft()
        return span, page.result()

    def cancel(self) -> None:
        """Drop the requested pages, because their positions turned out to be wrong."""
        for _, page in self._under_way:
            page.cancel()
        self._under_way.clear()
