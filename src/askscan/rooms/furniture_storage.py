"""Casework: cabinets, dressers, nightstands, wardrobes, shelves, carts."""

from __future__ import annotations

import numpy as np

from askscan.rooms.catalogue import DARK, STEEL, Look
from askscan.rooms.furniture import CORNERS, Builder, Paint, Part, Piece, Vec, box, legs, rod, span

BOOK_COLORS = ("red", "blue", "green", "brown", "black", "white", "orange", "purple")


def _knob_paint(look: Look) -> Paint:
    return DARK if look.color in ("white", "beige", "gray") else ("white", "metal")


def _case(look: Look, size: Vec, *, plinth: float = 0.05) -> list[Part]:
    """A closed body on a dark plinth, its front face at +x of the depth less 2 cm."""
    depth, width, high = size
    main = look.paint
    return [
        box("body", (-0.01, 0, (high + plinth) / 2), (depth - 0.02, width, high - plinth), main),
        box("plinth", (-0.02, 0, plinth / 2), (depth - 0.06, width - 0.04, plinth), DARK),
    ]


def _fronts(look: Look, size: Vec, low: float, high: float, columns: int, rows: int, name: str) -> list[Part]:
    """A grid of drawer or door fronts with handles between two heights."""
    depth, width, _ = size
    main, knob = look.paint, _knob_paint(look)
    w, h = width / columns, (high - low) / rows
    parts = []
    for c in range(columns):
        for r in range(rows):
            y, z = (c + 0.5) * w - width / 2, low + (r + 0.5) * h
            parts.append(box(name, (depth / 2 - 0.01, y, z), (0.02, w - 0.03, h - 0.03), main))
            if name == "drawer":
                at, handle = (depth / 2 + 0.012, y, z), (0.025, min(0.16, w / 3), 0.025)
            else:
                toward = 1 if c % 2 == 0 else -1
                at, handle = (depth / 2 + 0.012, y + toward * (w / 2 - 0.06), z), (0.025, 0.025, min(0.18, h / 3))
            parts.append(box("handle", at, handle, knob))
    return parts


def _cabinet(rng: np.random.Generator, look: Look) -> Piece:
    size = (span(rng, 0.38, 0.5), span(rng, 0.7, 1.3), span(rng, 0.75, 1.15))
    parts = _case(look, size)
    doors = 2 if size[1] < 1.0 else 3
    if rng.random() < 0.4:
        split = size[2] - 0.22
        parts += _fronts(look, size, 0.06, split, doors, 1, "door") + _fronts(
            look, size, split, size[2], doors, 1, "drawer"
        )
        counts: tuple[tuple[str, int], ...] = (("door", doors), ("drawer", doors))
    else:
        parts += _fronts(look, size, 0.06, size[2], doors, 1, "door")
        counts = (("door", doors),)
    return Piece(kind="cabinet", look=look, parts=tuple(parts), num_parts=counts, top_m=size[2])


def _kitchen_cabinet(rng: np.random.Generator, look: Look) -> Piece:
    size = (0.6, span(rng, 0.6, 1.0), 0.86)
    parts = _case(look, size, plinth=0.1)
    if rng.random() < 0.35:
        rows = int(rng.integers(3, 5))
        parts += _fronts(look, size, 0.11, size[2], 1, rows, "drawer")
        counts = (("drawer", rows),)
    else:
        parts += _fronts(look, size, 0.11, size[2], 2, 1, "door")
        counts = (("door", 2),)
    return Piece(kind="kitchen cabinet", look=look, parts=tuple(parts), num_parts=counts, top_m=size[2])


def _file_cabinet(rng: np.random.Generator, look: Look) -> Piece:
    rows = int(rng.integers(2, 5))
    size = (span(rng, 0.5, 0.62), span(rng, 0.4, 0.5), rows * span(rng, 0.29, 0.33) + 0.06)
    parts = _case(look, size) + _fronts(look, size, 0.06, size[2], 1, rows, "drawer")
    return Piece(kind="file cabinet", look=look, parts=tuple(parts), num_parts=(("drawer", rows),), top_m=size[2])


def _nightstand(rng: np.random.Generator, look: Look) -> Piece:
    rows = int(rng.integers(1, 4))
    depth = span(rng, 0.38, 0.46)
    size = (depth, depth, span(rng, 0.45, 0.62))
    main = look.paint
    if rows == 1:
        low = size[2] - 0.2
        parts = [
            box("body", (-0.01, 0, low + 0.1), (depth - 0.02, depth, 0.2), main),
            *legs(depth - 0.02, depth, low, 0.04, main),
        ]
    else:
        low, parts = 0.06, _case(look, size)
    parts += _fronts(look, size, low, size[2], 1, rows, "drawer")
    return Piece(kind="nightstand", look=look, parts=tuple(parts), num_parts=(("drawer", rows),), top_m=size[2])


def _dresser(rng: np.random.Generator, look: Look) -> Piece:
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    size = (
        span(rng, 0.44, 0.52),
        columns * span(rng, 0.6, 0.75) + (0.2 if columns == 1 else 0),
        rows * 0.2 + span(rng, 0.12, 0.24),
    )
    parts = _case(look, size) + _fronts(look, size, 0.06, size[2], columns, rows, "drawer")
    return Piece(kind="dresser", look=look, parts=tuple(parts), num_parts=(("drawer", rows * columns),), top_m=size[2])


def _wardrobe(rng: np.random.Generator, look: Look) -> Piece:
    doors = int(rng.integers(2, 4))
    size = (span(rng, 0.55, 0.62), doors * span(rng, 0.45, 0.55), span(rng, 1.8, 2.1))
    parts = _case(look, size) + _fronts(look, size, 0.06, size[2], doors, 1, "door")
    return Piece(kind="wardrobe", look=look, parts=tuple(parts), num_parts=(("door", doors),))


def _books(rng: np.random.Generator, depth: float, y0: float, y1: float, z: float, room: float) -> list[Part]:
    """A run of books of one colour each on a board, from y0 towards y1."""
    parts = []
    while y0 < y1 - 0.1:
        thick, high = span(rng, 0.08, 0.2), min(span(rng, 0.17, 0.26), room - 0.03)
        paint = (BOOK_COLORS[rng.integers(len(BOOK_COLORS))], "paper")
        parts.append(box("books", (0.0, y0 + thick / 2, z + high / 2), (depth * 0.7, thick - 0.01, high), paint))
        y0 += thick
        if rng.random() < 0.35:
            break
    return parts


def _bookshelf(rng: np.random.Generator, look: Look) -> Piece:
    boards = int(rng.integers(2, 6))
    depth, width, step = span(rng, 0.27, 0.36), span(rng, 0.7, 1.2), span(rng, 0.31, 0.37)
    high = boards * step + 0.08
    main = look.paint
    parts = [box("side", (0, s * (width / 2 - 0.02), high / 2), (depth, 0.04, high), main) for s in (-1, 1)]
    parts.append(box("back", (-depth / 2 + 0.01, 0, high / 2), (0.02, width, high), main))
    parts.append(box("top", (0, 0, high - 0.02), (depth, width, 0.04), main))
    for k in range(boards):
        z = 0.06 + k * step
        parts.append(box("shelf", (0, 0, z), (depth, width - 0.06, 0.04), main))
        if rng.random() < 0.65:
            parts += _books(rng, depth, -width / 2 + 0.05, width * span(rng, -0.2, 0.35), z + 0.02, step - 0.04)
    return Piece(kind="bookshelf", look=look, parts=tuple(parts), num_parts=(("shelf", boards),), top_m=high)


def _shelf(rng: np.random.Generator, look: Look) -> Piece:
    """An open rack of posts and boards."""
    boards = int(rng.integers(3, 6))
    depth, width, step = span(rng, 0.38, 0.5), span(rng, 0.8, 1.4), span(rng, 0.36, 0.44)
    high = (boards - 1) * step + 0.14
    main = look.paint
    parts: list[Part] = legs(depth, width, high, 0.045, main)
    for k in range(boards):
        parts.append(box("shelf", (0, 0, 0.1 + k * step), (depth, width, 0.035), main))
        if rng.random() < 0.4 and k < boards - 1:
            w = span(rng, 0.2, 0.35)
            y = span(rng, -width / 2 + w, width / 2 - w)
            at = (0.0, y, 0.12 + k * step + 0.1)
            parts.append(box("load", at, (depth * 0.7, w, 0.2), ("brown", "cardboard")))
    return Piece(kind="shelf", look=look, parts=tuple(parts), num_parts=(("shelf", boards),), top_m=high - 0.02)


def _cart(rng: np.random.Generator, look: Look) -> Piece:
    boards = int(rng.integers(2, 4))
    depth, width, step = span(rng, 0.38, 0.48), span(rng, 0.6, 0.8), 0.33
    main = look.paint
    high = 0.12 + (boards - 1) * step
    parts = [box("shelf", (0, 0, 0.12 + k * step), (depth, width, 0.04), main) for k in range(boards)]
    x, y, post = depth / 2 - 0.03, width / 2 - 0.03, (0.035, 0.035, high + 0.08)
    parts += [rod("post", (a * x, b * y, high / 2 + 0.04), post, STEEL) for a, b in CORNERS]
    parts.append(box("handle", (0, width / 2 - 0.03, high + 0.09), (depth, 0.03, 0.03), STEEL))
    return Piece(kind="cart", look=look, parts=tuple(parts), num_parts=(("shelf", boards),))


BUILDERS: dict[str, Builder] = {
    "cabinet": _cabinet,
    "kitchen cabinet": _kitchen_cabinet,
    "file cabinet": _file_cabinet,
    "nightstand": _nightstand,
    "dresser": _dresser,
    "wardrobe": _wardrobe,
    "bookshelf": _bookshelf,
    "shelf": _shelf,
    "cart": _cart,
}
"""Builders by kind."""
