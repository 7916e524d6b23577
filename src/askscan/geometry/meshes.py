"""Meshes: normals of triangles and of their corners, and the mesh of some of the vertices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, UInt8
from numpy import ndarray

from askscan.records import Mesh

BOX_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
"""Pairs of corners that an edge joins, for corners in the benchmark's order."""

_BAR = np.array([[i, (i + 1) % 4, i + 4] for i in range(4)] + [[(i + 1) % 4, (i + 1) % 4 + 4, i + 4] for i in range(4)])
"""Triangles between two rings of four vertices."""


def face_normals(vertices: Float[ndarray, "v 3"], faces: Int32[ndarray, "f 3"]) -> Float[ndarray, "f 3"]:
    """Normals of triangles, as precise as the vertices; a length is twice the triangle's area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(vertices: Float[ndarray, "v 3"], faces: Int32[ndarray, "f 3"]) -> Float32[ndarray, "v 3"]:
    """Mean of the adjoining triangles' normals, weighted by area, at unit length; zero where there is no triangle."""
    per_face = face_normals(vertices, faces)
    corners = faces.reshape(-1)
    sums = [np.bincount(corners, np.repeat(per_face[:, axis], 3), len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(np.float32)


def keep_vertices(mesh: Mesh, keep: Bool[ndarray, "v"]) -> Mesh:
    """The mesh of some of the vertices; triangles that lose a corner are dropped."""
    new_index = np.cumsum(keep, dtype=np.int32) - 1
    faces = mesh.faces[keep[mesh.faces].all(axis=1)] if len(mesh.faces) else mesh.faces
    return Mesh(
        vertices=mesh.vertices[keep],
        faces=new_index[faces],
        colors=None if mesh.colors is None else mesh.colors[keep],
        normals=None if mesh.normals is None else mesh.normals[keep],
    )


def wireframes(corners: Float[ndarray, "k 8 3"], colors: UInt8[ndarray, "k 3"], width: float) -> Mesh:
    """The edges of boxes as bars.

    Args:
        corners: In the benchmark's order; boxes may be turned.
        colors: Of each box.
        width: Of the bars, in the unit of the corners.
    """
    vertices: list[ndarray] = []
    faces: list[ndarray] = []
    for box in corners.astype(np.float64):
        axes = np.stack([box[1] - box[0], box[3] - box[0], box[4] - box[0]])
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-9)
        for a, b in BOX_EDGES:
            sides = axes[np.abs(axes @ (box[b] - box[a])).argsort()[:2]] * (width / 2)
            ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ sides
            faces.append(_BAR + 8 * len(vertices))
            vertices.append(np.concatenate([box[a] + ring, box[b] + ring]))
    return Mesh(
        vertices=np.concatenate([np.zeros((0, 3)), *vertices]).astype(np.float32),
        faces=np.concatenate([np.zeros((0, 3)), *faces]).astype(np.int32),
        colors=np.repeat(colors, 8 * len(BOX_EDGES), axis=0),
        normals=None,
    )
