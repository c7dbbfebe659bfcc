"""What the demo prints: steps, plain lines, tables and bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

console = Console(width=max(100, min(Console().width, 120)), highlight=False)


def step(text: str) -> None:
    console.print(f"[bold]▸ {text}[/bold]")


def print_line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    table = Table(*headings, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_bars(lengths: Iterable[tuple[str, float, str]]) -> None:
    """Print a bar for each (name, length in characters, label)."""
    bars = list(lengths)
    width = max(len(name) for name, _, _ in bars)
    for name, length, label in bars:
        print_line(f"  {name:<{width}} {'█' * round(length)} {label}")
