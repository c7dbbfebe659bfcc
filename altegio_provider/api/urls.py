r"""Finds the server of a URL, in the same way as the libraries that connect to it.

``urllib.parse`` and urllib3 disagree about unusual URLs: in ``http://one\@two/`` the first finds the host ``two``, and
the connection goes to ``one``. Tokens go where the connection goes, so URLs are compared in the form in which
``requests`` sends them, and an ambiguous one is refused.
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
    """A server. ``str()`` returns it as a URL without a path, always in the same spelling."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the server that ``requests`` connects to for an ``http`` or ``https`` URL.

    :param url: the URL.
    :raises ValueError: the URL has another scheme, contains user info, or is ambiguous.
    """
    _check_characters(url)
    if urlsplit(url).port == 0:
        raise ValueError("port 0 is not valid")
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    sent = request.url or ""
    parts, connected = urlsplit(sent), parse_url(sent)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the URL is not http or https")
    if "@" in parts.netloc or connected.auth is not None:
        raise ValueError("the URL contains user info")
    parts.hostname.encode("idna")  # UnicodeError if a label is empty or too long
    port = parts.port or _PORTS[parts.scheme]
    origin = Origin(parts.scheme, parts.hostname, port)
    host = (connected.host or "").removeprefix("[").removesuffix("]")
    if origin != (connected.scheme, host, connected.port or _PORTS[parts.scheme]):
        raise ValueError("the URL is ambiguous")
    return origin


def origin_or_none(url: str) -> Origin | None:
    """Return the server of a URL, or ``None`` if :func:`origin_of` raises.

    :param url: the URL.
    """
    try:
        return origin_of(url)
    except ValueError:
        return None


def redirect_target(answered_url: str, location: str) -> str:
    """Return the target of a redirect.

    :param answered_url: the URL of the request that was redirected.
    :param location: the ``Location`` header, which may be relative.
    :raises ValueError: the URL cannot be followed; see :func:`origin_of`.
    """
    # http.client decodes headers as latin-1; servers that send other letters here send UTF-8.
    location = location.encode("latin-1").decode("utf-8")
    _check_characters(location)
    target = urljoin(answered_url, location)
    origin_of(target)
    return target


def _check_characters(url: str) -> None:
    """Refuse characters that one parser of URLs drops and another keeps."""
    if "\\" in url or any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in url):
        raise ValueError("the URL has a backslash or a control character")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine.

    :param host: a name or an IP address.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
