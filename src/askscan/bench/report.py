"""A benchmark's rows as tables: on the console, and as the page docs/PERFORMANCE.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from askscan.bench.results import Report, Result
from askscan.files import replacing

COLUMNS = ("what", "published", "goal", "askscan", "spread", "reference", "of memory", "of arithmetic", "peak GiB")
_COMMAND = "askscan bench --suite all --kernels --json bench/results/NAME.json"
_WIDTHS = (10, 17, 10, 17, 11, 11, 15, 10)
_KERNELS_SHOWN = 15
_OURS = ("askscan", "reference")
_ABOUT = """\
Times are medians of repeated runs in milliseconds, `spread` goes from the 10th to the 90th percentile. On a GPU they
are replays of recorded CUDA graphs (only the reference runs one kernel at a time; an evaluation step is timed on the
host, which turns its tensors into answers). Training steps include the making of their batch, on made-up rooms of
50,000 points. `reference` is this project's plain torch for the same thing. `published` is what the published code
needs on one H200: constants, it was not run here. The goals on a CPU are a tenth of the reference's time for farthest
points and a twentieth for balls. Shares are of what a large copy and a large matrix product reached
on the same device ({bytes_per_s}, {flops});
bytes and operations are counted from shapes, each once, recomputation not counted. What mostly writes is faster than a
copy, and its share above 100 %.
"""


def cells(result: Result) -> list[str]:
    """One row of `COLUMNS`."""
    ours, plain = result.times.get("askscan"), result.times.get("reference")
    met = ours is not None and result.goal_ms is not None and ours.median_ms <= result.goal_ms
    goal = "" if result.goal_ms is None else f"<= {result.goal_ms:.3g} ms {'met' if met else 'missed'}"
    return [
        result.name,
        _ms(result.published_ms),
        goal,
        _ms(ours.median_ms) if ours else result.error or "none",
        f"{_number(ours.low_ms)} to {_number(ours.high_ms)}" if ours else "",
        _ms(plain.median_ms if plain else None),
        _percent(result.memory_share),
        _percent(result.arithmetic_share),
        "" if result.peak_gib is None else f"{result.peak_gib:.1f}",
    ]


def line(row: Sequence[str]) -> str:
    """`cells`, or `COLUMNS`, as a line of the console."""
    return f"{row[0]:<68}" + "".join(f"{cell:>{width}}" for cell, width in zip(row[1:], _WIDTHS, strict=True))


def page(report: Report, source: str) -> str:
    """The Markdown page.

    Args:
        report: Of a run.
        source: Name of its JSON file.
    """
    rows = report.results
    parts = [
        "# Measured speed\n",
        f"Written by `askscan bench --render` from `{source}`; nothing here is typed by hand. Measure again:\n",
        f"```\n{_COMMAND}\naskscan bench --json bench/results/NAME.json --render docs/PERFORMANCE.md\n```\n",
        _table(("", ""), list(report.environment.items())),
        _ABOUT.format(
            bytes_per_s=f"{report.ceilings.bytes_per_s / 1e9:,.0f} GB/s",
            flops=", ".join(f"{rate / 1e12:.3g} TFLOP/s in {dtype}" for dtype, rate in report.ceilings.flops.items()),
        ),
        "## Goals\n",
        _table(COLUMNS[:6], [cells(row)[:6] for row in rows if row.goal_ms is not None]),
        "## Steps\n",
        _table(COLUMNS[:6] + COLUMNS[8:], [_without_shares(row) for row in rows if row.suite == "steps"]),
        "## Operations\n",
        _table(COLUMNS[:8], [cells(row)[:8] for row in rows if row.suite == "ops"]),
        "## Growth with points, scenes and texts\n",
        _table((COLUMNS[0], COLUMNS[3], COLUMNS[4]), [_ours(row) for row in rows if row.suite == "growth"]),
    ]
    others = [(r.name, name, _ms(t.median_ms)) for r in rows for name, t in r.times.items() if name not in _OURS]
    if others:
        parts += ["## Libraries\n", _table(("what", "library", "time"), others)]
    for name, kernels in report.kernels.items():
        total = sum(kernel.microseconds for kernel in kernels) / 1e3
        shown = [(kernel.name[:100], kernel.calls, f"{kernel.microseconds:.0f}") for kernel in kernels[:_KERNELS_SHOWN]]
        parts += [
            f"## Kernels of the {name}\n",
            f"{total:.1f} ms of kernels in one step; two streams overlap.\n",
            _table(("kernel", "calls", "us"), shown),
        ]
    return "\n".join(parts)


def write_page(report: Report, source: str, path: Path) -> None:
    """Write the Markdown page."""
    with replacing(path) as temporary:
        temporary.write_text(page(report, source))


def _without_shares(result: Result) -> list[str]:
    row = cells(result)
    return row[:6] + row[8:]


def _ours(result: Result) -> list[str]:
    row = cells(result)
    return [row[0], row[3], row[4]]


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{_number(value)} ms"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
