"""Clients of a server that answers as it is told."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.http.transport import Transport
from altegio_provider.api.ratelimit.limiter import Limiter, Rate
from altegio_provider.api.ratelimit.stores import MemorySlotStore
from tests.unit.api.scripted import ScriptedServer, self_signed

PARTNER = "partner-Token.0/9"
USER = "user-Token+1/8"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch) -> None:
    """Nothing of the machine's own settings."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def new_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Start scripted servers."""
    servers: list[ScriptedServer] = []

    def start(**options: Any) -> ScriptedServer:
        servers.append(ScriptedServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(new_server) -> ScriptedServer:
    """A scripted server."""
    return new_server()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the clients of this test would have waited between attempts, had waiting not been turned off."""
    return []


@pytest.fixture
def new_client(waits) -> Iterator[Callable[..., AltegioClient]]:
    """Make clients of a base URL: without a limit, without waiting."""
    clients: list[AltegioClient] = []

    def make(
        url: str, *, tokens: tuple[str, str] = (PARTNER, USER), retry: dict[str, Any] | None = None, **options: Any
    ) -> AltegioClient:
        policy = RetryPolicy(**{"sleep": waits.append, **(retry or {})})
        defaults = {"requests_per_second": 0, "requests_per_minute": 0, "timeout": 5, "retry": policy}
        clients.append(AltegioClient(url, *tokens, **{**defaults, **options}))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client, server) -> AltegioClient:
    """A client of the scripted server."""
    return new_client(server.url)


@dataclass
class Clock:
    """Time that passes only when somebody waits."""

    now: float = 1000.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """The clock of the limit that the transports of this test keep."""
    return Clock()


@pytest.fixture
def new_transport(waits, clock) -> Iterator[Callable[..., Transport]]:
    """Make transports that share one limit, which passes time on ``clock``; between attempts they do not wait."""
    places = MemorySlotStore(clock)
    transports: list[Transport] = []

    def make(
        url: str,
        *,
        rates: Sequence[Rate] = (),
        taken: int = 0,
        retry: dict[str, Any] | None = None,
        sleep: Callable[[float], None] = clock.sleep,
        verify: bool | str = True,
        allow_http: bool = False,
        timeout: float = 5,
    ) -> Transport:
        limiter = Limiter(places, rates, clock=clock, sleep=sleep)
        for _ in range(taken):
            limiter.acquire()
        policy = RetryPolicy(**{"sleep": waits.append, **(retry or {})})
        transports.append(
            Transport(
                url,
                PARTNER,
                USER,
                limiter=limiter,
                retry=policy,
                timeout=timeout,
                verify=verify,
                allow_http=allow_http,
            )
        )
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(new_server, certificate) -> ScriptedServer:
    """A scripted server that speaks TLS with the self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return new_server(tls=context)
