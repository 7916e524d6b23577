"""Triangulates all parts of a room at once: every solid is the surface of a cube, mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from askscan.rooms.furniture import Part

_UNDERSIDE_FROM_M = 1.1
"""Lower faces below this height are left out: nobody scans with the head under a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """A part where it stands in the room."""

    part: Part
    rotation: Float[ndarray, "3 3"]
    """From the part's own axes to the room's."""
    center: Float[ndarray, "3"]
    owner: int
    """Index of the piece; negative: -1 floor, -2 to -5 walls, -6 ceiling."""
    spacing_m: float
    """Edge length of the triangles' legs."""
    faces: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    """Of -x +x -y +y -z +z, those that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A triangulated room before it is scanned, in the room's frame."""

    xyz: Float[ndarray, "v 3"]
    normals: Float[ndarray, "v 3"]
    local: Float[ndarray, "v 3"]
    """Metres in the part's own frame, before folds and rounding: what textures are drawn in."""
    solid: Int[ndarray, "v"]
    face: Int[ndarray, "v"]
    """Cube face, 0 to 5."""
    two_sided: Bool[ndarray, "v"]
    triangles: Int[ndarray, "f 3"]

    def only(self, keep: Int[ndarray, "k"], triangles: Int[ndarray, "g 3"]) -> Surface:
        """Some of the vertices, with the triangles between them."""
        return Surface(
            xyz=self.xyz[keep],
            normals=self.normals[keep],
            local=self.local[keep],
            solid=self.solid[keep],
            face=self.face[keep],
            two_sided=self.two_sided[keep],
            triangles=triangles,
        )


def _patches(solids: Sequence[Solid]) -> tuple[Int[ndarray, "p"], Int[ndarray, "p"]]:
    """Solid and face of every patch that is built."""
    solid, face = [], []
    for i, s in enumerate(solids):
        hidden = {5} if s.part.open_top else set()
        if s.center[2] < _UNDERSIDE_FROM_M and not s.part.tilt_rad and s.owner >= 0:
            hidden.add(4)
        kept = [f for f in s.faces if f not in hidden]
        solid += [i] * len(kept)
        face += kept
    return np.array(solid), np.array(face)


def _cells(solids: Sequence[Solid]) -> Int[ndarray, "s 3"]:
    """Cells along each axis of each solid, so that neighbouring faces share their edges' vertices."""
    size = np.array([s.part.size for s in solids])
    spacing = np.array([s.spacing_m for s in solids])[:, None]
    curved = np.array([s.part.primitive != "box" for s in solids])[:, None]
    folded = np.array([s.part.wave_m > 0 for s in solids])
    least = np.where(curved, np.where(size > 0.09, 4, 2), 1)
    cells = np.maximum(np.rint(size / spacing), least).astype(np.int64)
    cells[folded, 1] = np.maximum(cells[folded, 1], np.ceil(size[folded, 1] / 0.02)).astype(np.int64)
    return cells


def count_vertices(solids: Sequence[Solid]) -> int:
    """Vertices that `triangulate` will make."""
    patch_solid, patch_face = _patches(solids)
    cells, axis = _cells(solids), patch_face // 2
    return int(((cells[patch_solid, (axis + 1) % 3] + 1) * (cells[patch_solid, (axis + 2) % 3] + 1)).sum())


def triangulate(solids: Sequence[Solid], rng: np.random.Generator) -> Surface:
    """Build the surface of all solids.

    Args:
        solids: What stands in the room.
        rng: Source of the uneven density (cells of one solid differ in size by up to 2).

    Returns:
        The surface; vertices of neighbouring faces of a solid coincide without being shared.
    """
    patch_solid, patch_face = _patches(solids)
    cells = _cells(solids)
    axis, sign = patch_face // 2, (patch_face % 2) * 2.0 - 1.0
    u_axis, v_axis = (axis + 1) % 3, (axis + 2) % 3
    nu, nv = cells[patch_solid, u_axis], cells[patch_solid, v_axis]
    counts = (nu + 1) * (nv + 1)
    start = np.cumsum(counts) - counts
    patch = np.repeat(np.arange(len(patch_solid)), counts)
    index = np.arange(counts.sum()) - start[patch]
    rows = nv[patch] + 1
    solid = patch_solid[patch]
    warp = rng.uniform(-0.3, 0.3, (len(solids), 3))
    cube = np.empty((len(patch), 3))
    every = np.arange(len(patch))
    cube[every, axis[patch]] = sign[patch]
    for steps, count, ax in ((index // rows, nu, u_axis[patch]), (index % rows, nv, v_axis[patch])):
        t = 2.0 * steps / count[patch] - 1.0
        cube[every, ax] = t + warp[solid, ax] * (1.0 - t * t)
    local, normals = _map_cube(cube, axis[patch], sign[patch], solid, solids)
    rotation = np.array([s.rotation for s in solids])[solid]
    return Surface(
        xyz=np.einsum("vij,vj->vi", rotation, local) + np.array([s.center for s in solids])[solid],
        normals=np.einsum("vij,vj->vi", rotation, normals),
        local=cube * (np.array([s.part.size for s in solids]) / 2)[solid],
        solid=solid,
        face=patch_face[patch],
        two_sided=np.array([s.part.open_top for s in solids])[solid],
        triangles=_triangles(nu, nv, start, sign),
    )


def _triangles(
    nu: Int[ndarray, "p"], nv: Int[ndarray, "p"], start: Int[ndarray, "p"], sign: Float[ndarray, "p"]
) -> Int[ndarray, "f 3"]:
    """Two triangles per cell, wound so that they face outward."""
    counts = nu * nv
    patch = np.repeat(np.arange(len(nu)), counts)
    index = np.arange(counts.sum()) - (np.cumsum(counts) - counts)[patch]
    rows = nv[patch]
    a = start[patch] + (index // rows) * (rows + 1) + index % rows
    b, c, d = a + rows + 1, a + rows + 2, a + 1
    outward = sign[patch] > 0
    first = np.stack([a, np.where(outward, b, c), np.where(outward, c, b)], 1)
    second = np.stack([a, np.where(outward, c, d), np.where(outward, d, c)], 1)
    return np.concatenate([first, second])


def _map_cube(
    cube: Float[ndarray, "v 3"],
    axis: Int[ndarray, "v"],
    sign: Float[ndarray, "v"],
    solid: Int[ndarray, "v"],
    solids: Sequence[Solid],
) -> tuple[Float[ndarray, "v 3"], Float[ndarray, "v 3"]]:
    """Positions and normals of cube points in their part's frame."""
    half = np.array([s.part.size for s in solids])[solid] / 2
    primitive = np.array([("box", "soft", "cylinder", "ellipsoid").index(s.part.primitive) for s in solids])[solid]
    out = cube * half
    normals = np.zeros_like(cube)
    normals[np.arange(len(cube)), axis] = sign

    soft = primitive == 1
    inner = half[soft] - np.array([s.part.radius_m for s in solids])[solid[soft], None]
    kept = np.clip(out[soft], -inner, inner)
    away = out[soft] - kept
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    out[soft], normals[soft] = kept + away * (half[soft] - inner), away

    x2, y2, z2 = (cube[:, k] ** 2 for k in range(3))
    disc = primitive == 2
    round_x, round_y = np.sqrt(1 - y2[disc] / 2), np.sqrt(1 - x2[disc] / 2)
    out[disc, 0] *= round_x
    out[disc, 1] *= round_y
    side = disc & (axis != 2)
    normals[side] = out[side] / half[side] ** 2 * np.array([1.0, 1.0, 0.0])

    egg = primitive == 3
    for k, (p, q) in enumerate(((y2, z2), (z2, x2), (x2, y2))):
        out[egg, k] *= np.sqrt(1 - p[egg] / 2 - q[egg] / 2 + p[egg] * q[egg] / 3)
    normals[egg] = out[egg] / half[egg] ** 2

    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    taper = np.array([s.part.taper for s in solids])[solid]
    out[:, :2] *= (1 + (taper - 1) * (cube[:, 2] + 1) / 2)[:, None]
    wave = np.array([s.part.wave_m for s in solids])[solid]
    out[:, 0] += wave * np.sin(out[:, 1] * (2 * np.pi / 0.14))
    return out, normals
