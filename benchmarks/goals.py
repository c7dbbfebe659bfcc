"""The goals of a benchmark, with the measured figures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["Goal", "format_goals", "machine"]


@dataclass(frozen=True)
class Goal:
    """A goal and its measured figure.

    :param name: what is measured, with its unit.
    :param figure: the measured value.
    :param bound: the maximum, or the minimum.
    :param at_least: whether ``bound`` is the minimum.
    """

    name: str
    figure: float
    bound: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return (
            f"{'met    ' if self.is_met else 'NOT MET'}  {self.name}: {self.figure:,.4g} (goal: {word} {self.bound:,g})"
        )


def format_goals(goals: Sequence[Goal]) -> str:
    """Return a line for each goal, and how many goals are met."""
    return "\n".join([*map(str, goals), f"{sum(goal.is_met for goal in goals)} of {len(goals)} goals met"])


def machine() -> str:
    """Return the versions and the machine of the measurement."""
    names = ("apache-airflow", "pyarrow", "pandas", "orjson", "requests", "dlt", "apache-airflow-providers-http")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    processors = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if processors.exists():
        lines = processors.read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    return f"Python {platform.python_version()}, {versions}\n{model}, {platform.system()} {platform.release()}"
