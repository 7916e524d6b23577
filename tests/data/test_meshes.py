from __future__ import annotations

import numpy as np
import pytest

from askscan.data.meshes import thin_mesh, transform_mesh
from askscan.records import Mesh


def grid(num: int) -> Mesh:
    flat = np.stack(np.meshgrid(np.arange(num), np.arange(num), indexing="ij"), -1).reshape(-1, 2)
    corner = np.arange(num * num).reshape(num, num)[:-1, :-1].reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + num, corner + 1], 1), np.stack([corner + num + 1, corner + 1, corner + num], 1)]
    )
    colors = np.column_stack([flat % 256, np.zeros(len(flat))]).astype(np.uint8)
    xyz = np.column_stack([flat, np.zeros(len(flat))]).astype(np.float32)
    return Mesh(
        vertices=xyz, faces=faces.astype(np.int32), colors=colors, normals=np.tile(np.float32([0, 0, 1]), (len(xyz), 1))
    )


def test_a_similarity_moves_points_and_turns_normals() -> None:
    mesh = grid(3)
    matrix = np.array([[0, 0, 2.0, 1], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
    moved = transform_mesh(mesh, matrix)
    np.testing.assert_allclose(moved.vertices, mesh.vertices @ matrix[:3, :3].T + [1, 0, 0])
    np.testing.assert_allclose(moved.normals, np.tile([1.0, 0, 0], (9, 1)), atol=1e-6)


@pytest.mark.parametrize("max_points", [60, 300, 2000])
def test_thinned_meshes_are_small_even_and_still_a_surface(max_points: int) -> None:
    mesh = grid(80)
    thinned, cell = thin_mesh(mesh, max_points)
    assert 0.3 * max_points < len(thinned.vertices) <= max_points and cell > 0
    assert thinned.colors is not None
    np.testing.assert_array_equal(thinned.colors[:, :2], thinned.vertices[:, :2].astype(int) % 256)
    corners = thinned.vertices[thinned.faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(79**2, rel=0.35)
    assert (thinned.faces.max() < len(thinned.vertices)) and np.ptp(corners, axis=1).max() < 4 * cell + 2


def test_small_meshes_are_left_alone_and_points_only_are_thinned() -> None:
    mesh = grid(10)
    assert thin_mesh(mesh, 100) == (mesh, 0.0)
    points = Mesh(vertices=mesh.vertices, faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    assert len(thin_mesh(points, 30)[0].vertices) <= 30
