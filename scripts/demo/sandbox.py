"""The demo's sandbox, which runs in its own process, and its control plane."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import requests

from scripts.demo.output import print_line, step
from scripts.demo.paths import REPOSITORY


class Sandbox:
    """A running sandbox.

    :param url: the base URL of the imitated API.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._control = url.removesuffix("/api/v2") + "/_sandbox"

    def get(self, path: str) -> Any:
        """GET a route of the control plane; docs/sandbox.md lists the routes."""
        return self._answer(requests.get(self._control + path, timeout=30))

    def post(self, path: str, body: Any) -> Any:
        """POST to a route of the control plane."""
        return self._answer(requests.post(self._control + path, json=body, timeout=30))

    def delete(self, path: str) -> None:
        """DELETE through the control plane."""
        self._answer(requests.delete(self._control + path, timeout=30))

    @staticmethod
    def _answer(answer: requests.Response) -> Any:
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def running_sandbox() -> Iterator[Sandbox]:
    """Start the imitated API on a free port."""
    step("The sandbox: an imitation of the Altegio API, on this machine only")
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http\S+", line):
                print_line(f"  {found[0]}")
                yield Sandbox(found[0])
                return
        raise SystemExit("The sandbox did not start; what it said is above.")
    finally:
        process.terminate()
        process.wait()
