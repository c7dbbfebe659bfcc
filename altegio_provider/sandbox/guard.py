"""Keeps web pages away: a browser on this machine reaches the sandbox, and shows pages of anybody.

A page can send a request to the loopback address, with a foreign ``Origin``. It can also have its own name resolved to
that address (DNS rebinding): the browser then sees one origin, and ``Host`` holds that name. So every route checks
both: ``Host`` must be known, and ``Origin``, where it is sent, must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from altegio_provider.sandbox.forms.answers import Refusal, json_answer

__all__ = ["Guard", "checked_host"]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{0,5})?", re.IGNORECASE)
_SHOWN = 100


class Guard:
    """ASGI middleware that answers requests of web pages with 403.

    Names of the loopback interface are always known, and so is the address at which a request arrived: a page that came
    from an address can only have come from here.

    :param control: the path of the control plane, which has error bodies of its own form.
    :param allowed_hosts: further names and addresses by which the sandbox is reached.
    """

    def __init__(self, app: ASGIApp, control: str, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._control = control
        self._allowed = frozenset(checked_host(name) for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        message = self._complaint(scope) if scope["type"] == "http" else None
        if message is None:
            await self._app(scope, receive, send)
        elif scope["path"].startswith(self._control):
            await json_answer({"message": message}, 403)(scope, receive, send)
        else:
            await Refusal(403, message).answer()(scope, receive, send)

    def _complaint(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        name = _name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return "The request must have one header Host, with a host name or an address"
        if not self._knows(name, scope):
            shown = name[:_SHOWN]
            return f"The sandbox does not answer for the host {shown!r}. If it is yours: --allowed-host {shown}"
        own = f"http://{hosts[0]}".lower()
        if any(origin.lower() != own for origin in headers.getlist("origin")):
            return "The sandbox does not answer web pages: the header Origin names another origin"
        if any(site.lower() not in ("same-origin", "none") for site in headers.getlist("sec-fetch-site")):
            return "The sandbox does not answer web pages: the header Sec-Fetch-Site names another site"
        return None

    def _knows(self, name: str, scope: Scope) -> bool:
        if name == "localhost" or name in self._allowed:
            return True
        address = _address(name)
        arrived_at = scope.get("server")
        return address is not None and (address.is_loopback or (arrived_at is not None and name == arrived_at[0]))


def checked_host(name: str) -> str:
    """Return a host name or address in the form in which it is compared.

    :raises ValueError: it is neither.
    """
    address = _address(name)
    if address is not None:
        return str(address)
    found = _HOST.fullmatch(name)
    if found is None or found[2] is not None:
        raise ValueError("must be a host name or address, without scheme, port and path")
    return name.lower()


def _name(host: str) -> str | None:
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    name = found[1].strip("[]")
    address = _address(name)
    return name.lower() if address is None else str(address)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
