"""The goals of a benchmark: what was wanted, what it is, met or not."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["Goal", "format_goals", "machine"]


@dataclass(frozen=True)
class Goal:
    """One goal.

    :param name: what is measured, with its unit.
    :param figure: what it is.
    :param bound: what it must not exceed, or must reach.
    :param at_least: whether it must be reached.
    """

    name: str
    figure: float
    bound: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return (
            f"{'met    ' if self.is_met else 'NOT MET'}  {self.name}: {self.figure:,.4g} (goal: {word} {self.bound:,g})"
        )


def format_goals(goals: Sequence[Goal]) -> str:
    """The goals, a line each, and how many of them are met."""
    return "\n".join([*map(str, goals), f"{sum(goal.is_met for goal in goals)} of {len(goals)} goals met"])


def machine() -> str:
    """The versions and the machine that figures were measured with."""
    names = ("apache-airflow", "pyarrow", "pandas", "orjson", "requests", "dlt", "apache-airflow-providers-http")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    processors = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if processors.exists():
        lines = processors.read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    return f"Python {platform.python_version()}, {versions}\n{model}, {platform.system()} {platform.release()}"
