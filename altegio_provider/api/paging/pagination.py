"""What the pagination of a response shows: whether its page is the last one.

:mod:`~altegio_provider.api.paging.reader` says what is trusted, and why.
"""

from __future__ import annotations

from collections.abc import Mapping

from altegio_provider.api.routes import PageSpan

__all__ = ["shows_end"]


def shows_end(sent: PageSpan, rows: int, pagination: Mapping[str, int], uncapped: int) -> bool:
    """Return whether a page was served as requested and has fewer rows than it could have.

    :param sent: the page that was requested.
    :param rows: how many rows came.
    :param pagination: the whole numbers of the response's ``meta.pagination``.
    :param uncapped: rows of a page that the server returns, if it has them: it does not cap pages at fewer.
    """
    limit = pagination.get("limit")
    start = pagination.get("offset")
    if start is None and limit is not None and "page" in pagination:
        start = (pagination["page"] - 1) * limit
    is_as_requested = limit == sent.limit and start == sent.start
    total_agrees = pagination.get("total", sent.start + rows) == sent.start + rows
    return is_as_requested and total_agrees and rows < min(sent.limit, uncapped)
