"""Small meshes of known metres and colours."""

from __future__ import annotations

import numpy as np

from askscan.records import Mesh

CUBE_COLORS = {
    "top": (200, 30, 30),
    "bottom": (30, 30, 30),
    "+x": (30, 200, 30),
    "-x": (30, 30, 200),
    "+y": (200, 200, 30),
    "-y": (30, 200, 200),
}
_SIDES = {"top": (2, 1), "bottom": (2, -1), "+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1)}


def quad(*, z: float, color: tuple[int, int, int], half: float = 1.0) -> Mesh:
    """A level square of two triangles that face up."""
    vertices = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Mesh(vertices=vertices, faces=faces, colors=np.full((4, 3), color, np.uint8), normals=None)


def cube(center: np.ndarray, edge: float) -> Mesh:
    """A cube with one colour per side, its triangles facing outwards."""
    vertices, faces, colors = [], [], []
    for i, (side, (axis, sign)) in enumerate(_SIDES.items()):
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        out = sign * np.eye(3)[axis]
        ring = [out - u - v, out + u - v, out + u + v, out - u + v]
        vertices += [center + edge / 2 * corner for corner in ring]
        order = [[0, 1, 2], [0, 2, 3]] if sign > 0 else [[2, 1, 0], [3, 2, 0]]
        faces += (np.array(order) + 4 * i).tolist()
        colors += [CUBE_COLORS[side]] * 4
    return Mesh(vertices=np.float32(vertices), faces=np.int32(faces), colors=np.uint8(colors), normals=None)


def join(meshes: list[Mesh]) -> Mesh:
    """Several coloured meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]).astype(
            np.int32
        ),
        colors=np.concatenate([mesh.colors for mesh in meshes if mesh.colors is not None]),
        normals=None,
    )


def dense(mesh: Mesh, edge: float) -> Mesh:
    """The mesh with its triangles divided until no edge is longer than `edge`."""
    import trimesh

    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, edge, max_iter=20)
    _, first, inverse = np.unique(np.round(vertices, 5), axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[faces].astype(np.int32)
    return Mesh(vertices=vertices[first].astype(np.float32), faces=faces, colors=None, normals=None)


def furnished_room(width: float = 4.0, depth: float = 5.5, height: float = 2.5, *, ceiling: bool = False) -> Mesh:
    """An open box with tables, a bed and a wardrobe as a scanner sees them: no undersides; floor at z = 0."""
    pieces = [_box((0, 0, 0), (width, depth, height), inside=True, ceiling=ceiling)]
    for low, size in (
        ((0.1, 0.2, 0.0), (1.6, 2.0, 0.5)),
        ((2.2, 2.0, 0.6), (1.2, 0.8, 0.12)),
        ((width - 0.6, depth - 1.5, 0.0), (0.6, 1.2, 1.9)),
        ((0.5, 4.2, 0.0), (0.5, 0.5, 0.45)),
    ):
        pieces.append(_box(low, size, inside=False, ceiling=True))
    return dense(join(pieces), 0.12)


def _box(low: tuple[float, ...], size: tuple[float, ...], *, inside: bool, ceiling: bool) -> Mesh:
    block = cube(np.array([0.5, 0.5, 0.5]), 1.0)
    assert block.colors is not None
    dropped = "top" if inside else "bottom"
    keep = np.ones(len(block.faces), bool)
    if not inside or not ceiling:
        keep = (block.colors[block.faces[:, 0]] != CUBE_COLORS[dropped]).any(axis=1)
    faces = block.faces[keep]
    if inside:
        faces = faces[:, ::-1].copy()
    vertices = np.float32(np.array(low) + block.vertices * np.array(size))
    return Mesh(vertices=vertices, faces=faces, colors=block.colors, normals=None)
