"""Pieces of furniture made of parts: the primitives, what a builder returns, and the way from a kind to its builder.

A piece stands in its own frame: metres, z up, the front looks to +x, the width runs along y, the origin is in the
middle of its footprint on the floor (of pieces that hang: in the middle of their lower end).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.errors import DataError
from askscan.rooms.catalogue import KINDS, Look, pick_look

Vec = tuple[float | int, float | int, float | int]
Paint = tuple[str, str]
"""Colour name and material."""
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
"""Signs of x and y."""
_UPRIGHT = np.eye(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One solid: the cube [-1, 1]^3 mapped to a primitive, scaled, tilted, turned and moved."""

    name: str
    primitive: str
    """`box`, `soft` (box with rounded edges), `cylinder` (upright, elliptic) or `ellipsoid`."""
    center: Vec
    size: Vec
    paint: Paint
    radius_m: float = 0.0
    """Of the edges of a soft box."""
    taper: float = 1.0
    """Width of the top in units of the width of the bottom."""
    wave_m: float = 0.0
    """Amplitude of folds along x, as in a curtain."""
    tilt_rad: float = 0.0
    """Turn about the part's y axis, before the yaw; positive leans the top to +x."""
    yaw_rad: float = 0.0
    """Turn about z."""
    open_top: bool = False
    """No top face: vessels."""

    @property
    def rotation(self) -> Float[ndarray, "3 3"]:
        """Turns the part's own axes into the piece's."""
        ct, st, cy, sy = np.cos(self.tilt_rad), np.sin(self.tilt_rad), np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[cy * ct, -sy, cy * st], [sy * ct, cy, sy * st], [-st, 0.0, ct]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of furniture before it is placed."""

    kind: str
    look: Look
    parts: tuple[Part, ...]
    num_parts: tuple[tuple[str, int], ...] = ()
    """Countable parts that can be seen: (("leg", 4),)."""
    top_m: float | None = None
    """Height of the surface that other things may stand on."""

    @property
    def bounds(self) -> Float[ndarray, "2 3"]:
        """Lower and upper corner in the piece's frame."""
        hulls = part_hulls(self.parts)
        return np.stack([hulls[:, 0].min(0), hulls[:, 1].max(0)])


def part_hulls(
    parts: Sequence[Part], turn: Float[ndarray, "3 3"] = _UPRIGHT, position: Vec = (0, 0, 0)
) -> Float[ndarray, "p 2 3"]:
    """Axis-aligned hulls of parts, lower and upper corner, after the piece is turned and moved."""
    center = np.array([p.center for p in parts]) @ turn.T + np.array(position)
    half = np.array([p.size for p in parts]) / 2
    half[:, :2] *= np.array([max(1.0, p.taper) for p in parts])[:, None]
    half[:, 0] += np.array([p.wave_m for p in parts])
    reach = half @ np.abs(turn).T
    for i, part in enumerate(parts):
        if part.tilt_rad or part.yaw_rad:
            reach[i] = np.abs(turn @ part.rotation) @ half[i]
    return np.stack([center - reach, center + reach], axis=1)


def box(name: str, center: Vec, size: Vec, paint: Paint, **more: float | bool) -> Part:
    """A box with sharp edges."""
    return Part(name=name, primitive="box", center=center, size=size, paint=paint, **more)  # type: ignore[arg-type]


def soft(name: str, center: Vec, size: Vec, paint: Paint, radius_m: float = 0.05, **more: float | bool) -> Part:
    """A box with rounded edges: upholstery, pillows, plastic."""
    radius_m = min(radius_m, min(size) / 2)
    return Part(name=name, primitive="soft", center=center, size=size, paint=paint, radius_m=radius_m, **more)  # type: ignore[arg-type]


def rod(name: str, center: Vec, size: Vec, paint: Paint, **more: float | bool) -> Part:
    """An upright cylinder, elliptic if its x and y sizes differ."""
    return Part(name=name, primitive="cylinder", center=center, size=size, paint=paint, **more)  # type: ignore[arg-type]


def ball(name: str, center: Vec, size: Vec, paint: Paint, **more: float | bool) -> Part:
    """An ellipsoid."""
    return Part(name=name, primitive="ellipsoid", center=center, size=size, paint=paint, **more)  # type: ignore[arg-type]


def legs(depth: float, width: float, height: float, thick: float, paint: Paint, *, round_: bool = False) -> list[Part]:
    """Four legs at the corners of a rectangle, `depth` along x and `width` along y (outer sizes)."""
    make = rod if round_ else box
    x, y = (depth - thick) / 2, (width - thick) / 2
    corners = ((x, y), (x, -y), (-x, y), (-x, -y))
    return [make("leg", (a, b, height / 2), (thick, thick, height), paint) for a, b in corners]


def slab(name: str, shape: str, center: Vec, size: Vec, paint: Paint) -> Part:
    """A flat top of the outline that a shape word asks for."""
    return (rod if shape in ("round", "oval") else box)(name, center, size, paint)


def span(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform draw."""
    return float(rng.uniform(low, high))


Builder = Callable[[np.random.Generator, Look], Piece]

_MODULES = ("seats", "tables", "storage", "fixtures", "small")


@cache
def builders() -> dict[str, Builder]:
    """Every kind's builder, from the furniture modules."""
    found: dict[str, Builder] = {}
    for name in _MODULES:
        found.update(importlib.import_module(f"askscan.rooms.furniture_{name}").BUILDERS)
    return found


def build(rng: np.random.Generator, kind: str, look: Look | None = None) -> Piece:
    """Build one piece of a kind, in drawn proportions.

    Args:
        rng: Source of the proportions (and of the look, if none is given).
        kind: Key of `askscan.rooms.catalogue.KINDS`.
        look: Colour, material and shape.

    Returns:
        The piece, in its own frame.

    Raises:
        DataError: The kind is not in the catalogue.
    """
    if kind not in KINDS:
        raise DataError(f"{kind!r} is no kind of furniture; known are {', '.join(sorted(KINDS))}.")
    return builders()[kind](rng, look or pick_look(rng, kind))


def fit(piece: Piece, size: Vec) -> Piece:
    """Stretch a piece so that its extent becomes `size` (depth, width, height in metres); standing, centred."""
    low, high = piece.bounds
    scale = np.asarray(size) / np.maximum(high - low, 1e-6)
    middle = np.array([*(low + high)[:2] / 2, low[2]])

    def stretch(part: Part) -> Part:
        # A tilted or turned part is stretched along its own axes, which keeps it a box; exact for the upright ones.
        own = np.abs(part.rotation.T) @ scale / np.abs(part.rotation).sum(0)
        center = (np.asarray(part.center) - middle) * scale
        return replace(
            part,
            center=tuple(center.tolist()),
            size=tuple((np.asarray(part.size) * own).tolist()),
            wave_m=part.wave_m * float(own[0]),
            radius_m=part.radius_m * float(own.min()),
        )

    top_m = None if piece.top_m is None else (piece.top_m - float(low[2])) * float(scale[2])
    return replace(piece, parts=tuple(stretch(p) for p in piece.parts), top_m=top_m)
