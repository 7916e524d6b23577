"""Small operations on meshes: moving them, thinning what is too large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int32
from numpy import ndarray

from askscan.records import Mesh

_CHUNK = 4_000_000


def transform_mesh(mesh: Mesh, matrix: Float[ndarray, "4 4"]) -> Mesh:
    """A mesh moved by a similarity: vertices in float64 on the way, normals turned and of unit length."""
    linear, shift = matrix[:3, :3], matrix[:3, 3]
    vertices = np.empty_like(mesh.vertices)
    for start in range(0, len(vertices), _CHUNK):
        part = mesh.vertices[start : start + _CHUNK]
        vertices[start : start + _CHUNK] = part.astype(np.float64) @ linear.T + shift
    normals = None
    if mesh.normals is not None:
        rotation = linear / np.cbrt(np.linalg.det(linear))
        normals = (mesh.normals @ rotation.T).astype(np.float32)
    return replace(mesh, vertices=vertices, normals=normals)


def thin_mesh(mesh: Mesh, max_points: int) -> tuple[Mesh, float]:
    """One vertex for each cell of a grid, coarse enough to leave at most `max_points`; triangles follow their corners.

    Memory stays within a few times the mesh's own: 20 million vertices with 40 million triangles take under 3 GB.

    Returns:
        The thinned mesh and the cell's size in the mesh's units (0 where nothing had to be done).
    """
    if len(mesh.vertices) <= max_points:
        return mesh, 0.0
    low = mesh.vertices.min(axis=0)
    cell = float((mesh.vertices.max(axis=0) - low).max()) / 4096
    kept = np.arange(len(mesh.vertices), dtype=np.int32)
    new_index = kept
    while len(kept) > max_points:
        inverse, first = _first_in_cell(mesh, kept, low, cell)
        kept, new_index = kept[first], inverse[new_index]
        # A surface fills cells in proportion to 1 / cell^2.
        last, cell = cell, cell * max(1.1, float(np.sqrt(len(kept) / max_points)) * 1.02)
    thinned = Mesh(
        vertices=mesh.vertices[kept],
        faces=_follow(mesh.faces, new_index),
        colors=None if mesh.colors is None else mesh.colors[kept],
        normals=None if mesh.normals is None else mesh.normals[kept],
    )
    return thinned, last


def _first_in_cell(
    mesh: Mesh, kept: Int32[ndarray, "k"], low: Float[ndarray, "3"], cell: float
) -> tuple[Int32[ndarray, "k"], Int32[ndarray, "m"]]:
    """For each kept vertex the number of its cell, and for each cell its first kept vertex."""
    key = np.zeros(len(kept), dtype=np.int64)
    for axis in range(3):
        key *= 4097
        key += ((mesh.vertices[kept, axis] - low[axis]) / np.float32(cell)).astype(np.int64)
    order = np.argsort(key, kind="stable").astype(np.int32)
    key = key[order]
    starts = np.concatenate([[True], key[1:] != key[:-1]])
    inverse = np.empty(len(kept), dtype=np.int32)
    inverse[order] = np.cumsum(starts, dtype=np.int32) - 1
    return inverse, order[starts]


def _follow(faces: Int32[ndarray, "f 3"], new_index: Int32[ndarray, "v"]) -> Int32[ndarray, "g 3"]:
    pieces = []
    for start in range(0, len(faces), _CHUNK):
        moved = new_index[faces[start : start + _CHUNK]]
        whole = (moved[:, 0] != moved[:, 1]) & (moved[:, 1] != moved[:, 2]) & (moved[:, 2] != moved[:, 0])
        pieces.append(moved[whole])
    return np.concatenate(pieces) if pieces else faces
