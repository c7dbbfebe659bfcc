"""``python -m altegio_provider.sandbox``: the imitated API for a person."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from altegio_provider.sandbox.switches import Switches, switched

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m altegio_provider.sandbox",
        description="An imitation of the Altegio API. Tokens: sandbox-partner and sandbox-user. "
        "Locations: 1001 (Europe/Riga), 1002 (America/New_York), 1003 (Asia/Tbilisi).",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8089, help="0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME",
        help="a name or address by which it is reached, beside --host, localhost and the loopback addresses; "
        "may be given several times. Requests for other hosts get 403, as a web page sends them",
    )
    parser.add_argument("--seed", type=int, default=1, help="other data for another number (default: %(default)s)")
    parser.add_argument("--latency-ms", type=float, default=0, help="how long each answer takes (default: %(default)s)")
    parser.add_argument("--per-second", type=int, default=5, help="the limit, 0 for none (default: %(default)s)")
    parser.add_argument("--per-minute", type=int, default=200, help="the limit, 0 for none (default: %(default)s)")
    parser.add_argument("--no-limits", action="store_true", help="the same as 0 in both")
    parser.add_argument("--retry-after", choices=["seconds", "date", "none"], default="seconds", help="what a 429 says")
    parser.add_argument(
        "--server",
        choices=["autumn", "older"],
        default="autumn",
        help="which server is imitated (default: %(default)s)",
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one point in which it differs, such as bare_include=last; may be given several times. The value is JSON, "
        "or a word. docs/sandbox.md names them",
    )
    options = parser.parse_args(arguments)
    try:
        switches = _switches(options.server, options.switch)
    except ValueError as error:
        parser.error(str(error))

    from altegio_provider.sandbox.server import serve
    from altegio_provider.sandbox.settings import Sandbox

    sandbox = Sandbox(
        seed=options.seed,
        per_second=0 if options.no_limits else options.per_second,
        per_minute=0 if options.no_limits else options.per_minute,
        latency_seconds=options.latency_ms / 1000,
        retry_after=None if options.retry_after == "none" else options.retry_after,
        server=switches,
    )
    serve(
        sandbox,
        options.host,
        options.port,
        lambda url: print(f"Altegio sandbox on {url}", flush=True),  # noqa: T201
        options.allowed_host,
    )


def _switches(server: str, given: Sequence[str]) -> Switches:
    chosen: dict[str, Any] = {"server": server}
    for text in given:
        name, _, value = text.partition("=")
        try:
            chosen[name] = json.loads(value)
        except json.JSONDecodeError:
            chosen[name] = value
    return switched(Switches(), chosen)


def _host(name: str) -> str:
    from altegio_provider.sandbox.guard import checked_host

    try:
        return checked_host(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    main()
