"""Things that are carried about: lamps, boxes, bins, bags, plants, electronics, linen."""

from __future__ import annotations

import math

import numpy as np

from askscan.rooms.catalogue import DARK, GLOSS, STEEL, Look
from askscan.rooms.furniture import CORNERS, Builder, Paint, Part, Piece, ball, box, legs, rod, soft, span


def _lamp(rng: np.random.Generator, look: Look) -> Piece:
    """A table lamp; `floor_lamp` is the tall one."""
    return _lamp_of(rng, look, span(rng, 0.38, 0.55), span(rng, 0.24, 0.34))


def floor_lamp(rng: np.random.Generator, look: Look) -> Piece:
    """A lamp that stands on the floor."""
    return _lamp_of(rng, look, span(rng, 1.35, 1.7), span(rng, 0.34, 0.48))


def _lamp_of(rng: np.random.Generator, look: Look, high: float, across: float) -> Piece:
    main = look.paint
    shade_high = across * span(rng, 0.6, 0.8)
    # A tall stand has more surface than the shade: it shares the colour that the lamp is named by.
    stand = main if high > 1.0 else STEEL if rng.random() < 0.5 else DARK
    body = (rod if look.shape == "round" else box)(
        "shade", (0, 0, high - shade_high / 2), (across, across, shade_high), main, taper=span(rng, 0.6, 0.85)
    )
    parts = (
        rod("base", (0, 0, 0.02), (across * 0.45, across * 0.45, 0.04), stand),
        rod("pole", (0, 0, high / 2), (0.035, 0.035, high), stand),
        body,
    )
    return Piece(kind="lamp", look=look, parts=parts)


def _vessel(kind: str, look: Look, across: float, width: float, high: float, flare: float) -> Piece:
    """An open bin, bucket or basket with a bottom."""
    main = look.paint
    make = rod if look.shape == "round" else box
    size = (across / flare, width / flare, high)
    parts = (
        make("wall", (0, 0, high / 2), size, main, taper=flare, open_top=True),
        make("bottom", (0, 0, 0.05), (size[0] * 0.96, size[1] * 0.96, 0.04), main),
    )
    return Piece(kind=kind, look=look, parts=parts)


def _trash_can(rng: np.random.Generator, look: Look) -> Piece:
    d = span(rng, 0.26, 0.4)
    width = d * (1.4 if look.shape == "rectangular" else 1)
    return _vessel("trash can", look, d, width, span(rng, 0.35, 0.65), span(rng, 1.1, 1.3))


def _bucket(rng: np.random.Generator, look: Look) -> Piece:
    d = span(rng, 0.28, 0.34)
    return _vessel("bucket", look, d, d, span(rng, 0.26, 0.34), 1.3)


def _laundry_basket(rng: np.random.Generator, look: Look) -> Piece:
    d = span(rng, 0.38, 0.46)
    width = d * (1.4 if look.shape == "rectangular" else 1)
    body = _vessel("laundry basket", look, d, width, span(rng, 0.32, 0.55), 1.15)
    cloth = (("white", "blue", "gray")[rng.integers(3)], "fabric")
    clothes = ball("clothes", (0, 0, 0.22), (d * 0.7, d * 0.7, 0.2), cloth)
    return Piece(kind="laundry basket", look=look, parts=(*body.parts, clothes))


def _pillow(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, thick = look.paint, span(rng, 0.34, 0.44), span(rng, 0.11, 0.16)
    width = depth * (span(rng, 1.3, 1.6) if look.shape == "rectangular" else 1.0)
    at, size = (0.0, 0.0, thick / 2), (depth, width, thick)
    body = ball("body", at, size, main) if look.shape == "round" else soft("body", at, size, main, 0.055)
    return Piece(kind="pillow", look=look, parts=(body,))


def _monitor(rng: np.random.Generator, look: Look) -> Piece:
    width = span(rng, 0.48, 0.68)
    high = width * 0.6
    case: Paint = look.paint
    parts = (
        soft("screen", (0, 0, 0.12 + high / 2), (0.05, width, high), case, 0.01),
        box("glass", (0.02, 0, 0.12 + high / 2), (0.03, width - 0.04, high - 0.04), GLOSS),
        box("stand", (-0.02, 0, 0.08), (0.04, 0.06, 0.16), case),
        rod("base", (0, 0, 0.01), (0.18, 0.24, 0.02), case),
    )
    return Piece(kind="monitor", look=look, parts=parts)


def _keyboard(rng: np.random.Generator, look: Look) -> Piece:
    keys = box("keys", (0, 0, 0.016), (0.16, span(rng, 0.4, 0.46), 0.032), look.paint)
    return Piece(kind="keyboard", look=look, parts=(keys,))


def _laptop(rng: np.random.Generator, look: Look) -> Piece:
    """Opens towards +x: that is where the person sits."""
    main, width = look.paint, span(rng, 0.33, 0.39)
    parts = (
        box("base", (0, 0, 0.012), (0.25, width, 0.024), main),
        box("lid", (-0.16, 0, 0.13), (0.02, width, 0.25), main, tilt_rad=-0.3),
        box("screen", (-0.147, 0, 0.133), (0.012, width - 0.04, 0.21), GLOSS, tilt_rad=-0.3),
    )
    return Piece(kind="laptop", look=look, parts=parts)


def _printer(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, width, high = look.paint, span(rng, 0.38, 0.46), span(rng, 0.42, 0.52), span(rng, 0.24, 0.36)
    parts = (
        soft("body", (0, 0, high / 2), (depth, width, high), main, 0.02),
        box("tray", (depth / 2 + 0.05, 0, high * 0.35), (0.12, width * 0.6, 0.03), ("white", "paper")),
        box(
            "panel", (0.06, 0, high + 0.01), (depth * 0.5, width * 0.6, 0.03), DARK if look.color != "black" else STEEL
        ),
    )
    return Piece(kind="printer", look=look, parts=parts)


def _carton(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, high = look.paint, span(rng, 0.28, 0.46), span(rng, 0.22, 0.42)
    width = depth * (1.0 if look.shape == "square" else span(rng, 1.3, 1.6))
    parts = [box("body", (0, 0, high / 2), (depth, width, high), main)]
    if look.material == "cardboard":
        parts.append(box("tape", (0, 0, high), (0.06, width, 0.012), ("white", "plastic")))
    else:
        parts.append(box("lid", (0, 0, high), (depth + 0.03, width + 0.03, 0.04), main))
    return Piece(kind="box", look=look, parts=tuple(parts), top_m=high + 0.02)


def _plant(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    pot: Paint = (("orange", "white", "brown", "black")[rng.integers(4)], "ceramic")
    tall, d = span(rng, 0.65, 1.4), span(rng, 0.24, 0.34)
    pot_high = span(rng, 0.22, 0.32)
    parts: list[Part] = [
        rod("pot", (0, 0, pot_high / 2), (d * 0.8, d * 0.8, pot_high), pot, taper=1.25),
        rod("soil", (0, 0, pot_high), (d * 0.9, d * 0.9, 0.02), ("brown", "leaf")),
        rod("stem", (0, 0, (pot_high + tall) / 2), (0.04, 0.04, tall - pot_high), ("brown", "wood")),
    ]
    crown = tall - pot_high
    for k in range(int(rng.integers(6, 10))):  # leaves stand out all round, the lower the flatter
        a, up = 2.4 * k, span(rng, 0.25, 0.85)
        r = span(rng, 0.12, 0.2)
        at = (r * math.cos(a), r * math.sin(a), pot_high + crown * up)
        parts.append(
            ball("leaf", at, (span(rng, 0.3, 0.4), 0.16, 0.06), main, yaw_rad=a, tilt_rad=-span(rng, 0.2, 0.7))
        )
    parts.append(ball("leaf", (0, 0, tall - 0.1), (0.22, 0.22, 0.24), main))
    return Piece(kind="plant", look=look, parts=tuple(parts))


def small_plant(rng: np.random.Generator, look: Look) -> Piece:
    """A pot plant for tables and sills."""
    main, d = look.paint, span(rng, 0.14, 0.2)
    pot: Paint = (("orange", "white", "brown", "black")[rng.integers(4)], "ceramic")
    parts = (
        rod("pot", (0, 0, 0.07), (d * 0.75, d * 0.75, 0.14), pot, taper=1.25),
        ball("leaf", (0, 0, 0.26), (d * 1.5, d * 1.5, 0.26), main),
    )
    return Piece(kind="plant", look=look, parts=parts)


def _backpack(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.3, 0.36), span(rng, 0.42, 0.52)
    parts = (
        soft("body", (0, 0, high / 2), (0.18, width, high), main, 0.08),
        soft("pocket", (0.12, 0, high * 0.32), (0.1, width * 0.75, high * 0.45), main, 0.05),
        box("strap", (-0.095, 0.08, high * 0.5), (0.03, 0.05, high * 0.7), DARK),
        box("strap", (-0.095, -0.08, high * 0.5), (0.03, 0.05, high * 0.7), DARK),
    )
    return Piece(kind="backpack", look=look, parts=parts)


def _suitcase(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.4, 0.5), span(rng, 0.55, 0.75)
    parts = (
        soft("body", (0, 0, high / 2 + 0.04), (0.26, width, high), main, 0.05),
        box("handle", (-0.06, 0, high + 0.12), (0.03, 0.2, 0.03), DARK),
        box("handle", (-0.06, 0.1, high + 0.07), (0.025, 0.025, 0.12), DARK),
        box("handle", (-0.06, -0.1, high + 0.07), (0.025, 0.025, 0.12), DARK),
        *[rod("wheel", (a * 0.09, b * (width / 2 - 0.05), 0.025), (0.05, 0.05, 0.05), DARK) for a, b in CORNERS],
    )
    return Piece(kind="suitcase", look=look, parts=parts)


def _bag(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.28, 0.36), span(rng, 0.34, 0.42)
    parts = (
        box("wall", (0, 0, high / 2), (0.16, width, high), main, open_top=True),
        box("bottom", (0, 0, 0.04), (0.15, width - 0.01, 0.02), main),
        box("handle", (0.07, 0, high + 0.06), (0.015, 0.14, 0.03), main),
        box("handle", (0.07, 0.07, high + 0.02), (0.015, 0.025, 0.1), main),
        box("handle", (0.07, -0.07, high + 0.02), (0.015, 0.025, 0.1), main),
    )
    return Piece(kind="bag", look=look, parts=parts)


def _books(rng: np.random.Generator, look: Look) -> Piece:
    """A stack; the books are of one colour so that it can be named."""
    main, count = look.paint, int(rng.integers(3, 6))
    parts = []
    for k in range(count):
        size = (span(rng, 0.2, 0.24), span(rng, 0.26, 0.32), 0.04)
        parts.append(box("book", (0, 0, 0.02 + 0.04 * k), size, main, yaw_rad=span(rng, -0.25, 0.25)))
    return Piece(kind="books", look=look, parts=tuple(parts))


def _toilet_paper(rng: np.random.Generator, look: Look) -> Piece:
    quarter = math.pi / 2
    roll = rod("roll", (0.07, 0, 0.06), (0.12, 0.12, 0.11), look.paint, tilt_rad=quarter, yaw_rad=quarter)
    holder = box("holder", (0.03, 0, 0.12), (0.06, 0.13, 0.02), STEEL)
    return Piece(kind="toilet paper", look=look, parts=(roll, holder))


def _vase(rng: np.random.Generator, look: Look) -> Piece:
    main, d, high = look.paint, span(rng, 0.14, 0.2), span(rng, 0.24, 0.36)
    parts = (
        ball("body", (0, 0, high * 0.4), (d, d, high * 0.8), main),
        rod("neck", (0, 0, high * 0.8), (d * 0.4, d * 0.4, high * 0.4), main, taper=1.4),
        rod("foot", (0, 0, 0.015), (d * 0.6, d * 0.6, 0.03), main),
    )
    return Piece(kind="vase", look=look, parts=parts)


def _ironing_board(rng: np.random.Generator, look: Look) -> Piece:
    high, width = span(rng, 0.82, 0.92), span(rng, 1.15, 1.35)
    lean = 0.75
    long = high / math.cos(lean)
    parts = [rod("top", (0, 0, high), (0.36, width, 0.05), look.paint)]
    parts += [
        box("leg", (0, 0, high / 2), (0.03, 0.03, long), STEEL, tilt_rad=s * lean, yaw_rad=math.pi / 2) for s in (-1, 1)
    ]
    parts += [box("foot", (0, s * math.sin(lean) * long / 2, 0.015), (0.34, 0.03, 0.03), STEEL) for s in (-1, 1)]
    return Piece(kind="ironing board", look=look, parts=tuple(parts))


def _ladder(rng: np.random.Generator, look: Look) -> Piece:
    """A step ladder: two rails with rungs in front, a prop behind."""
    main, high, steps = look.paint, span(rng, 1.1, 1.6), int(rng.integers(3, 6))
    lean = 0.22
    off = math.tan(lean) * high / 2
    parts = []
    for side, x in ((-1, off), (1, -off)):
        long = high / math.cos(lean)
        parts += [box("rail", (x, y, high / 2), (0.04, 0.05, long), main, tilt_rad=side * lean) for y in (-0.22, 0.22)]
    for k in range(steps):
        f = (k + 0.7) / steps
        parts.append(box("step", (2 * off * (1 - f), 0, high * f), (0.12, 0.44, 0.035), main))
    return Piece(kind="ladder", look=look, parts=tuple(parts), num_parts=(("step", steps),))


def _piano(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    width, high = span(rng, 1.35, 1.5), span(rng, 1.05, 1.25)
    keys = ("white", "plastic") if look.color != "white" else DARK
    parts = (
        box("body", (-0.14, 0, high / 2), (0.32, width, high), main),
        box("keybed", (0.14, 0, 0.66), (0.3, width, 0.1), main),
        box("keys", (0.17, 0, 0.715), (0.16, width - 0.14, 0.02), keys),
        *legs(0.5, width, 0.62, 0.07, main)[:2],
    )
    return Piece(kind="piano", look=look, parts=parts, top_m=high)


BUILDERS: dict[str, Builder] = {
    "lamp": _lamp,
    "trash can": _trash_can,
    "bucket": _bucket,
    "laundry basket": _laundry_basket,
    "pillow": _pillow,
    "monitor": _monitor,
    "keyboard": _keyboard,
    "laptop": _laptop,
    "printer": _printer,
    "box": _carton,
    "plant": _plant,
    "backpack": _backpack,
    "suitcase": _suitcase,
    "bag": _bag,
    "books": _books,
    "toilet paper": _toilet_paper,
    "vase": _vase,
    "ironing board": _ironing_board,
    "ladder": _ladder,
    "piano": _piano,
}
"""Builders by kind."""
