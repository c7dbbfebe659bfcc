"""What a client is made with, checked before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.secrets import Secret
from altegio_provider.api.urls import is_loopback, origin_or_none

__all__ = ["checked_flag", "checked_timeout", "checked_token", "checked_url", "checked_verify"]

_LONGEST_TIMEOUT = 86_400


def checked_url(base_url: str, *, allow_http: bool = False) -> str:
    """Return a base URL without blanks and slashes around it.

    :param allow_http: take ``http://`` to another machine too.
    :raises AltegioValidationError: it is not a usable URL, or it would send the tokens unencrypted to another machine.
    """
    text = base_url.strip().rstrip("/") if isinstance(base_url, str) else ""
    origin = None if any(mark in text for mark in "?#@ ") else origin_or_none(text)
    if origin is None:
        raise AltegioValidationError(
            "the base URL (`host` of the connection) must be an http or https URL with a valid host and a port of 1 to "
            "65535, without user, password and query.",
            errors={"base_url": ["use one such as https://api.alteg.io/api/v2"]},
        )
    if origin.scheme == "http" and not is_loopback(origin.host) and not allow_http:
        raise AltegioValidationError(
            "the base URL (`host` of the connection) begins with http://, so both tokens and the clients' data would "
            "cross the network unencrypted.",
            errors={"base_url": ["use https://, or set `allow_http` to true where that network is your own"]},
            hint="",
        )
    return text


def checked_flag(argument: str, value: bool) -> bool:
    """Return true or false.

    :raises AltegioValidationError: it is neither. A text such as ``"false"`` would count as true.
    """
    if not isinstance(value, bool):
        raise AltegioValidationError(
            f"{argument} must be true or false, not {type(value).__name__}.",
            errors={argument: ["use true or false"]},
            hint="",
        )
    return value


def checked_verify(verify: bool | str) -> bool | str:
    """Return whether to check certificates, or the path of the CA bundle to check them by.

    :raises AltegioValidationError: there is no readable CA bundle at the path.
    """
    if isinstance(verify, bool):
        return verify
    fault = _fault_of_bundle(verify)
    if fault is None:
        return verify
    raise AltegioValidationError(
        f"verify names no CA bundle that can be read ({fault}).",
        errors={"verify": ["use true, or the path of a file with CA certificates in PEM form"]},
        hint="",
    )


def _fault_of_bundle(verify: str) -> str | None:
    try:
        is_folder = Path(verify).is_dir()
        ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    except (OSError, TypeError, ValueError) as error:
        return type(error).__name__
    return None


def checked_token(argument: str, token: Secret) -> Secret:
    """Return a token without the blanks around it.

    :raises AltegioValidationError: it is missing, or a header cannot carry it. The error does not show it.
    """
    if not _is_given(token):
        raise AltegioValidationError(f"{argument} is missing.", errors={argument: ["give the token's text"]})
    if not _fits_a_header(token):
        raise AltegioValidationError(
            f"{argument} cannot be sent in a header.",
            errors={argument: ["it has a space, a comma or a character that no token has"]},
        )
    return Secret(token.reveal().strip())


def _is_given(token: Secret) -> bool:
    text = token.reveal()
    return isinstance(text, str) and bool(text.strip())


def _fits_a_header(token: Secret) -> bool:
    text = token.reveal().strip()
    return text.isascii() and text.isprintable() and "," not in text and " " not in text


def checked_timeout(timeout: float) -> float:
    """Return a time-out in seconds.

    :raises AltegioValidationError: it is none.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise AltegioValidationError(
            f"timeout must be a number of seconds above 0, {_LONGEST_TIMEOUT} at the most.",
            errors={"timeout": ["use seconds, such as 30"]},
            hint="",
        )
    return timeout
