"""Meshes: normals of triangles and of their corners, and the mesh of some of the vertices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32
from numpy import ndarray

from askscan.records import Mesh


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
