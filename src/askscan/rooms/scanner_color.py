"""What surfaces look like to a scanner: colour prototypes with jitter, materials, shading, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from askscan.rooms.catalogue import COLORS
from askscan.rooms.scanner_mesh import Solid, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Vertices of one material: where they are on their part and how they face."""

    local: Float[ndarray, "v 3"]
    """Metres: x along the part's longest axis, then the second, then the shortest."""
    normals: Float[ndarray, "v 3"]
    phase: Float[ndarray, "v"]
    """Of the part, in [0, 1)."""
    noise: Float[ndarray, "v"]
    """Standard normal, white."""


def _mottle(at: Float[ndarray, "v 3"], period_m: float, phase: Float[ndarray, "v"]) -> Float[ndarray, "v"]:
    """Smooth blotches in about [-1, 1]."""
    k = 2 * np.pi / period_m
    a = np.sin(k * at[:, 0] + 6.3 * phase + 1.7 * np.sin(k * 0.7 * at[:, 1]))
    return a * np.sin(k * 1.1 * at[:, 1] + 9.1 * phase + 1.3 * np.sin(k * 0.6 * at[:, 2]))


def _gleam(s: Spot, sharp: int) -> Float[ndarray, "v"]:
    """Reflection of a light that hangs up and to one side, in [0, 1]."""
    return np.maximum(s.normals @ np.array([0.35, 0.25, 0.903]), 0.0) ** sharp


def _wood(s: Spot) -> Float[ndarray, "v"]:
    bend = 0.12 * np.sin(s.local[:, 0] * 4.0 + 20 * s.phase)
    return 1 + 0.17 * np.sin(2 * np.pi * (s.local[:, 1] / 0.105 + bend + s.phase)) + 0.03 * s.noise


def _metal(s: Spot) -> Float[ndarray, "v"]:
    ramp = np.sin(s.local[:, 0] * 7.0 + 6.3 * s.phase)
    return 1.0 + 0.1 * ramp + 0.15 * _gleam(s, 8)


_TEXTURES: Mapping[str, Callable[[Spot], Float[ndarray, "v"]]] = MappingProxyType(
    {
        "wood": _wood,
        "metal": _metal,
        "plastic": lambda s: 0.98 + 0.12 * _gleam(s, 12),
        "fabric": lambda s: 1 + 0.11 * s.noise,
        "leather": lambda s: 0.93 + 0.16 * _mottle(s.local, 0.2, s.phase) + 0.2 * _gleam(s, 20),
        "glass": lambda s: 1.03 + 0.06 * np.sin(3 * (s.local[:, 0] + s.local[:, 1])),
        "ceramic": lambda s: 1.0 + 0.06 * _gleam(s, 10),
        "stone": lambda s: 1 + 0.3 * np.clip(np.abs(s.noise) - 1.2, 0, 1) * np.sign(s.noise) + 0.05 * s.noise,
        "paper": lambda s: 1 + 0.16 * _mottle(s.local, 0.3, s.phase),
        "cardboard": lambda s: 1 + 0.06 * np.sin(2 * np.pi * s.local[:, 0] / 0.06),
        "wicker": lambda s: 1 + 0.2 * np.sign(np.sin(s.local[:, 0] * 70) * np.sin(s.local[:, 1] * 70)),
        "leaf": lambda s: 1 + 0.14 * s.noise,
        "paint": lambda s: 1 + 0.012 * s.noise,
    }
)
_PALE = np.array([205.0, 228.0, 240.0])
_LEAST_CONTRAST = 70.0
"""A texture varies as on a surface of this brightness where it is on a darker one."""


def paint(
    surface: Surface, solids: Sequence[Solid], tints: Mapping[str, tuple[int, int, int]], rng: np.random.Generator
) -> UInt8[ndarray, "v 3"]:
    """Colours of all vertices.

    Args:
        surface: The triangulated room.
        solids: What it was made from.
        tints: Colour prototypes that differ from the catalogue's: those of walls and floor, by colour name.
        rng: Source of tints, exposure and noise.

    Returns:
        RGB per vertex.
    """
    base = _base_colors(solids, tints, rng)[surface.solid]
    materials = np.array([s.part.paint[1] for s in solids])[surface.solid]
    order = np.argsort(-np.array([s.part.size for s in solids]), axis=1, kind="stable")[surface.solid]
    local = np.take_along_axis(surface.local, order, axis=1)
    phase = rng.random(len(solids))[surface.solid]
    noise = rng.standard_normal(len(local))
    factor = np.ones(len(local))
    for name in sorted(set(materials.tolist())):
        at = np.flatnonzero(materials == name)
        spot = Spot(local=local[at], normals=surface.normals[at], phase=phase[at], noise=noise[at])
        factor[at] = _TEXTURES[name](spot)
    # What light does on a dark surface is not darker in proportion: black wood still shows its grain.
    factor = 1 + (factor - 1) * np.maximum(1.0, _LEAST_CONTRAST / base.mean(axis=1))
    rgb = base * (factor * _shade(surface, rng))[:, None]
    rgb *= rng.uniform(0.95, 1.05) * (1 + rng.uniform(-0.025, 0.025, 3))
    rgb += 4.0 * noise[::-1, None] + rng.normal(0.0, 3.0, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def _base_colors(
    solids: Sequence[Solid], tints: Mapping[str, tuple[int, int, int]], rng: np.random.Generator
) -> Float[ndarray, "s 3"]:
    """One RGB per solid: parts of one piece that share a colour name share its jitter."""
    drawn: dict[tuple[int, str], Float[ndarray, "3"]] = {}
    base = np.empty((len(solids), 3))
    for i, s in enumerate(solids):
        name, material = s.part.paint
        if (s.owner, name) not in drawn:
            rgb = np.array(tints[name] if s.owner < 0 else COLORS[name], dtype=float)
            drawn[s.owner, name] = rgb * rng.uniform(0.95, 1.05) + rng.uniform(-6, 6, 3)
        base[i] = drawn[s.owner, name]
        if material == "glass":
            base[i] = base[i] + (0.4 if name == "white" else 0.08) * (_PALE - base[i])
    return base


def _shade(surface: Surface, rng: np.random.Generator) -> Float[ndarray, "v"]:
    """Light from above, a little from one side; darker near the floor's edges and away from the lamp."""
    side = rng.uniform(-np.pi, np.pi)
    sun = np.array([np.cos(side), np.sin(side), 0.0])
    lambert = 0.955 + 0.06 * surface.normals[:, 2] + 0.045 * (surface.normals @ sun)
    low, high = surface.xyz.min(0), surface.xyz.max(0)
    away = np.linalg.norm((surface.xyz[:, :2] - (low + high)[:2] / 2) / (high - low)[:2], axis=1)
    foot = 0.07 * np.exp(-surface.xyz[:, 2] / 0.15) * (np.abs(surface.normals[:, 2]) < 0.7)
    return lambert - 0.05 * away - foot
