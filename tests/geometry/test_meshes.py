from __future__ import annotations

import numpy as np
from tests.render.shapes import quad

from askscan.geometry.meshes import face_normals, keep_vertices, vertex_normals, wireframes


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


def test_a_wireframe_is_the_edges_of_its_boxes_as_bars_of_their_width() -> None:
    signs = np.array(
        [[1, 1, 1], [-1, 1, 1], [-1, -1, 1], [1, -1, 1], [1, 1, -1], [-1, 1, -1], [-1, -1, -1], [1, -1, -1]]
    )
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    boxes = np.stack([signs * (1.0, 2.0, 0.5), signs * (0.3, 0.3, 0.3) @ turn.T + 4])
    mesh = wireframes(boxes, np.array([[200, 0, 0], [0, 100, 0]], np.uint8), 0.1)
    assert mesh.vertices.shape == (2 * 12 * 8, 3) and mesh.faces.max() == len(mesh.vertices) - 1
    assert (
        mesh.colors is not None
        and (mesh.colors[: 12 * 8] == (200, 0, 0)).all()
        and (mesh.colors[-1] == (0, 100, 0)).all()
    )
    for box, own in zip(boxes, np.split(mesh.vertices, 2), strict=True):
        distance = np.linalg.norm(own[:, None] - box[None], axis=-1)
        # Every vertex lies half a diagonal of the bar from the corner that it is at; every corner has three bars.
        np.testing.assert_allclose(distance.min(1), np.sqrt(2) * 0.05, rtol=1e-5)
        assert (np.bincount(distance.argmin(1), minlength=8) == 12).all()
    area = np.linalg.norm(face_normals(mesh.vertices[: 12 * 8], mesh.faces[: 12 * 8]), axis=1).sum() / 2
    np.testing.assert_allclose(area, 4 * 0.1 * 4 * (2.0 + 4.0 + 1.0), rtol=1e-5)  # four sides of all edges
    assert len(wireframes(boxes[:0], np.zeros((0, 3), np.uint8), 0.1).faces) == 0
