"""Seats: chairs, office chairs, armchairs, couches, stools, ottomans, benches."""

from __future__ import annotations

import math

import numpy as np

from askscan.rooms.catalogue import DARK, STEEL, Look
from askscan.rooms.furniture import CORNERS, Builder, Paint, Part, Piece, box, legs, rod, slab, soft, span


def _back(rng: np.random.Generator, x: float, width: float, low: float, height: float, paint: Paint) -> list[Part]:
    """A chair's back: a panel, upright slats or cross rails, between two posts."""
    style, lean = rng.integers(3), -span(rng, 0.05, 0.18)
    x -= math.sin(-lean) * height / 2
    if style == 0:
        return [soft("back", (x, 0, low + height / 2), (0.04, width, height), paint, 0.02, tilt_rad=lean)]
    posts = [
        box("back", (x, s * (width / 2 - 0.025), low + height / 2), (0.04, 0.05, height), paint, tilt_rad=lean)
        for s in (-1, 1)
    ]
    top = box("back", (x + math.sin(lean) * height / 2, 0, low + height - 0.05), (0.04, width, 0.1), paint)
    if style == 1:
        inner = [
            box("back", (x, y, low + height / 2), (0.03, 0.06, height), paint, tilt_rad=lean)
            for y in np.linspace(-width / 4, width / 4, 3)
        ]
    else:
        inner = [
            box("back", (x + math.sin(lean) * (f - 0.5) * height, 0, low + f * height), (0.03, width, 0.07), paint)
            for f in (0.3, 0.6)
        ]
    return [*posts, top, *inner]


def _chair(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    width = span(rng, 0.42, 0.54)
    depth = width if look.shape == "round" else span(rng, 0.42, 0.52)
    seat, high = span(rng, 0.43, 0.48), span(rng, 0.36, 0.55)
    leg_paint = main if look.material in ("wood", "plastic") or rng.random() < 0.4 else STEEL
    thick = span(rng, 0.035, 0.05)
    top = (
        rod("seat", (0, 0, seat), (depth, width, 0.05), main)
        if look.shape == "round"
        else soft("seat", (0, 0, seat), (depth, width, 0.06), main, 0.02)
    )
    inset = 0.75 if look.shape == "round" else 1.0
    parts = [top, *legs(depth * inset, width * inset, seat, thick, leg_paint, round_=bool(rng.random() < 0.5))]
    parts += _back(rng, -depth / 2 + 0.03, width * 0.95, seat, high, main)
    arms = 0
    if look.shape == "square" and rng.random() < 0.2:
        arms = 2
        for s in (-1, 1):
            parts.append(box("armrest", (0.02, s * (width / 2 - 0.02), seat + 0.2), (depth * 0.8, 0.05, 0.04), main))
            parts.append(box("armrest", (depth * 0.35, s * (width / 2 - 0.02), seat + 0.1), (0.04, 0.04, 0.2), main))
    counts = (("leg", 4), ("armrest", arms)) if arms else (("leg", 4),)
    return Piece(kind="chair", look=look, parts=tuple(parts), num_parts=counts)


def _office_chair(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    width, depth, seat = span(rng, 0.47, 0.56), span(rng, 0.45, 0.52), span(rng, 0.45, 0.52)
    base = DARK if rng.random() < 0.6 else STEEL
    back_high = span(rng, 0.42, 0.7)
    parts = [
        soft("seat", (0, 0, seat), (depth, width, 0.1), main, 0.05),
        soft(
            "back",
            (-depth / 2, 0, seat + 0.1 + back_high / 2),
            (0.08, width * 0.9, back_high),
            main,
            0.04,
            tilt_rad=-0.12,
        ),
        rod("column", (0, 0, seat / 2), (0.06, 0.06, seat), base),
    ]
    if look.shape == "round":
        parts[0] = rod("seat", (0, 0, seat), (depth, width, 0.1), main)
    for k in range(5):
        a = 2 * math.pi * k / 5
        at = (0.15 * math.cos(a), 0.15 * math.sin(a), 0.07)
        parts.append(box("base", at, (0.3, 0.05, 0.04), base, yaw_rad=a))
        parts.append(rod("wheel", (0.28 * math.cos(a), 0.28 * math.sin(a), 0.03), (0.06, 0.06, 0.06), DARK))
    arms = 2 if rng.random() < 0.6 else 0
    for s in (-1, 1) if arms else ():
        parts.append(soft("armrest", (0, s * (width / 2 + 0.03), seat + 0.2), (depth * 0.6, 0.06, 0.04), DARK, 0.02))
        parts.append(box("armrest", (-0.02, s * (width / 2 + 0.03), seat + 0.1), (0.05, 0.04, 0.2), DARK))
    return Piece(kind="office chair", look=look, parts=tuple(parts), num_parts=(("armrest", 2),) if arms else ())


def _upholstered(rng: np.random.Generator, look: Look, width: float, depth: float, cushions: int) -> list[Part]:
    """Base, cushions, back and two armrests of an armchair or couch."""
    main = look.paint
    seat, high = span(rng, 0.4, 0.46), span(rng, 0.75, 0.92)
    arm, arm_high, back = span(rng, 0.14, 0.22), span(rng, 0.56, 0.66), span(rng, 0.18, 0.24)
    inner = width - 2 * arm
    parts = [
        soft("base", (0, 0, 0.17), (depth, width, 0.26), main, 0.03),
        soft("back", (-depth / 2 + back / 2, 0, 0.05 + high / 2), (back, width, high - 0.1), main, 0.07),
    ]
    for s in (-1, 1):
        parts.append(
            soft(
                "armrest",
                (0.02, s * (width - arm) / 2, arm_high / 2 + 0.03),
                (depth - 0.04, arm, arm_high - 0.06),
                main,
                0.06,
            )
        )
    for k in range(cushions):
        y = (k + 0.5) / cushions * inner - inner / 2
        w = inner / cushions - 0.015
        parts.append(soft("cushion", (back / 2, y, seat - 0.08), (depth - back, w, 0.17), main, 0.06))
        parts.append(
            soft("cushion", (-depth / 2 + back + 0.06, y, seat + 0.2), (0.16, w, 0.4), main, 0.07, tilt_rad=-0.15)
        )
    x, y = depth / 2 - 0.06, width / 2 - 0.06
    return parts + [box("foot", (a * x, b * y, 0.02), (0.05, 0.05, 0.04), DARK) for a, b in CORNERS]


def _armchair(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    if look.shape == "round":
        d = span(rng, 0.72, 0.85)
        parts = [
            rod("base", (0, 0, 0.24), (d, d, 0.36), main),
            rod("cushion", (0.02, 0, 0.44), (d * 0.7, d * 0.7, 0.12), main),
            rod("foot", (0, 0, 0.03), (d * 0.6, d * 0.6, 0.06), DARK),
        ]
        for k in range(-3, 4):  # a tub: the back goes round the seat in seven staves
            a = math.pi + k * 0.36
            r = d / 2 - 0.06
            high = 0.4 - 0.035 * abs(k)
            at = (r * math.cos(a), r * math.sin(a), 0.38 + high / 2)
            parts.append(soft("back", at, (0.12, 0.2, high), main, 0.05, yaw_rad=a))
        return Piece(kind="armchair", look=look, parts=tuple(parts))
    parts = _upholstered(rng, look, span(rng, 0.78, 0.98), span(rng, 0.78, 0.92), 1)
    return Piece(kind="armchair", look=look, parts=tuple(parts), num_parts=(("armrest", 2),), top_m=0.46)


def _couch(rng: np.random.Generator, look: Look) -> Piece:
    seats = int(rng.integers(2, 5)) if look.shape != "l-shaped" else int(rng.integers(3, 5))
    width, depth = seats * span(rng, 0.56, 0.68) + 0.36, span(rng, 0.82, 0.98)
    parts = _upholstered(rng, look, width, depth, seats)
    if look.shape == "l-shaped":
        main = look.paint
        side = 1 if rng.random() < 0.5 else -1
        long = span(rng, 0.6, 0.8)
        y = side * (width / 2 - 0.4)
        parts.append(soft("chaise", (depth / 2 + long / 2 - 0.03, y, 0.2), (long + 0.1, 0.8, 0.34), main, 0.05))
        parts.append(soft("cushion", (depth / 2 + long / 2 - 0.05, y, 0.39), (long, 0.74, 0.13), main, 0.05))
    return Piece(kind="couch", look=look, parts=tuple(parts), num_parts=(("seat", seats), ("armrest", 2)), top_m=0.48)


def _stool(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    d, high = span(rng, 0.32, 0.42), span(rng, 0.43, 0.75)
    if look.shape == "round" and rng.random() < 0.4:
        parts = [
            rod("base", (0, 0, 0.015), (d * 0.8, d * 0.8, 0.03), main),
            rod("column", (0, 0, high / 2), (0.06, 0.06, high), main),
        ]
        counts: tuple[tuple[str, int], ...] = ()
    else:
        parts, counts = legs(d * 0.85, d * 0.85, high, 0.04, main), (("leg", 4),)
    parts.append(slab("seat", look.shape, (0, 0, high), (d, d, 0.06), main))
    return Piece(kind="stool", look=look, parts=tuple(parts), num_parts=counts)


def _ottoman(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    depth, high = span(rng, 0.45, 0.65), span(rng, 0.36, 0.45)
    width = depth * (span(rng, 1.5, 1.9) if look.shape == "rectangular" else 1.0)
    at, size = (0.0, 0.0, high / 2 + 0.02), (depth, width, high - 0.04)
    body = rod("seat", at, size, main) if look.shape == "round" else soft("seat", at, size, main, 0.06)
    foot = box("foot", (0, 0, 0.02), (depth * 0.7, width * 0.7, 0.04), DARK)
    return Piece(kind="ottoman", look=look, parts=(body, foot), top_m=high)


def _bench(rng: np.random.Generator, look: Look) -> Piece:
    main = look.paint
    width, depth, high = span(rng, 1.0, 1.6), span(rng, 0.34, 0.42), span(rng, 0.42, 0.48)
    if look.material == "leather":
        top = [soft("seat", (0, 0, high - 0.05), (depth, width, 0.12), main, 0.04)]
    else:
        top = [box("seat", (x, 0, high), (depth / 3 - 0.02, width, 0.04), main) for x in (-depth / 3, 0.0, depth / 3)]
    leg_paint = STEEL if look.material == "leather" else main
    parts = [*top, *legs(depth * 0.9, width * 0.9, high, 0.06, leg_paint)]
    return Piece(kind="bench", look=look, parts=tuple(parts), num_parts=(("leg", 4),))


BUILDERS: dict[str, Builder] = {
    "chair": _chair,
    "office chair": _office_chair,
    "armchair": _armchair,
    "couch": _couch,
    "stool": _stool,
    "ottoman": _ottoman,
    "bench": _bench,
}
"""Builders by kind."""
