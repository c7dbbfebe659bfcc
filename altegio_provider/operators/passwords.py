"""Passwords in database URLs, which Airflow would store and show with an operator's fields."""

from __future__ import annotations

import re
from typing import TypeVar

__all__ = ["passwords_in", "without_password"]

_T = TypeVar("_T")

#: Between a user's name and the host; or a setting behind the question mark.
_PASSWORD = re.compile(
    r"(?P<before>://[^/?:@]*:)(?P<secret>.*)(?=@)|(?P<name>[?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)(?P<value>[^&]*)",
    re.IGNORECASE,
)
#: A secret that a template brings stands in the field only once it is rendered.
_TEMPLATE = re.compile(r"\s*(\{\{[^{}]*\}\}\s*)+")


def without_password(url: _T) -> _T | str:
    """Return a URL with ``***`` in the place of its passwords, fit to be shown; anything else as it is."""
    return _PASSWORD.sub(_hidden, url) if isinstance(url, str) else url


def passwords_in(url: str) -> list[str]:
    """Return the passwords of a URL that stand in it, and not in a template."""
    found = [match["secret"] or match["value"] or "" for match in _PASSWORD.finditer(url)]
    return [secret for secret in found if secret and not _TEMPLATE.fullmatch(secret)]


def _hidden(found: re.Match[str]) -> str:
    before, secret = found["before"] or found["name"], found["secret"] or found["value"] or ""
    return f"{before}{secret if not secret or _TEMPLATE.fullmatch(secret) else '***'}"
