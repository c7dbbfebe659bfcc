"""Starts the servers of the benchmarks, each in its own process."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Used", "pages", "sandbox", "stats_of", "used_by"]


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """Run ``python -m altegio_provider.sandbox`` on a free port and yield its base URL."""
    with _running("altegio_provider.sandbox", "--port", "0", *options) as url:
        yield url


def stats_of(url: str) -> dict[str, Any]:
    """Return the statistics of a :func:`sandbox`."""
    with urllib.request.urlopen(url.replace("/api/v2", "/_sandbox/stats")) as answer:
        return dict(json.load(answer))


@contextlib.contextmanager
def pages(rows: int, latency_seconds: float = 0) -> Iterator[str]:
    """Run ``python -m benchmarks.page_server`` with ``rows`` rows and yield its base URL."""
    with _running("benchmarks.page_server", "--rows", str(rows), "--latency-ms", str(latency_seconds * 1000)) as url:
        yield url


class Used(NamedTuple):
    """The processor time and requests of a server of :func:`pages`."""

    cpu_seconds: float
    requests: int


def used_by(url: str) -> Used:
    """Return the processor time and requests of a server of :func:`pages`."""
    with urllib.request.urlopen(url.replace("/api/v2", "/used")) as answer:
        return Used(**json.load(answer))


@contextlib.contextmanager
def _running(module: str, *options: str) -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http\S+", process.stdout.readline())
            assert found, f"{module} did not start"
            yield found[0]
        finally:
            process.terminate()
