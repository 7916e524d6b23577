"""The picture of a room from above: ceiling and upper walls cut away, white around it, square."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.geometry.cameras import top_down_camera
from askscan.geometry.meshes import face_normals
from askscan.records import Mesh
from askscan.render.pictures import Picture
from askscan.render.raycast import Renderer

DEFAULT_SIZE = 320
"""Pixels; CLIP's towers look at 224 and more."""

CUT_HEIGHT_M = 2.1
"""Above the floor: over doors and bookshelves, below ceilings."""

CEILING_GAP_M = 0.3
"""The cut stays this much below a ceiling that is lower than usual."""

OVERHEAD_M = 1.4
"""Above the floor: surfaces that face down above this height hide what people look for."""

MIN_CEILING_SHARE = 0.25
"""Level area near the top, as part of the room's outline, that makes a ceiling."""


def top_down(mesh: Mesh, *, size: int = DEFAULT_SIZE, orthographic: bool = False) -> Picture:
    """A square picture from above with +x to the right and +y up, scaled so that the scan fits.

    Args:
        mesh: aligned metres, z up; points only are drawn as splats.
        size: pixels.
        orthographic: one scale everywhere. By default a perspective camera also sees the inner side of the walls, where
            pictures, windows and curtains are.
    """
    renderer = Renderer(without_overhead(mesh))
    cut_z = floor_height(renderer.mesh) + cut_height(renderer.mesh)
    bounds = room_bounds(renderer.mesh, cut_z)
    camera = top_down_camera(bounds, size, orthographic=orthographic)
    return Picture(image=renderer.render(camera, cut_z=cut_z), camera=camera)


def floor_height(mesh: Mesh) -> float:
    """Height of the floor in aligned metres: almost all of the scan is above it (mirrors make points below it)."""
    return float(np.percentile(mesh.vertices[:, 2], 1.0, method="lower")) if len(mesh.vertices) else 0.0


def cut_height(mesh: Mesh) -> float:
    """Metres above the floor at which a top-down picture cuts: 2.1, or a little below a ceiling that is lower."""
    if not len(mesh.vertices):
        return CUT_HEIGHT_M
    top = float(np.percentile(mesh.vertices[:, 2], 99.0, method="higher"))
    height = top - floor_height(mesh)
    if height - CEILING_GAP_M >= CUT_HEIGHT_M or not _has_ceiling(mesh, top):
        return CUT_HEIGHT_M
    return max(height - CEILING_GAP_M, 0.5 * height)


def without_overhead(mesh: Mesh) -> Mesh:
    """The mesh without surfaces above head height that face down: ceilings, beams and lintels hide what is below.

    Triangles of a scan face the side they were seen from. Meshes whose floor does not face up are left alone.
    """
    floor = floor_height(mesh)
    height = mesh.vertices[:, 2] - np.float32(floor)
    first = height[mesh.faces[:, 0]]
    low = np.flatnonzero(first < 0.15)
    vertices = mesh.vertices.astype(np.float64)
    if face_normals(vertices, mesh.faces[low])[:, 2].sum() <= 0:
        return mesh
    high = np.flatnonzero(first > OVERHEAD_M)
    normals = face_normals(vertices, mesh.faces[high])
    down = normals[:, 2] < -0.5 * np.linalg.norm(normals, axis=1)
    keep = np.ones(len(mesh.faces), dtype=bool)
    keep[high[down]] = False
    return replace(mesh, faces=mesh.faces[keep])


def room_bounds(mesh: Mesh, cut_z: float) -> Float[ndarray, "2 3"]:
    """Lowest and highest corner of the scan below `cut_z`, without the odd stray point."""
    below = mesh.vertices[mesh.vertices[:, 2] <= cut_z].astype(np.float64)
    if not len(below):
        return np.zeros((2, 3))
    low = np.percentile(below, 0.1, axis=0, method="lower")
    high = np.percentile(below, 99.9, axis=0, method="higher")
    # Large triangles reach up to the cut though no corner of theirs is near it.
    return np.stack([low, np.array([*high[:2], min(float(mesh.vertices[:, 2].max()), cut_z)])])


def _has_ceiling(mesh: Mesh, top: float) -> bool:
    width, depth = np.ptp(mesh.vertices[:, :2].astype(np.float64), axis=0)
    if not len(mesh.faces):
        near = np.abs(mesh.vertices[:, 2] - top) < 0.15
        return bool(near.mean() > 0.5 * MIN_CEILING_SHARE)
    faces = mesh.faces[np.abs(mesh.vertices[mesh.faces[:, 0], 2] - top) < 0.15]
    normals = face_normals(mesh.vertices.astype(np.float64), faces)
    area = np.linalg.norm(normals, axis=1)
    level = np.abs(normals[:, 2]) > 0.9 * area
    return bool(0.5 * area[level].sum() > MIN_CEILING_SHARE * width * depth)
