"""Which axis of a scan is up, where its walls run and what unit it is in, from the geometry alone.

Everything is judged on samples of the surface with their normals: level surfaces are far apart in height and face up,
rooms are fullest near the floor, walls are upright and at right angles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from askscan.errors import ConfigError
from askscan.records import Mesh

Up = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
Unit = Literal["auto", "m", "cm", "mm"]

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
UNIT_NAMES = {1.0: "metres", 0.01: "centimetres", 0.001: "millimetres"}
NUM_SAMPLES = 30_000
MIN_TURN_DEG = 0.1
"""Walls nearer to the axes than this are left as they are: their direction is not known better."""
_MODE_WIDTH_DEG = 2.0
_MODE_STEPS = 100

USUAL_UP = MappingProxyType({"z": 0.6, "y": 0.5})
"""Which axis is up where nothing is known of the file; on the scale of the evidence of `find_up`."""

TO_Z_UP = {
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}
"""Rotations that take each direction to +z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Samples of a scan's surface in the file's axes and units."""

    xyz: Float[ndarray, "n 3"]
    normals: Float[ndarray, "n 3"]
    """Unit normals of a neighbourhood (their sign means something only where `oriented`)."""
    flat: Float[ndarray, "n"]
    """In [0, 1]: how flat the neighbourhood is."""
    oriented: bool
    """Whether normals point to the side from which the surface was seen (triangles have a front)."""
    spacing: float
    """Distance between neighbouring vertices of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The similarity from the file's frame to metres, z up, walls along the axes, and how it was found."""

    matrix: Float[ndarray, "4 4"]
    notes: tuple[str, ...]


def find_alignment(
    mesh: Mesh, *, up: Up, unit: Unit | float, align_walls: bool, usual_up: Mapping[str, float] = USUAL_UP
) -> Alignment:
    """How to turn and scale a scan so that it is in metres, z up, walls along x and y.

    Nothing is shifted, and a scan that is right already gets the identity. Walls say their direction up to a quarter
    turn only: the smallest turn is taken.

    Args:
        mesh: finite vertices in the file's frame.
        up: the file's axis that points up, or `auto`.
        unit: the file's unit, metres per unit, or `auto`.
        align_walls: whether to look for the walls' direction.
        usual_up: how usual each upward axis is in this kind of file; it decides where the geometry does not.

    Raises:
        ConfigError: `up` or `unit` is none of the accepted values.
    """
    _check_options(up, unit)
    surface = sample_surface(mesh)
    notes = []
    axis = find_up(surface, usual_up) if up == "auto" else str(up)
    rotation = np.array(TO_Z_UP[axis], dtype=np.float64)
    turned = surface.xyz @ rotation.T
    normals = surface.normals @ rotation.T
    if axis != "z":
        notes.append(f"Up is the file's {axis} axis ({'found from the geometry' if up == 'auto' else 'as asked'}).")
    if not has_floor(turned, normals):
        notes.append("No floor was found: which way is up may be wrong, and can be set.")
    scale = METRES[unit] if unit in METRES else unit if isinstance(unit, float | int) else find_unit(turned, surface)
    if scale != 1.0:
        name = UNIT_NAMES.get(scale, f"units of {scale:g} m")
        notes.append(f"The file is in {name} ({'found from the size' if unit == 'auto' else 'as asked'}).")
    notes += _size_notes(turned * scale, unit == "auto")
    if align_walls:
        turn_deg = find_wall_turn_deg(turned, normals, surface.flat)
        if abs(turn_deg) > MIN_TURN_DEG:
            cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
            rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ rotation
            notes.append(f"The scan was turned by {turn_deg:.1f} degrees so that its walls run along the axes.")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * scale
    return Alignment(matrix=matrix, notes=tuple(notes))


def sample_surface(mesh: Mesh) -> Surface:
    """Even samples of triangles by area, or of points by volume cells, with the normals of their neighbourhoods."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(0)
    oriented = len(mesh.faces) > 0
    if oriented:
        faces = mesh.faces[:: max(1, len(mesh.faces) // 1_000_000)]
        corners = mesh.vertices[faces].astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1) / 2
        oriented = bool(area.sum() > 0)
    if oriented:
        chosen = np.searchsorted(np.cumsum(area), rng.random(NUM_SAMPLES) * area.sum()).clip(max=len(area) - 1)
        uv = rng.random((NUM_SAMPLES, 2))
        uv = np.where(uv.sum(1, keepdims=True) > 1, 1 - uv, uv)[..., None]
        base, edges = corners[chosen, 0], corners[chosen, 1:] - corners[chosen, :1]
        xyz = base + (uv * edges).sum(1)
        facing = cross[chosen]
        spacing = float(np.median(np.sqrt(np.maximum(area, 0) * 2)))
    else:
        points = mesh.vertices[:: max(1, len(mesh.vertices) // 300_000)].astype(np.float64)
        xyz = _thin(points, NUM_SAMPLES, rng)
        facing = np.zeros_like(xyz)
        spacing = float(np.median(cKDTree(points).query(points[:: max(1, len(points) // 1000)], k=2)[0][:, 1]))
    normals, flat = _neighbourhood_normals(xyz)
    if oriented:
        normals *= np.where((normals * facing).sum(1, keepdims=True) < 0, -1.0, 1.0)
    return Surface(xyz=xyz, normals=normals, flat=flat, oriented=oriented, spacing=spacing)


def find_up(surface: Surface, usual: Mapping[str, float]) -> str:
    """The signed axis that points up: the one with the best evidence for it.

    Args:
        surface: samples in the file's frame.
        usual: how usual each axis is as the upward one in this kind of file, on the scale of the evidence.
    """
    scores = {axis: _evidence_of_up(surface, np.array(TO_Z_UP[axis])) + usual.get(axis, 0.0) for axis in TO_Z_UP}
    return max(scores, key=lambda axis: scores[axis])


def _evidence_of_up(surface: Surface, rotation: Int[ndarray, "3 3"]) -> float:
    """Sum of what speaks for a direction being up, each part between -1 and 1 before its weight."""
    xyz, upward = surface.xyz @ rotation.T, surface.normals @ rotation[2]
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    extent = np.maximum(high - low, 1e-12)
    height = np.clip((xyz[:, 2] - low[2]) / extent[2], 0, 1)
    level = np.abs(upward) > 0.9
    between = (height > 0.08) & (height < 0.9)
    weight = surface.flat / max(float(surface.flat.sum()), 1e-12)

    def net(part: Bool[ndarray, "n"]) -> float:
        return float(weight[part] @ upward[part]) / max(float(weight[part].sum()), 0.01) if surface.oriented else 0.0

    def low_lying(part: Bool[ndarray, "n"]) -> float:
        return 1.0 - 2.0 * float(np.median(height[part])) if part.sum() > 20 else 0.0

    parts = (
        # Surfaces are either level or upright.
        (1.0, 2.0 * float(weight @ (level | (np.abs(upward) < 0.35))) - 1.0),
        # Scanners see the upper side of things, rarely the lower one; of tables above all.
        (1.0, net(level)),
        (0.5, net(level & between)),
        # Most of a scan lies low, and so do the seats and tables in it.
        (1.0, low_lying(np.ones(len(height), dtype=bool))),
        (0.5, low_lying(level & between)),
        # Rooms are wider than high.
        (1.5, float(np.clip(np.log(np.sqrt(extent[0] * extent[1]) / extent[2]), -1, 1))),
        # Something closes a room below, and often nothing above.
        (1.0, _floor_share(xyz, upward) - _floor_share(xyz * (1, 1, -1), upward)),
    )
    return sum(factor * value for factor, value in parts)


def has_floor(xyz: Float[ndarray, "n 3"], normals: Float[ndarray, "n 3"]) -> bool:
    """Whether a level surface closes at least a quarter of the scan's outline from below (z up)."""
    return _floor_share(xyz, normals[:, 2]) > 0.25


def find_unit(xyz: Float[ndarray, "n 3"], surface: Surface) -> float:
    """Metres per unit: rooms are about 2.4 m high and 5 m wide, scanned every 2 cm or so."""
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    extent = np.maximum(high - low, 1e-12)
    wide = float(np.sqrt(extent[0] * extent[1]))
    scores = {}
    for scale in UNIT_NAMES:
        height = np.log(extent[2] * scale / 2.4) / 0.8
        width = np.log(wide * scale / 5.0) / 0.8
        # Hand-made models have few large triangles: their spacing says little.
        spacing = min((np.log(max(surface.spacing, 1e-12) * scale / 0.02) / 1.5) ** 2, 3.0)
        scores[scale] = -(height**2) - width**2 - spacing
    return max(scores, key=lambda scale: scores[scale])


def find_wall_turn_deg(xyz: Float[ndarray, "n 3"], normals: Float[ndarray, "n 3"], flat: Float[ndarray, "n"]) -> float:
    """The smallest turn about z, in degrees within +-45, that brings the walls onto the axes; 0 without clear walls.

    Nothing in it depends on the file's axes: the same room, turned, gets the same walls to a thousandth of a degree.
    """
    upright = np.abs(normals[:, 2]) < 0.3
    if upright.sum() < 50 or not flat[upright].any():
        return 0.0
    angle = np.degrees(np.arctan2(normals[upright, 1], normals[upright, 0])) % 90.0
    weight = flat[upright]
    histogram = np.bincount((angle * 2).astype(int) % 180, weight, minlength=180)
    offsets = np.arange(-8, 9)
    kernel = np.exp(-((offsets / 4.0) ** 2) / 2)
    smooth = sum(k * np.roll(histogram, -o) for k, o in zip(kernel, offsets, strict=True))
    peak = _nearest_mode((float(np.argmax(smooth)) + 0.5) / 2, angle, weight)
    near = np.abs(_wrap(angle - peak)) < 6.0
    # A tenth of the directions lie this near to the peak by chance (12 of 90 degrees).
    if weight[near].sum() < 0.3 * weight.sum():
        return 0.0
    turn = -_sharpest(xyz[upright], peak)
    return (turn + 45.0) % 90.0 - 45.0


def _nearest_mode(peak_deg: float, angle_deg: Float[ndarray, "n"], weight: Float[ndarray, "n"]) -> float:
    """The mode near to a peak of the histogram, by mean shift: bins lie along the file's axes, the mode does not."""
    for _ in range(_MODE_STEPS):
        off = _wrap(angle_deg - peak_deg)
        shift = float(np.average(off, weights=weight * np.exp(-((off / _MODE_WIDTH_DEG) ** 2) / 2)))
        peak_deg += shift
        if abs(shift) < 1e-7:
            break
    return peak_deg


def _sharpest(xyz: Float[ndarray, "n 3"], peak_deg: float) -> float:
    """The angle within 2 degrees of `peak_deg` at which upright surfaces pile up most when looked at along them."""
    plane = xyz[:, :2] - xyz[:, :2].mean(0)
    width = max(float(np.percentile(np.linalg.norm(plane, axis=1), 99)), 1e-12) / 200
    angles = peak_deg + np.linspace(-2.0, 2.0, 41)
    energy = np.zeros(len(angles))
    for i, angle in enumerate(np.radians(angles)):
        for direction in ((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))):
            # Each point is shared by the two bins it lies between, or the grid's phase would decide.
            place = np.clip(plane @ np.array(direction) / width + 400, 0, 800)
            low = place.astype(int)
            part = place - low
            counts = np.bincount(low, 1 - part, minlength=802) + np.bincount(low + 1, part, minlength=802)
            energy[i] += float((counts[:-1] + counts[1:]) @ (counts[:-1] + counts[1:]))
    weight = np.maximum(energy - np.percentile(energy, 70), 0) ** 2
    return float(np.average(angles, weights=weight)) if weight.sum() > 0 else peak_deg


def _floor_share(xyz: Float[ndarray, "n 3"], upward: Float[ndarray, "n"]) -> float:
    """Share of the outline's cells (where there is anything) whose lowest level surface is at one common height."""
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    extent = np.maximum(high - low, 1e-12)
    cell = np.clip((xyz[:, :2] - low[:2]) / extent[:2] * 16, 0, 15).astype(int)
    cell_id = cell[:, 0] * 16 + cell[:, 1]
    height = (xyz[:, 2] - low[2]) / extent[2]
    level = (np.abs(upward) > 0.85) & (height < 0.35)
    if not level.any():
        return 0.0
    bins = np.bincount(np.clip(height[level] * 50 + 2, 0, 25).astype(int), minlength=26)
    center = (float(np.argmax(np.convolve(bins, [1, 1, 1], mode="same"))) - 1.5) / 50
    on_floor = level & (np.abs(height - center) < 0.04)
    return len(np.unique(cell_id[on_floor])) / max(len(np.unique(cell_id)), 1)


def _neighbourhood_normals(xyz: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n"]]:
    from scipy.spatial import cKDTree

    near = cKDTree(xyz).query(xyz, k=min(20, len(xyz)))[1]
    offsets = xyz[near] - xyz[near].mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))
    flat = 1.0 - values[:, 0] / np.maximum(values[:, 1], 1e-30)
    return vectors[:, :, 0], np.clip(flat, 0.0, 1.0) ** 2


def _thin(xyz: Float[ndarray, "n 3"], num: int, rng: np.random.Generator) -> Float[ndarray, "m 3"]:
    """About one point per cell of a grid of 1/100 of the scan's size, at most `num`."""
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    cell = max(float((high - low).max()), 1e-12) / 100
    key = np.clip(np.floor((xyz - low) / cell), -500, 600).astype(np.int64) @ np.array([1, 10_000, 100_000_000])
    kept = np.unique(key, return_index=True)[1]
    return xyz[rng.permutation(kept)[:num]]


def _wrap(angle_deg: Float[ndarray, "n"]) -> Float[ndarray, "n"]:
    """Angles between walls, which repeat every quarter turn, within +-45."""
    return (angle_deg + 45.0) % 90.0 - 45.0


def _size_notes(xyz: Float[ndarray, "n 3"], guessed: bool) -> list[str]:
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    wide, deep, tall = high - low
    if max(wide, deep) < 1.2 or max(wide, deep) > 40 or tall > 8:
        unit = "; if that is wrong, set the unit" if guessed else ""
        return [f"The scan is {wide:.1f} x {deep:.1f} m wide and {tall:.1f} m high, unlike a single room{unit}."]
    return []


def _check_options(up: object, unit: object) -> None:
    if up not in ("auto", *TO_Z_UP):
        raise ConfigError(f"up must be one of auto, {', '.join(TO_Z_UP)}, not {up!r}")
    named = isinstance(unit, str) and unit in ("auto", *METRES)
    number = isinstance(unit, float | int) and not isinstance(unit, bool) and 0 < unit < 1e6
    if not named and not number:
        raise ConfigError(f"unit must be auto, m, cm, mm or a number of metres per unit, not {unit!r}")
