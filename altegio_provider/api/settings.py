"""What a client is made with, checked before anything is sent."""

from __future__ import annotations

import math
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from altegio_provider.api.errors import AltegioValidationError

__all__ = ["checked_timeout", "checked_token", "checked_url", "checked_verify", "origin_of"]


def origin_of(url: str) -> str:
    """Return scheme, host and port, each as it is written nowhere else.

    :raises ValueError: the URL is none.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def checked_url(base_url: str) -> str:
    """Return a base URL without blanks and slashes around it.

    :raises AltegioValidationError: it is none.
    """
    try:
        text = base_url.strip().rstrip("/")
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError):
        is_one = False
    if not is_one or parts.username or any(mark in text for mark in "?#@ \n\t"):
        raise AltegioValidationError(
            "the base URL (`host` of the connection) is no http(s) URL without credentials and query.",
            errors={"base_url": ["use one such as https://api.alteg.io/api/v2"]},
        )
    return text


def checked_verify(verify: bool | str) -> bool | str:
    if isinstance(verify, bool):
        return verify
    try:
        is_folder = Path(verify).is_dir()
        ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    except (OSError, TypeError) as error:
        raise AltegioValidationError(
            f"verify names no CA bundle that can be read ({type(error).__name__}).",
            errors={"verify": ["use true, or the path of a file with CA certificates in PEM form"]},
            hint="",
        ) from error
    return verify


def checked_token(argument: str, token: str) -> str:
    if not isinstance(token, str) or not token.strip():
        raise AltegioValidationError(f"{argument} is missing.", errors={argument: ["give the token's text"]})
    token = token.strip()
    if not token.isascii() or not token.isprintable() or "," in token or " " in token:
        raise AltegioValidationError(
            f"{argument} cannot be sent in a header.",
            errors={argument: ["it has a space, a comma or a character that no token has"]},
        )
    return token


def checked_timeout(timeout: float) -> float:
    """Return a time-out in seconds.

    :raises AltegioValidationError: it is none.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise AltegioValidationError(
            f"timeout must be seconds above 0, not {timeout!r}.",
            errors={"timeout": ["use seconds, such as 30"]},
            hint="",
        )
    return timeout
