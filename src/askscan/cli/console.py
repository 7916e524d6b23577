"""What commands print: progress with time left, tables, notes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

_FIGURE = re.compile(r"$|[-–]$|[-+]?[0-9]")
_FIRST_LINE_S, _LINE_S = 3.0, 15.0
"""Where nobody watches a bar: when a line says that something goes on, and how far apart such lines are at least."""
_TEXT_WIDTH = 16
"""Characters that a column of texts is given at least."""
_is_follower = any(os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
"""Whether another process of the same training, of torchrun's or Fabric's, is the one that tells the user."""
console = Console(soft_wrap=True, highlight=False, quiet=_is_follower)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left; yields `update(done, total)`. Where the output is no terminal, a line now and then."""
    if console.quiet:
        yield lambda done, total: None
        return
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

        if console.is_terminal:
            yield update
        else:
            with _lines(bars):
                yield update
            print(f"{title}: done", file=sys.stderr)  # what programs read on stdout stays clean


@contextmanager
def _lines(bars: Progress) -> Iterator[None]:
    """A line on stderr when the work takes more than a few seconds, and at every tenth of each part of it."""
    stop = Event()

    def watch() -> None:
        wait, said = _FIRST_LINE_S, None
        while not stop.wait(wait):
            (task,) = bars.tasks
            wait, standing = _LINE_S, (task.total, int(task.percentage // 10))
            if standing != said:
                left = f", {timedelta(seconds=round(task.time_remaining))} left" if task.time_remaining else ""
                done = "started" if task.total is None else f"{task.completed:.0f} of {task.total:.0f}{left}"
                print(f"{task.description}: {done}", file=sys.stderr)
                said = standing

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def say(text: str) -> None:
    """One line to the user, without markup."""
    console.print(text, markup=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; columns that hold figures are right-aligned, no text is cut off and no figure broken.

    What does not fit the terminal's width goes into further tables, each with the first column.
    """
    texts = [[_cell(value) for value in row] for row in rows]
    cells = list(zip(columns, *texts, strict=True))
    figures = [k > 0 and all(_FIGURE.match(cell) for cell in column) for k, (_, *column) in enumerate(cells)]
    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in cells]
    needed = [width if figures[k] else min(width, _TEXT_WIDTH) for k, width in enumerate(widths)]
    for part in _side_by_side(needed, console.width):
        grid = Table(title=title or None, title_justify="left")
        for k in part:
            justify: JustifyMethod = "right" if figures[k] else "left"
            grid.add_column(columns[k], justify=justify, no_wrap=figures[k], overflow="fold")
        for row in texts:
            grid.add_row(*(row[k] for k in part))
        console.print(grid)
        title = ""


def worker_count(processes: int) -> int:
    """Processes to use: what was asked for, or the cores this process may run on."""
    if processes > 0:
        return processes
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _side_by_side(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns of each table, so that none is wider than there is room; each has the first column."""
    parts = [[0]]
    for k in range(1, len(widths)):
        if len(parts[-1]) > 1 and 1 + sum(widths[i] + 3 for i in (*parts[-1], k)) > room:
            parts.append([0])
        parts[-1].append(k)
    return parts
