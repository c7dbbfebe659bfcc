"""`make setup` on machines that are not like this one, with a stand-in for Python that records what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# It "makes" a virtual environment by copying itself, has a pip configuration, and its uv fails when it is told to.
STAND_IN = r"""#!/bin/sh
echo "$* index=$UV_DEFAULT_INDEX links=$UV_FIND_LINKS build=$PIP_CONSTRAINT" >>"$CALLS"
case "$*" in
    "--version") echo "Python 3.10.1" ;;
    *"sys.version_info <"*) exit "${TOO_OLD:-0}" ;;
    *"import ensurepip"*) exit "${NO_VENV:-0}" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip config list") printf '%s\n' ":env:.find-links='/wheels'" "global.find-links='/not-these'" \
        "global.index-url='mirror'" "global.extra-index-url='second'" ;;
    "-m uv "*) exit "${UV_FAILS:-0}" ;;
    "-m pip install"*"--editable"*) exit "${PIP_FAILS:-0}" ;;
esac
"""


class Machine:
    """A checkout in a path with a space, on a machine with the stand-in as its only Python."""

    def __init__(self, tmp_path: Path) -> None:
        self.top = tmp_path / "a checkout"
        self.calls = tmp_path / "calls"
        self.python = tmp_path / "python"
        (self.top / "scripts").mkdir(parents=True)
        for name in (
            "setup.cfg",
            "pyproject.toml",
            "constraints.txt",
            "Makefile",
            "scripts/install.sh",
            "scripts/uv_settings.sh",
        ):
            shutil.copy(REPOSITORY / name, self.top / name)
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def setup(self, python: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        env = {"PATH": os.environ["PATH"], "CALLS": str(self.calls), **environment}
        command = ["make", "setup", f"PYTHON={python or self.python}"]
        return subprocess.run(command, cwd=self.top, env=env, capture_output=True, text=True, check=False, timeout=60)

    def installs(self) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if "--editable" in line]


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_it_installs_once_and_again_only_when_something_changed(machine):
    assert machine.setup().returncode == 0
    assert len(machine.installs()) == 1
    assert machine.setup().returncode == 0
    assert machine.installs() == []
    with (machine.top / "constraints.txt").open("a") as file:
        file.write("another==1.0\n")
    assert machine.setup().returncode == 0
    assert len(machine.installs()) == 1


def test_a_moved_checkout_is_installed_anew(machine, tmp_path):
    machine.setup()
    machine.top = machine.top.rename(tmp_path / "moved away")
    machine.setup()
    assert len(machine.installs()) == 1


def test_uv_is_told_what_pip_is_configured_with(machine):
    machine.setup()
    (install,) = machine.installs()
    assert install.startswith("-m uv pip install")
    assert "index=mirror links=/wheels" in install


def test_what_the_user_told_uv_stands(machine):
    machine.setup(UV_DEFAULT_INDEX="mine")
    assert "index=mine" in machine.installs()[0]


def test_where_uv_fails_pip_installs_under_the_same_constraints(machine):
    done = machine.setup(UV_FAILS="1")
    assert done.returncode == 0
    assert "trying pip" in done.stdout
    by_uv, by_pip = machine.installs()
    assert by_uv.startswith("-m uv")
    assert by_pip.startswith("-m pip install")
    assert "build=constraints.txt" in by_pip


def test_a_failed_installation_is_tried_again(machine):
    done = machine.setup(UV_FAILS="1", PIP_FAILS="1")
    assert done.returncode != 0
    assert "could not be installed" in done.stderr
    assert machine.setup().returncode == 0
    assert len(machine.installs()) == 1


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"python": "python-that-is-not-there"}, "'python-that-is-not-there' was not found. Install Python 3.11"),
        ({"TOO_OLD": "1"}, "Python 3.10.1 is too old: 3.11 or newer is needed"),
        ({"NO_VENV": "1"}, "python3-venv"),
    ],
)
def test_what_is_missing_is_said(machine, environment, sentence):
    done = machine.setup(**environment)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert machine.installs() == []
    assert not (machine.top / ".venv").exists()
