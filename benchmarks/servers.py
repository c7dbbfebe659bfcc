"""Starts the servers that a benchmark talks to, each in a process of its own."""

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
    """Run ``python -m altegio_provider.sandbox`` on a free port and give its base URL."""
    with _running("altegio_provider.sandbox", "--port", "0", *options) as url:
        yield url


def stats_of(url: str) -> dict[str, Any]:
    """Ask the control plane of a :func:`sandbox` what it has seen."""
    with urllib.request.urlopen(url.replace("/api/v2", "/_sandbox/stats")) as answer:
        return dict(json.load(answer))


@contextlib.contextmanager
def pages(rows: int, latency_seconds: float = 0) -> Iterator[str]:
    """Run ``python -m benchmarks.page_server`` with so many rows and give its base URL."""
    with _running("benchmarks.page_server", "--rows", str(rows), "--latency-ms", str(latency_seconds * 1000)) as url:
        yield url


class Used(NamedTuple):
    """What a server of :func:`pages` has done so far."""

    cpu_seconds: float
    requests: int


def used_by(url: str) -> Used:
    """Ask a server of :func:`pages` what it has done so far."""
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
