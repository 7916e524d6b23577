"""What belongs to the house: doors, windows, curtains, wall things, kitchen and bath appliances."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from askscan.rooms.catalogue import DARK, GLOSS, STEEL, Look
from askscan.rooms.furniture import CORNERS, Builder, Paint, Part, Piece, Vec, ball, box, rod, soft, span

PANE: Paint = ("white", "glass")
QUARTER = math.pi / 2


def _disc(name: str, at: Vec, across: float, thick: float, paint: Paint) -> Part:
    """A disc that faces +x."""
    return rod(name, at, (across, across, thick), paint, tilt_rad=QUARTER)


def _door(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.8, 0.98), span(rng, 1.98, 2.1)
    parts = [box("leaf", (0.02, 0, high / 2), (0.04, width, high), main)]
    parts += [box("frame", (0.03, s * (width / 2 + 0.03), high / 2), (0.06, 0.06, high), main) for s in (-1, 1)]
    parts.append(box("frame", (0.03, 0, high + 0.03), (0.06, width + 0.12, 0.06), main))
    panels = int(rng.integers(0, 3))
    for k in range(panels):
        h = (high - 0.3) / panels
        parts.append(box("panel", (0.045, 0, 0.15 + (k + 0.5) * h), (0.02, width - 0.26, h - 0.14), main))
    parts.append(ball("knob", (0.08, width / 2 - 0.09, 1.0), (0.07, 0.07, 0.07), STEEL))
    return Piece(kind="door", look=look, parts=tuple(parts))


def _window(rng: np.random.Generator, look: Look) -> Piece:
    main: Paint = (look.color, "wood")
    width = span(rng, 0.9, 1.6)
    high = width if look.shape == "square" else span(rng, 0.9, 1.35)
    parts = [box("pane", (0.015, 0, high / 2), (0.03, width, high), PANE)]
    parts += [box("frame", (0.03, s * (width / 2 - 0.035), high / 2), (0.06, 0.07, high), main) for s in (-1, 1)]
    parts += [box("frame", (0.03, 0, z), (0.06, width, 0.07), main) for z in (0.035, high - 0.035)]
    bars = int(rng.integers(1, 3))
    parts += [
        box("bar", (0.03, y, high / 2), (0.05, 0.05, high), main)
        for y in np.linspace(-width / 2, width / 2, bars + 2)[1:-1]
    ]
    parts.append(box("sill", (0.07, 0, 0.0), (0.14, width + 0.1, 0.04), main))
    return Piece(kind="window", look=look, parts=tuple(parts))


def _curtain(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.45, 0.75), span(rng, 1.9, 2.2)
    cloth = box("cloth", (0.08, 0, high / 2), (0.03, width, high), main, wave_m=0.035)
    rail = rod("rod", (0.08, 0, high + 0.02), (0.03, 0.03, width + 0.1), STEEL, tilt_rad=QUARTER, yaw_rad=QUARTER)
    return Piece(kind="curtain", look=look, parts=(cloth, rail))


def _shower_curtain(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.7, 1.1), span(rng, 1.5, 1.65)
    cloth = box("cloth", (0, 0, high / 2), (0.02, width, high), main, wave_m=0.035)
    return Piece(kind="shower curtain", look=look, parts=(cloth,))


def _picture(rng: np.random.Generator, look: Look) -> Piece:
    main, frame = look.paint, ((("black", "brown", "white", "gray")[rng.integers(4)]), "wood")
    width = span(rng, 0.45, 0.9)
    high = width if look.shape in ("square", "round") else width * (span(rng, 0.6, 0.8) if rng.random() < 0.6 else 1.35)
    if look.shape == "round":
        parts = [
            _disc("frame", (0.015, 0, high / 2), width, 0.03, frame),
            _disc("canvas", (0.025, 0, high / 2), width - 0.06, 0.03, main),
        ]
    else:
        parts = [
            box("frame", (0.015, 0, high / 2), (0.03, width, high), frame),
            box("canvas", (0.025, 0, high / 2), (0.03, width - 0.06, high - 0.06), main),
        ]
    return Piece(kind="picture", look=look, parts=tuple(parts))


def _mirror(rng: np.random.Generator, look: Look) -> Piece:
    width = span(rng, 0.5, 0.9)
    high = width if look.shape == "round" else span(rng, 0.7, 1.1)
    frame: Paint = (("gray", "brown", "black")[rng.integers(3)], "metal")
    if look.shape in ("round", "oval"):
        turned = {"tilt_rad": QUARTER}
        parts = [
            rod("frame", (0.012, 0, high / 2), (high, width, 0.024), frame, **turned),
            rod("glass", (0.02, 0, high / 2), (high - 0.06, width - 0.06, 0.03), PANE, **turned),
        ]
    else:
        parts = [
            box("frame", (0.012, 0, high / 2), (0.024, width, high), frame),
            box("glass", (0.02, 0, high / 2), (0.03, width - 0.06, high - 0.06), PANE),
        ]
    return Piece(kind="mirror", look=look, parts=tuple(parts))


def _board(rng: np.random.Generator, look: Look, kind: str) -> Piece:
    width, high = span(rng, 1.4, 2.4), span(rng, 0.95, 1.2)
    frame: Paint = STEEL if kind == "whiteboard" else ("brown", "wood")
    parts = (
        box("frame", (0.015, 0, high / 2), (0.03, width, high), frame),
        box("surface", (0.025, 0, high / 2), (0.03, width - 0.08, high - 0.08), look.paint),
        box("tray", (0.06, 0, 0.02), (0.08, width * 0.7, 0.03), frame),
    )
    return Piece(kind=kind, look=look, parts=parts)


def _tv(rng: np.random.Generator, look: Look) -> Piece:
    width = span(rng, 0.85, 1.4)
    high = width * 0.57
    parts = (
        box("screen", (0.0, 0, high / 2 + 0.05), (0.05, width, high), GLOSS),
        box("stand", (0.0, 0, 0.03), (0.2, width * 0.4, 0.06), DARK),
    )
    return Piece(kind="tv", look=look, parts=parts)


def _clock(rng: np.random.Generator, look: Look) -> Piece:
    main, d = look.paint, span(rng, 0.3, 0.4)
    face = (
        _disc("face", (0.025, 0, d / 2), d, 0.05, main)
        if look.shape == "round"
        else box("face", (0.025, 0, d / 2), (0.05, d, d), main)
    )
    hand: Paint = ("white" if look.color == "black" else "black", "plastic")
    hands = (
        box("hand", (0.055, 0, d / 2 + 0.05), (0.01, 0.025, 0.1), hand),
        box("hand", (0.055, 0.04, d / 2), (0.01, 0.08, 0.025), hand),
    )
    return Piece(kind="clock", look=look, parts=(face, *hands))


def _radiator(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.7, 1.3), span(rng, 0.5, 0.65)
    ribs = max(4, int(width / 0.1))
    parts = [
        soft("rib", (0, y, high / 2 + 0.08), (0.12, 0.065, high), main, 0.03)
        for y in np.linspace(-width / 2 + 0.04, width / 2 - 0.04, ribs)
    ]
    parts.append(box("pipe", (0, 0, 0.14), (0.05, width, 0.05), main))
    parts += [box("foot", (0, s * (width / 2 - 0.1), 0.05), (0.08, 0.04, 0.1), main) for s in (-1, 1)]
    return Piece(kind="radiator", look=look, parts=tuple(parts))


def _refrigerator(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, width, high = look.paint, span(rng, 0.6, 0.72), span(rng, 0.6, 0.8), span(rng, 1.5, 1.85)
    split = high * span(rng, 0.3, 0.4) if rng.random() < 0.5 else high * span(rng, 0.62, 0.7)
    knob: Paint = ("black", "metal") if look.color != "black" else STEEL
    parts = [box("body", (-0.03, 0, high / 2), (depth - 0.06, width, high), main)]
    for low, top in ((0.04, split - 0.015), (split + 0.015, high)):
        parts.append(soft("door", (depth / 2 - 0.03, 0, (low + top) / 2), (0.06, width, top - low), main, 0.02))
        parts.append(
            box(
                "handle", (depth / 2 + 0.025, width / 2 - 0.07, (low + top) / 2), (0.04, 0.035, (top - low) * 0.5), knob
            )
        )
    return Piece(kind="refrigerator", look=look, parts=tuple(parts), num_parts=(("door", 2),))


def _stove(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, width, high = look.paint, 0.62, span(rng, 0.58, 0.72), 0.9
    burner: Paint = DARK if look.color != "black" else STEEL
    parts = [
        box("body", (0, 0, high / 2), (depth, width, high), main),
        box("panel", (-depth / 2 + 0.03, 0, high + 0.08), (0.06, width, 0.16), main),
    ]
    parts += [
        rod("burner", (0.03 + a * 0.14, b * width / 4, high + 0.012), (0.2, 0.2, 0.024), burner) for a, b in CORNERS
    ]
    parts += [
        box("window", (depth / 2 + 0.005, 0, 0.48), (0.02, width * 0.6, 0.26), GLOSS),
        box("handle", (depth / 2 + 0.03, 0, 0.7), (0.03, width * 0.8, 0.03), STEEL),
    ]
    parts += [
        _disc("knob", (depth / 2 + 0.015, y, 0.82), 0.05, 0.03, burner) for y in np.linspace(-width / 3, width / 3, 4)
    ]
    return Piece(kind="stove", look=look, parts=tuple(parts), num_parts=(("burner", 4),), top_m=high)


def _microwave(rng: np.random.Generator, look: Look) -> Piece:
    main, width, high = look.paint, span(rng, 0.45, 0.55), span(rng, 0.26, 0.32)
    parts = (
        box("body", (0, 0, high / 2), (0.36, width, high), main),
        box("window", (0.185, width * 0.12, high / 2), (0.015, width * 0.6, high * 0.65), GLOSS),
        box("panel", (0.185, -width * 0.36, high / 2), (0.015, width * 0.2, high * 0.8), DARK),
    )
    return Piece(kind="microwave", look=look, parts=parts)


def _laundry(rng: np.random.Generator, look: Look, kind: str) -> Piece:
    """Washing machines have a dark round window in front and a dial; dryers a flat door with a white ring."""
    main, high = look.paint, span(rng, 0.83, 0.95)
    parts = [
        soft("body", (0, 0, high / 2), (0.6, 0.6, high), main, 0.02),
        box("panel", (0.29, 0, high - 0.07), (0.03, 0.56, 0.1), DARK if look.color != "black" else STEEL),
    ]
    if kind == "washing machine":
        parts += [
            _disc("door", (0.31, 0, high * 0.45), 0.4, 0.05, STEEL),
            _disc("window", (0.33, 0, high * 0.45), 0.28, 0.05, GLOSS),
        ]
    else:
        parts += [
            soft("door", (0.31, 0, high * 0.45), (0.04, 0.46, 0.44), main, 0.02),
            box("handle", (0.34, 0.18, high * 0.45), (0.03, 0.03, 0.14), STEEL),
        ]
    return Piece(kind=kind, look=look, parts=tuple(parts), num_parts=(("door", 1),), top_m=high)


def _toilet(rng: np.random.Generator, look: Look) -> Piece:
    main, bowl = look.paint, span(rng, 0.36, 0.4)
    long = bowl * (1.0 if look.shape == "round" else 1.25)
    x = long / 2 - 0.08
    parts = [
        rod("foot", (x - 0.05, 0, 0.18), (long * 0.62, bowl * 0.68, 0.36), main, taper=1.3),
        rod("seat", (x, 0, 0.41), (long, bowl, 0.06), main),
        soft("tank", (-0.17, 0, 0.6), (0.19, 0.42, 0.38), main, 0.03),
        soft("lid", (-0.17, 0, 0.8), (0.21, 0.45, 0.04), main, 0.02),
        box("neck", (-0.12, 0, 0.2), (0.2, 0.2, 0.4), main),
        rod("button", (-0.17, 0, 0.825), (0.05, 0.05, 0.02), STEEL),
    ]
    if rng.random() < 0.5:  # lid up: the water shows
        parts.append(rod("water", (x, 0, 0.436), (long * 0.6, bowl * 0.55, 0.02), ("gray", "ceramic")))
        parts.append(rod("cover", (-0.055, 0, 0.6), (0.36, bowl, 0.025), main, tilt_rad=QUARTER))
    return Piece(kind="toilet", look=look, parts=tuple(parts))


def _tap(x: float, z: float) -> list[Part]:
    return [
        rod("tap", (x, 0, z + 0.09), (0.035, 0.035, 0.18), STEEL),
        box("tap", (x + 0.06, 0, z + 0.17), (0.12, 0.035, 0.03), STEEL),
    ]


def _basin(shape: str, size: Vec, low: float, paint: Paint) -> list[Part]:
    """An open vessel with a rim, standing at height `low`."""
    depth, width, high = size
    if shape in ("round", "oval"):
        return [
            rod("bowl", (0, 0, low + high / 2), (depth * 0.8, width * 0.8, high), paint, taper=1.25, open_top=True),
            rod("bottom", (0, 0, low + 0.02), (depth * 0.76, width * 0.76, 0.03), paint),
        ]
    walls = [box("bowl", (s * (depth / 2 - 0.02), 0, low + high / 2), (0.04, width, high), paint) for s in (-1, 1)]
    walls += [
        box("bowl", (0, s * (width / 2 - 0.02), low + high / 2), (depth - 0.06, 0.04, high), paint) for s in (-1, 1)
    ]
    return [
        *walls,
        box("bottom", (0, 0, low + 0.015), (depth - 0.06, width - 0.06, 0.03), paint),
        rod("drain", (0, 0, low + 0.032), (0.05, 0.05, 0.01), DARK),
    ]


def _sink(rng: np.random.Generator, look: Look) -> Piece:
    """A basin with a tap; the layout puts a foot under it (`fixtures.pedestal`) or sets it on a counter."""
    depth, width = span(rng, 0.4, 0.46), span(rng, 0.46, 0.6)
    if look.shape == "round":
        width = depth
    parts = [
        *_basin(look.shape, (depth, width, 0.16), 0.0, look.paint),
        *_tap(-depth / 2 + 0.03, 0.14),
    ]
    return Piece(kind="sink", look=look, parts=tuple(parts))


def pedestal(sink: Piece, high: float = 0.7) -> Piece:
    """The same sink on a foot of its own."""
    lifted = (replace(p, center=(*p.center[:2], p.center[2] + high)) for p in sink.parts)
    foot = rod("foot", (-0.05, 0, high / 2), (0.18, 0.2, high), sink.look.paint, taper=1.2)
    return Piece(kind="sink", look=sink.look, parts=(*lifted, foot))


def _bathtub(rng: np.random.Generator, look: Look) -> Piece:
    main, depth, width, high = look.paint, span(rng, 0.7, 0.82), span(rng, 1.45, 1.75), span(rng, 0.48, 0.6)
    if look.shape == "oval":
        parts = [
            rod("wall", (0, 0, high / 2), (depth * 0.9, width * 0.92, high), main, taper=1.1, open_top=True),
            rod("rim", (0, 0, high - 0.01), (depth, width, 0.02), main, open_top=True),
            rod("bottom", (0, 0, 0.12), (depth * 0.88, width * 0.9, 0.04), main),
        ]
    else:
        thick = 0.08
        parts = [box("wall", (s * (depth - thick) / 2, 0, high / 2), (thick, width, high), main) for s in (-1, 1)]
        parts += [
            box("wall", (0, s * (width - thick) / 2, high / 2), (depth - 2 * thick + 0.02, thick, high), main)
            for s in (-1, 1)
        ]
        parts.append(box("bottom", (0, 0, 0.14), (depth - thick, width - thick, 0.04), main))
    parts += [
        rod("tap", (0, -width / 2 + 0.04, high + 0.06), (0.04, 0.04, 0.12), STEEL),
        box("tap", (0, -width / 2 + 0.1, high + 0.11), (0.035, 0.14, 0.03), STEEL),
        rod("drain", (0, -width / 4, 0.165), (0.06, 0.06, 0.012), DARK),
    ]
    return Piece(kind="bathtub", look=look, parts=tuple(parts))


def _towel(rng: np.random.Generator, look: Look) -> Piece:
    """Hangs over a rail on the wall."""
    main, width, high = look.paint, span(rng, 0.35, 0.6), span(rng, 0.5, 0.8)
    rail = rod("rail", (0.06, 0, high - 0.02), (0.03, 0.03, width + 0.14), STEEL, tilt_rad=QUARTER, yaw_rad=QUARTER)
    cloth = box("cloth", (0.06, 0, high / 2), (0.05, width, high), main, wave_m=0.008)
    return Piece(kind="towel", look=look, parts=(cloth, rail))


BUILDERS: dict[str, Builder] = {
    "door": _door,
    "window": _window,
    "curtain": _curtain,
    "shower curtain": _shower_curtain,
    "picture": _picture,
    "mirror": _mirror,
    "whiteboard": partial(_board, kind="whiteboard"),
    "blackboard": partial(_board, kind="blackboard"),
    "tv": _tv,
    "clock": _clock,
    "radiator": _radiator,
    "refrigerator": _refrigerator,
    "stove": _stove,
    "microwave": _microwave,
    "washing machine": partial(_laundry, kind="washing machine"),
    "clothes dryer": partial(_laundry, kind="clothes dryer"),
    "toilet": _toilet,
    "sink": _sink,
    "bathtub": _bathtub,
    "towel": _towel,
}
"""Builders by kind."""
