"""What things stand and lie on: tables, desks, counters, beds."""

from __future__ import annotations

import numpy as np

from askscan.rooms.catalogue import STEEL, Look
from askscan.rooms.furniture import Builder, Paint, Part, Piece, Vec, box, legs, rod, slab, soft, span

LIGHT: Paint = ("white", "fabric")


def _footprint(rng: np.random.Generator, shape: str, low: float, high: float) -> tuple[float, float]:
    """Depth and width of a table top of a shape, its depth drawn from [low, high]."""
    depth = span(rng, low, high)
    return depth, depth * (1.0 if shape in ("square", "round") else span(rng, 1.5, 2.1))


def _table_on(rng: np.random.Generator, kind: str, look: Look, size: Vec) -> Piece:
    """A table of the given depth, width and height on four legs, one pedestal or two panels."""
    depth, width, high = size
    main = look.paint
    thick = span(rng, 0.035, 0.06)
    top = slab("top", look.shape, (0, 0, high - thick / 2), (depth, width, thick), main)
    leg_paint = main if look.material in ("wood", "metal") and rng.random() < 0.75 else STEEL
    style = rng.random()
    under = high - thick
    counts: tuple[tuple[str, int], ...] = ()
    if look.shape in ("round", "oval") and style < 0.6:
        w = min(depth, width)
        parts = [
            rod("base", (0, 0, 0.02), (w * 0.55, w * 0.55, 0.04), main),
            rod("column", (0, 0, under / 2), (0.09, 0.09, under), leg_paint),
        ]
    elif look.shape == "rectangular" and style < 0.3:
        parts = [box("panel", (0, s * (width / 2 - 0.1), under / 2), (depth * 0.8, 0.05, under), main) for s in (-1, 1)]
    else:
        inset = 0.66 if look.shape in ("round", "oval") else 0.96
        parts = legs(depth * inset, width * inset, under, span(rng, 0.05, 0.075), leg_paint)
        counts = (("leg", 4),)
    return Piece(kind=kind, look=look, parts=(top, *parts), num_parts=counts, top_m=high)


def _table(rng: np.random.Generator, look: Look) -> Piece:
    low, high = (0.8, 1.15) if look.shape in ("square", "round") else (0.75, 0.95)
    depth, width = _footprint(rng, look.shape, low, high)
    return _table_on(rng, "table", look, (depth, width, span(rng, 0.71, 0.77)))


def _coffee_table(rng: np.random.Generator, look: Look) -> Piece:
    low, high = (0.6, 0.9) if look.shape in ("square", "round") else (0.5, 0.65)
    depth, width = _footprint(rng, look.shape, low, high)
    return _table_on(rng, "coffee table", look, (depth, width, span(rng, 0.36, 0.46)))


def _end_table(rng: np.random.Generator, look: Look) -> Piece:
    depth = span(rng, 0.4, 0.55)
    return _table_on(rng, "end table", look, (depth, depth, span(rng, 0.48, 0.6)))


def _drawers(x: float, y: float, low: float, high: float, width: float, count: int, paint: Paint) -> list[Part]:
    """Drawer fronts stacked between two heights, with handles, on the face at x."""
    step = (high - low) / count
    parts = []
    for k in range(count):
        z = low + (k + 0.5) * step
        parts.append(box("drawer", (x + 0.008, y, z), (0.016, width - 0.03, step - 0.03), paint))
        parts.append(box("handle", (x + 0.025, y, z), (0.025, min(0.14, width / 3), 0.025), STEEL))
    return parts


def _desk(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    depth, width, high = span(rng, 0.6, 0.78), span(rng, 1.15, 1.65), span(rng, 0.71, 0.76)
    thick, side = 0.04, 1 if rng.random() < 0.5 else -1
    under = high - thick
    parts = [box("top", (0, 0, high - thick / 2), (depth, width, thick), main)]
    counts: list[tuple[str, int]] = []
    if rng.random() < 0.5:
        drawers, w = int(rng.integers(2, 5)), 0.4
        y = side * (width / 2 - w / 2 - 0.01)
        parts.append(box("body", (-0.01, y, under / 2 + 0.02), (depth - 0.06, w, under - 0.04), main))
        parts += _drawers(depth / 2 - 0.04, y, 0.06, under, w, drawers, main)
        parts.append(box("panel", (0, -side * (width / 2 - 0.03), under / 2), (depth * 0.9, 0.04, under), main))
        counts.append(("drawer", drawers))
    else:
        parts += legs(depth * 0.94, width * 0.96, under, 0.05, main if rng.random() < 0.6 else STEEL)
        counts.append(("leg", 4))
    if look.shape == "l-shaped":
        long = span(rng, 0.5, 0.7)
        y = -side * (width / 2 - 0.28)
        x = depth / 2 + long / 2
        parts.append(box("top", (x, y, high - thick / 2), (long, 0.56, thick), main))
        parts.append(box("panel", (depth / 2 + long - 0.04, y, under / 2), (0.04, 0.5, under), main))
    return Piece(kind="desk", look=look, parts=tuple(parts), num_parts=tuple(counts), top_m=high)


def _counter(rng: np.random.Generator, look: Look) -> Piece:
    """A free-standing counter (reception, bar): a body with a top that sticks out."""
    main = look.paint
    depth, width, high = span(rng, 0.5, 0.65), span(rng, 1.4, 2.2), span(rng, 0.95, 1.1)
    parts = [
        box("body", (-0.03, 0, high / 2 - 0.02), (depth - 0.1, width - 0.06, high - 0.04), main),
        box("top", (0, 0, high - 0.03), (depth, width, 0.06), main),
    ]
    if look.shape == "l-shaped":
        long, side = span(rng, 0.5, 0.8), 1 if rng.random() < 0.5 else -1
        y = side * (width / 2 - depth / 2)
        x = depth / 2 + long / 2
        parts.append(box("body", (x - 0.06, y, high / 2 - 0.02), (long, depth - 0.1, high - 0.04), main))
        parts.append(box("top", (x, y, high - 0.03), (long, depth, 0.06), main))
    return Piece(kind="counter", look=look, parts=tuple(parts), top_m=high)


def _kitchen_counter(rng: np.random.Generator, look: Look) -> Piece:
    """Only the worktop: the layout puts it on a row of cabinets and stretches it to their width."""
    main = look.paint
    parts = (
        box("top", (0, 0, 0.025), (0.64, 1.6, 0.05), main),
        box("splashback", (-0.31, 0, 0.1), (0.02, 1.6, 0.1), main),
    )
    return Piece(kind="kitchen counter", look=look, parts=parts, top_m=0.05)


def _bed(rng: np.random.Generator, look: Look) -> Piece:
    """The blanket has the bed's colour and material; the head is at -x, so the bed 'looks' to its foot."""
    main = look.paint
    frame: Paint = (("brown", "beige", "white", "black")[rng.integers(4)], "wood")
    width = (0.95, 1.4, 1.6, 1.8)[rng.integers(4)] * span(rng, 0.97, 1.05)
    long, top, head = span(rng, 1.95, 2.12), span(rng, 0.46, 0.6), span(rng, 0.85, 1.2)
    parts = [
        box("frame", (0, 0, top / 2 - 0.06), (long, width, top - 0.24), frame),
        box("headboard", (-long / 2 - 0.03, 0, head / 2), (0.06, width + 0.06, head), frame),
        soft("mattress", (0, 0, top - 0.11), (long - 0.04, width - 0.04, 0.2), LIGHT, 0.05),
        soft("blanket", (0.24, 0, top - 0.16), (long - 0.46, width + 0.05, 0.33), main, 0.04),
    ]
    if rng.random() < 0.5:
        parts.append(soft("blanket", (-long / 2 + 0.62, 0, top + 0.02), (0.22, width + 0.05, 0.05), main, 0.025))
    if rng.random() < 0.4:
        foot = span(rng, 0.5, 0.75)
        parts.append(box("footboard", (long / 2 + 0.03, 0, foot / 2), (0.05, width + 0.06, foot), frame))
    return Piece(kind="bed", look=look, parts=tuple(parts), top_m=top - 0.01)


BUILDERS: dict[str, Builder] = {
    "table": _table,
    "coffee table": _coffee_table,
    "end table": _end_table,
    "desk": _desk,
    "counter": _counter,
    "kitchen counter": _kitchen_counter,
    "bed": _bed,
}
"""Builders by kind."""
