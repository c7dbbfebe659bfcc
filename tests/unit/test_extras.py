"""The extras for object stores can be installed together under the pinned versions."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STORES = ("s3", "gcs", "azure")


def resolved(requirements: list[str], constraints: Path) -> subprocess.CompletedProcess[str]:
    """Which versions would be installed; the test is skipped where the package index cannot be reached."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "-"]
    done = subprocess.run(
        [*command, "--constraint", str(constraints)],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode and "No solution found" not in done.stderr:
        pytest.skip(f"the package index does not answer: {done.stderr[-200:]}")
    return done


def test_the_extras_of_the_stores_resolve_together_under_the_constraints():
    setup_cfg = configparser.ConfigParser()
    setup_cfg.read(REPOSITORY / "setup.cfg")
    wanted = setup_cfg["options"]["install_requires"].splitlines()
    for extra in STORES:
        wanted += setup_cfg["options.extras_require"][extra].splitlines()
    done = resolved(wanted, REPOSITORY / "constraints.txt")
    assert done.returncode == 0, done.stderr
    names = {line.partition("==")[0] for line in done.stdout.splitlines()}
    assert {"s3fs", "gcsfs", "adlfs", "apache-airflow-providers-amazon"} <= names
