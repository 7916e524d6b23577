"""Figures of the report page as inline SVG and HTML: curves, bars, a reliability figure, a map of scenes, tables.

They are drawn about 360 units wide, so that their text is legible on a phone and two or three fit beside one another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.metrics.calibration import Bin

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a3d9a", "#4b5563")
"""Told apart with any colour vision (the first six: Okabe and Ito 2008)."""
_MARKS = ("circle", "square", "diamond")
_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 12, 30
_MAX_POINTS = 240
_MAX_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a figure."""

    color: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: a figure in percent, with its interval where one is known."""

    name: str
    color: str
    value: float
    low: float | None = None
    high: float | None = None


def color(index: int) -> str:
    """Colour of the index-th run."""
    return PALETTE[index % len(PALETTE)]


def curves(title: str, series: Sequence[Series]) -> str:
    """Lines over a common axis of steps; long ones are averaged to what a screen can show."""
    drawn = [_thinned(s) for s in series if len(s.x)]
    xs, ys = [v for s in drawn for v in s.x], [v for s in drawn for v in s.y]
    # The first steps of a loss may be many times what follows: they leave through the top.
    top = min(max(ys), 2.5 * float(np.percentile(ys, 90))) if min(ys) >= 0 and len(ys) > 10 else max(ys)
    axes = _Axes((min(0.0, *xs), max(xs)), _padded(min(ys), top))
    parts = []
    for s in drawn:
        points = " ".join(f"{axes.x(x):.1f},{axes.y(min(y, top)):.1f}" for x, y in zip(s.x, s.y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{s.color}" stroke-width="1.8"/>')
        if len(s.x) < 12:
            parts += [_mark("circle", axes.x(x), axes.y(y), s.color) for x, y in zip(s.x, s.y, strict=True)]
    return _figure(title, axes.svg("step", title) + "".join(parts))


def reliability(title: str, bins: Sequence[Bin], bar_color: str) -> str:
    """Share right over mean confidence of each bin, against the diagonal; the area of a dot is its share."""
    axes = _Axes((0.0, 1.0), (0.0, 1.0))
    total = max(sum(b.count for b in bins), 1)
    ends = f'x1="{axes.x(0.0):.1f}" y1="{axes.y(0.0):.1f}" x2="{axes.x(1.0):.1f}" y2="{axes.y(1.0):.1f}"'
    line = " ".join(f"{axes.x(b.confidence):.1f},{axes.y(b.accuracy):.1f}" for b in bins)
    dots = "".join(
        f'<circle cx="{axes.x(b.confidence):.1f}" cy="{axes.y(b.accuracy):.1f}" '
        f'r="{3 + 12 * math.sqrt(b.count / total):.1f}" fill="{bar_color}" fill-opacity="0.55">'
        f"<title>{b.count} answers: confidence {b.confidence:.2f}, right {b.accuracy:.2f}</title></circle>"
        for b in bins
    )
    lines = f'<polyline points="{line}" fill="none" stroke="{bar_color}" stroke-width="1.5"/>'
    return _figure(title, axes.svg("confidence", "share right") + f'<line {ends} class="diagonal"/>' + lines + dots)


def scene_map(
    title: str, xy: Float[ndarray, "s 2"], names: Sequence[str], types: Sequence[str], order: Sequence[str]
) -> str:
    """Dots in the plane, marked by type; the legend is `type_legend(order)`."""
    size, margin = _WIDTH, 14
    pixels = margin + (xy * (1, -1) + 1) / 2 * (size - 2 * margin)
    marks = "".join(
        _mark(_MARKS[order.index(t) // len(PALETTE) % len(_MARKS)], x, y, color(order.index(t)), f"{name}: {t}", 5.0)
        for (x, y), name, t in zip(pixels.tolist(), names, types, strict=True)
    )
    return _figure(title, f'<rect width="{size}" height="{size}" class="ground"/>{marks}', height=size)


def type_legend(order: Sequence[str]) -> str:
    """Names of types with the marks that `scene_map` draws."""
    items = []
    for i, name in enumerate(order):
        mark = _mark(_MARKS[i // len(PALETTE) % len(_MARKS)], 7.0, 7.0, color(i), radius=5.0)
        items.append(
            f'<span><svg width="14" height="14" viewBox="0 0 14 14">{mark}</svg>{escape(name or "unknown")}</span>'
        )
    return f'<p class="legend">{"".join(items)}</p>'


def legend(names: Sequence[str]) -> str:
    """Names of runs with their colours."""
    items = (f'<span><i style="background:{color(i)}"></i>{escape(name)}</span>' for i, name in enumerate(names))
    return f'<p class="legend">{"".join(items)}</p>'


def bars(groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Groups of horizontal bars from 0 to 100 with whiskers."""
    out = []
    for title, group in groups:
        rows = "".join(_bar(bar) for bar in group)
        out.append(f'<div class="bars"><h4>{escape(title)}</h4>{rows}</div>')
    return "".join(out)


def breakable(name: str) -> str:
    """A name as HTML that a narrow screen may break after its dots, slashes and underscores."""
    return re.sub(r"(?<=[._/])(?=.)", "<wbr>", escape(name))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], css: str = "") -> str:
    """A table of ready HTML cells; the first column stays in sight."""
    head = "".join(f"<th>{breakable(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def heat_table(rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Counts shaded by their share of the row; the diagonal (row = column) in another colour."""
    out = []
    for name, row in zip(rows, counts, strict=True):
        total = max(sum(row), 1)
        cells = [f"<b>{escape(name)}</b>"]
        for column, count in zip(columns, row, strict=True):
            tint = "0,114,178" if column == name else "213,94,0"
            style = f' style="background:rgba({tint},{0.08 + 0.6 * count / total:.2f})"' if count else ""
            cells.append(f"<span{style}>{count or ''}</span>")
        out.append(cells)
    return table(("right \\ given", *columns), out, css="heat")


class _Axes:
    """Data to drawing coordinates, with a grid at round values."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        self.x_range, self.y_range = x_range, y_range

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / max(high - low, 1e-12) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return _HEIGHT - _BOTTOM - (value - low) / max(high - low, 1e-12) * (_HEIGHT - _TOP - _BOTTOM)

    def svg(self, x_label: str, y_label: str) -> str:
        parts = []
        for value in _ticks(*self.y_range):
            y = self.y(value)
            parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" class="grid"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in _ticks(*self.x_range):
            parts.append(
                f'<text x="{self.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{value:g}</text>'
            )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>')
        x, y = 12, (_TOP + _HEIGHT - _BOTTOM) / 2
        turned = f'x="{x}" y="{y:.1f}" transform="rotate(-90 {x} {y:.1f})"'
        parts.append(f'<text {turned} text-anchor="middle">{escape(y_label)}</text>')
        return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Round values in a range.

    >>> _ticks(0.0, 100.0), _ticks(0.2, 0.9)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.2, 0.4, 0.6, 0.8])
    """
    span = max(high - low, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / _MAX_TICKS))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= _MAX_TICKS + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range with room at both ends; down to 0 where the values are near it."""
    span = high - low or max(abs(high), 1.0)
    return (0.0 if 0 <= low < span else low - 0.05 * span), high + 0.05 * span


def _thinned(series: Series) -> Series:
    size = math.ceil(len(series.x) / _MAX_POINTS)
    parts = [(series.x[i : i + size], series.y[i : i + size]) for i in range(0, len(series.x), size)]
    return Series(color=series.color, x=[float(np.mean(x)) for x, _ in parts], y=[float(np.mean(y)) for _, y in parts])


def _bar(bar: Bar) -> str:
    whisker = ""
    if bar.low is not None and bar.high is not None:
        whisker = f'<em style="left:{bar.low:.1f}%;width:{max(bar.high - bar.low, 0.2):.1f}%"></em>'
    return (
        f'<div class="bar"><span>{breakable(bar.name)}</span><div><i style="width:{bar.value:.1f}%;'
        f'background:{bar.color}"></i>{whisker}</div><b>{bar.value:.1f}</b></div>'
    )


def _mark(kind: str, x: float, y: float, fill: str, title: str = "", radius: float = 3.0) -> str:
    hover = f"<title>{escape(title)}</title>" if title else ""
    look = f'fill="{fill}" fill-opacity="0.85"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {look}>{hover}</circle>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if kind == "diamond" else ""
    corner = f'x="{x - 0.85 * radius:.1f}" y="{y - 0.85 * radius:.1f}"'
    side = f'width="{1.7 * radius:.1f}" height="{1.7 * radius:.1f}"'
    return f"<rect {corner} {side} {look}{turn}>{hover}</rect>"


def _figure(title: str, content: str, height: int = _HEIGHT) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">{content}</svg></figure>'
    )
