"""What commands print: progress with time left, tables, notes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

_FIGURE = re.compile(r"$|[-–]$|[-+]?[0-9]")
console = Console(soft_wrap=True, highlight=False)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left; yields `update(done, total)`. Where the output is no terminal, one line at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield update
    if not console.is_terminal:
        print(f"{title}: done", file=sys.stderr)  # what programs read on stdout stays clean


def say(text: str) -> None:
    """One line to the user, without markup."""
    console.print(text, markup=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; columns that hold figures are right-aligned, and no text is cut off."""
    grid = Table(title=title or None, title_justify="left")
    for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
        figures = all(not isinstance(cell, str) or _FIGURE.match(cell) for cell in cells)
        grid.add_column(column, justify="right" if figures else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console.print(grid)


def worker_count(processes: int) -> int:
    """Processes to use: what was asked for, or the cores this process may run on."""
    if processes > 0:
        return processes
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
