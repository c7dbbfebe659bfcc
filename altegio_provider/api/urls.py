"""Which server a URL leads to, read as the libraries that connect to it read it.

``urllib.parse`` and urllib3 disagree about odd URLs: in ``http://one\\@two/`` the first sees the host ``two``, and the
connection goes to ``one``. Tokens go wherever the connection goes, so a URL is compared in the form in which
``requests`` sends it, and one that can be read in two ways is refused.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.util import parse_url

__all__ = ["Origin", "is_loopback", "origin_of", "origin_or_none", "redirect_target"]

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A server: ``str()`` gives it as a URL without path, each server in one spelling only."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the server that ``requests`` connects to for an ``http`` or ``https`` URL.

    :raises ValueError: the URL has another scheme, carries user info, or can be read in two ways.
    """
    _check_characters(url)
    if urlsplit(url).port == 0:
        raise ValueError("there is no port 0")
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    sent = request.url or ""
    parts, connected = urlsplit(sent), parse_url(sent)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the URL is not one of http or https")
    if "@" in parts.netloc or connected.auth is not None:
        raise ValueError("the URL carries user info")
    parts.hostname.encode("idna")  # as it is looked up: a UnicodeError where a part of it is empty or too long
    port = parts.port or _PORTS[parts.scheme]
    origin = Origin(parts.scheme, parts.hostname, port)
    host = (connected.host or "").removeprefix("[").removesuffix("]")
    if origin != (connected.scheme, host, connected.port or _PORTS[parts.scheme]):
        raise ValueError("the URL can be read in two ways")
    return origin


def origin_or_none(url: str) -> Origin | None:
    """Return what :func:`origin_of` does, and ``None`` where it raises."""
    try:
        return origin_of(url)
    except ValueError:
        return None


def redirect_target(answered_url: str, location: str) -> str:
    """Return the URL that a redirect names.

    :param answered_url: the URL of the request that was redirected.
    :param location: the ``Location`` header, which may be relative.
    :raises ValueError: the URL cannot be followed; see :func:`origin_of`.
    """
    # http.client takes every header for latin-1; who writes other letters into this one writes UTF-8.
    location = location.encode("latin-1").decode("utf-8")
    _check_characters(location)
    target = urljoin(answered_url, location)
    origin_of(target)
    return target


def _check_characters(url: str) -> None:
    """Refuse what one reader of URLs drops and another one keeps."""
    if "\\" in url or any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in url):
        raise ValueError("the URL has a backslash or a control character")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody else sees what is sent there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
