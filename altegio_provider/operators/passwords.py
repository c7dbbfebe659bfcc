"""Hides passwords in database URLs, because Airflow stores and shows the fields of operators."""

from __future__ import annotations

import re
from typing import TypeVar

__all__ = ["passwords_in", "without_password"]

_T = TypeVar("_T")

#: A password between the user and the host, or in a query parameter.
_PASSWORD = re.compile(
    r"(?P<before>://[^/?:@]*:)(?P<secret>.*)(?=@)|(?P<name>[?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)(?P<value>[^&]*)",
    re.IGNORECASE,
)
#: A template is not a secret; its value is known only after it was rendered.
_TEMPLATE = re.compile(r"\s*(\{\{[^{}]*\}\}\s*)+")


def without_password(url: _T) -> _T | str:
    """Return a URL with ``***`` instead of its passwords. Anything that is not text is returned unchanged.

    :param url: the URL.
    """
    return _PASSWORD.sub(_hidden, url) if isinstance(url, str) else url


def passwords_in(url: str) -> list[str]:
    """Return the passwords of a URL, without those that a template provides.

    :param url: the URL.
    """
    found = [match["secret"] or match["value"] or "" for match in _PASSWORD.finditer(url)]
    return [secret for secret in found if secret and not _TEMPLATE.fullmatch(secret)]


def _hidden(found: re.Match[str]) -> str:
    before, secret = found["before"] or found["name"], found["secret"] or found["value"] or ""
    return f"{before}{secret if not secret or _TEMPLATE.fullmatch(secret) else '***'}"
