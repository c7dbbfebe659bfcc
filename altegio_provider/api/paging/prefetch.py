"""Asks for the next pages while the present one is being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from altegio_provider.api.routes import ListPage, PageSpan

__all__ = ["Prefetcher"]


class Prefetcher:
    """A queue of pages under way, in the order in which they were asked for.

    :param fetch: brings one page; called in threads.
    :param concurrency: how many pages may be under way at once.
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
        # Requests under way end by themselves; a reader who has seen enough does not wait for them.
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def spans(self) -> list[PageSpan]:
        """The pages under way, first asked first."""
        return [span for span, _ in self._under_way]

    def request(self, span: PageSpan) -> None:
        """Ask for a page."""
        self._under_way.append((span, self._pool.submit(self._fetch, span)))

    def next_page(self) -> tuple[PageSpan, ListPage]:
        """Wait for the page that was asked for first, and return it.

        :raises AltegioError: what its request ended in.
        """
        span, page = self._under_way.popleft()
        return span, page.result()

    def cancel(self) -> None:
        """Forget the pages under way: they are not where they were thought to be."""
        for _, page in self._under_way:
            page.cancel()
        self._under_way.clear()
