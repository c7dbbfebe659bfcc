"""Starts the sandbox in a process of its own, as a benchmark needs it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["sandbox"]


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """Run ``python -m altegio_provider.sandbox`` on a free port and give its base URL."""
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http\S+", line)
        assert found, "the sandbox did not start"
        yield found[0]
    finally:
        process.terminate()
        process.wait()
