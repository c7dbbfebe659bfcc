"""Checks of the client's settings, before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from altegio_provider.api.arguments import argument_error, checked_seconds
from altegio_provider.api.defaults import DEFAULT_BASE_URL
from altegio_provider.api.secrets import Secret
from altegio_provider.api.urls import is_loopback, origin_or_none

__all__ = ["checked_timeout", "checked_token", "checked_url", "checked_verify"]

#: Seconds.
_MIN_TIMEOUT, _MAX_TIMEOUT = 0.001, 86_400.0


def checked_url(base_url: str, *, allow_http: bool = False) -> str:
    """Return a base URL without spaces around it and slashes at its end.

    :param base_url: the URL.
    :param allow_http: whether an ``http://`` URL of another machine is allowed.
    :raises AltegioValidationError: the URL is not valid, or the tokens would go unencrypted to another machine.
    """
    text = base_url.strip().rstrip("/") if isinstance(base_url, str) else ""
    origin = None if any(mark in text for mark in "?#@ ") else origin_or_none(text)
    if origin is None:
        raise argument_error(
            "base_url",
            "(the `host` of the connection) must be an http or https URL with a valid host and a port of 1 to 65535, "
            f"without user, password and query, such as {DEFAULT_BASE_URL}",
        )
    if origin.scheme == "http" and not is_loopback(origin.host) and not allow_http:
        raise argument_error(
            "base_url",
            "(the `host` of the connection) begins with http://, so both tokens and the clients' data would cross the "
            "network unencrypted",
            "Use https://, or set `allow_http` to true if the network is your own.",
        )
    return text


def checked_verify(verify: bool | str) -> bool | str:
    """Return whether to check certificates, or the path of the CA bundle to check them with.

    :param verify: true, false, or the path.
    :raises AltegioValidationError: the path has no readable CA bundle.
    """
    if isinstance(verify, bool):
        return verify
    problem = _bundle_problem(verify)
    if problem is None:
        return verify
    raise argument_error(
        "verify",
        f"must be true, or the path of a file with CA certificates in PEM form that can be read ({problem})",
    )


def _bundle_problem(verify: str) -> str | None:
    try:
        is_folder = Path(verify).is_dir()
        ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    except (OSError, TypeError, ValueError) as error:
        return type(error).__name__
    return None


def checked_token(argument: str, token: Secret) -> Secret:
    """Return a token without spaces around it.

    :param argument: its name.
    :param token: the token.
    :raises AltegioValidationError: it is missing, or a header cannot carry it. The error does not show it.
    """
    if not _is_given(token):
        raise argument_error(argument, "is missing")
    if not _fits_a_header(token):
        raise argument_error(argument, "has a space, a comma or a character that a header cannot carry")
    return Secret(token.reveal().strip())


def _is_given(token: Secret) -> bool:
    text = token.reveal()
    return isinstance(text, str) and bool(text.strip())


def _fits_a_header(token: Secret) -> bool:
    text = token.reveal().strip()
    return text.isascii() and text.isprintable() and "," not in text and " " not in text


def checked_timeout(timeout: Any) -> float:
    """Return a time-out in seconds.

    :param timeout: a number, or its text.
    :raises AltegioValidationError: it is not a number of seconds from 0.001 to 86400.
    """
    return checked_seconds("timeout", timeout, least=_MIN_TIMEOUT, most=_MAX_TIMEOUT)
