from __future__ import annotations

import numpy as np
from tests.render.shapes import quad

from askscan.geometry.meshes import face_normals, keep_vertices, vertex_normals


def test_a_face_normal_is_twice_the_area_long_and_stands_on_the_front() -> None:
    mesh = quad(z=0.5, color=(1, 2, 3))
    normals = face_normals(mesh.vertices, mesh.faces)
    width, depth = np.ptp(mesh.vertices[:, :2], axis=0)
    np.testing.assert_allclose(normals, np.tile([0, 0, width * depth], (2, 1)))
    np.testing.assert_allclose(face_normals(mesh.vertices, mesh.faces[:, ::-1]), -normals)


def test_vertex_normals_of_a_cube() -> None:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    # The quad z = 1 (corners 1 3 5 7), counter-clockwise from above, and a point without triangles.
    faces = np.array([[1, 5, 7], [1, 7, 3]], np.int32)
    normals = vertex_normals(corners, faces)
    np.testing.assert_array_equal(normals[[1, 3, 5, 7]], np.tile([0, 0, 1], (4, 1)))
    assert not normals[[0, 2, 4, 6]].any()


def test_vertices_that_go_take_their_triangles_with_them() -> None:
    mesh = quad(z=0.0, color=(1, 2, 3))
    left = keep_vertices(mesh, np.array([True, True, True, False]))
    assert left.vertices.shape == (3, 3)
    np.testing.assert_array_equal(left.faces, [[0, 1, 2]])
    np.testing.assert_array_equal(left.vertices[left.faces], mesh.vertices[mesh.faces[:1]])
