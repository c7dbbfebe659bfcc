"""A server of prepared pages, which needs almost no processor time: its rows are as long and varied as the sandbox's.

The sandbox itself would need more processor time than the client that is measured. This server answers one route. Its
rows have their own ids and times; their other fields repeat those of one month of the sandbox. Rows start half an hour
apart, so 100,000 rows are nearly six years of one location.

``python -m benchmarks.page_server --rows 100000`` prints its address and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import orjson

from altegio_provider.sandbox.data.seed import seeded_state
from altegio_provider.sandbox.forms.render import activity
from benchmarks.job import FIRST_START, LOCATION_ID, STEP, TIMEZONE

__all__ = ["Rows"]

_FIRST_ID = 4_000_000
_SAMPLE = (date(2026, 3, 1), date(2026, 3, 31))


class Rows:
    """The rows of the list as bytes: the individual part of each row, and the repeated parts."""

    def __init__(self, count: int) -> None:
        self.own = [_own(number) for number in range(count)]
        self.repeated = _repeated()
        #: How many pages were requested.
        self.requests = 0

    def page(self, offset: int, limit: int, total: int) -> bytes:
        """Return the response to one request."""
        self.requests += 1
        total = min(total, len(self.own))
        numbers = range(offset, min(offset + limit, total))
        rows = b",".join(self.own[number] + self.repeated[number % len(self.repeated)] for number in numbers)
        meta = b'"meta":{"pagination":{"total":%d,"limit":%d,"offset":%d}}' % (total, limit, offset)
        return b'{"success":true,"data":[' + rows + b"]," + meta + b"}"


def _own(number: int) -> bytes:
    start = FIRST_START + number * STEP
    there = start.astimezone(ZoneInfo(TIMEZONE))
    created = (start - timedelta(days=33)).astimezone(there.tzinfo)
    own = {
        "id": _FIRST_ID + number,
        "date": f"{there:%Y-%m-%d %H:%M:%S}",
        "datetime": f"{there:%Y-%m-%dT%H:%M:%S%z}",
        "timestamp": int(start.timestamp()),
        "created_at": f"{created:%Y-%m-%dT%H:%M:%S%z}",
    }
    return orjson.dumps(own)[:-1] + b","


def _repeated() -> list[bytes]:
    location = seeded_state(1).locations[LOCATION_ID]
    location.fill(*_SAMPLE)
    own = {"id", "date", "datetime", "timestamp", "created_at"}
    rows = (activity(location, event) for event in location.events.values())
    return [orjson.dumps({key: value for key, value in row.items() if key not in own})[1:] for row in rows]


class _Connection(asyncio.Protocol):
    """One keep-alive connection. Requests have no body."""

    def __init__(self, rows: Rows, latency_seconds: float) -> None:
        self._rows = rows
        self._latency_seconds = latency_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            body = self._answer(head.split(b" ", 2)[1].decode())
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            asyncio.get_running_loop().call_later(self._latency_seconds, self._transport.write, head + body)

    def _answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path == "/used":
            used = resource.getrusage(resource.RUSAGE_SELF)
            return orjson.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "requests": self._rows.requests})
        query = dict(parse_qsl(parts.query))
        behind = datetime.fromisoformat(query["filter[to]"]).replace(tzinfo=ZoneInfo(TIMEZONE))
        return self._rows.page(int(query["offset"]), int(query["limit"]), (behind - FIRST_START) // STEP)


async def _serve(count: int, latency_seconds: float) -> None:
    rows, loop = Rows(count), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(rows, latency_seconds), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    asyncio.run(_serve(options.rows, options.latency_ms / 1000))
