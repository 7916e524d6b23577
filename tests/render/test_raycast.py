from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.render.shapes import CUBE_COLORS, cube, quad

from askscan.geometry.cameras import look_at, project, top_down_camera
from askscan.records import Mesh
from askscan.render.raycast import Renderer, grey_colors

SIZE = 120


@pytest.fixture(params=["embree", "splats"])
def caster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "splats":
        monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    return str(request.param)


@pytest.mark.parametrize("orthographic", [True, False])
def test_a_cube_of_known_metres_lands_on_the_predicted_pixels(caster: str, orthographic: bool) -> None:
    mesh = cube(np.array([0.5, -0.25, 0.3]), 0.6)
    camera = top_down_camera(np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.6]]), SIZE, orthographic=orthographic)
    image = Renderer(mesh).render(camera, supersample=1).astype(int)
    seen = (image < 250).any(axis=2)
    rows, columns = np.nonzero(seen)
    corners, _ = project(camera, mesh.vertices.astype(np.float64))
    assert columns.min() == pytest.approx(corners[:, 0].min(), abs=1.5)
    assert columns.max() + 1 == pytest.approx(corners[:, 0].max(), abs=1.5)
    assert rows.min() == pytest.approx(corners[:, 1].min(), abs=1.5)
    assert rows.max() + 1 == pytest.approx(corners[:, 1].max(), abs=1.5)
    middle, _ = project(camera, np.array([[0.5, -0.25, 0.6]]))
    x, y = middle[0].astype(int)
    np.testing.assert_allclose(image[y, x], CUBE_COLORS["top"], atol=1)


def test_each_side_of_the_cube_shows_its_colour(caster: str) -> None:
    mesh = cube(np.zeros(3), 1.0)
    for side, eye in {"+x": [3.0, 0, 0], "-x": [-3.0, 0, 0], "+y": [0, 3.0, 0], "-y": [0, -3.0, 0]}.items():
        camera = look_at(np.array(eye), np.zeros(3), field_of_view_rad=0.8, width=40, height=30)
        np.testing.assert_allclose(Renderer(mesh).render(camera)[15, 20], CUBE_COLORS[side], atol=1)


def test_backs_of_triangles_are_seen_too(caster: str) -> None:
    mesh = quad(z=0.0, color=(10, 200, 30))
    flipped = Mesh(vertices=mesh.vertices, faces=mesh.faces[:, ::-1].copy(), colors=mesh.colors, normals=None)
    camera = top_down_camera(np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]), 32)
    for each in (mesh, flipped):
        np.testing.assert_array_equal(Renderer(each).render(camera)[16, 16], [10, 200, 30])


def test_nearer_surfaces_hide_farther_ones_and_a_cut_reveals_them(caster: str) -> None:
    low, high = quad(z=0.0, color=(0, 0, 200)), quad(z=2.5, color=(200, 0, 0))
    both = Mesh(
        vertices=np.concatenate([high.vertices, low.vertices]),
        faces=np.concatenate([high.faces, low.faces + 4]),
        colors=np.concatenate([high.colors, low.colors]),
        normals=None,
    )
    for orthographic in (True, False):
        camera = top_down_camera(np.array([[-1.0, -1, 0], [1, 1, 2.6]]), 32, orthographic=orthographic)
        np.testing.assert_array_equal(Renderer(both).render(camera)[16, 16], [200, 0, 0])
        np.testing.assert_array_equal(Renderer(both).render(camera, cut_z=2.0)[16, 16], [0, 0, 200])


def test_faces_with_nan_vertices_are_dropped_and_the_rest_is_drawn(caster: str) -> None:
    mesh = quad(z=0.0, color=(50, 60, 70))
    bad = Mesh(
        vertices=np.concatenate([mesh.vertices, np.full((1, 3), np.nan, np.float32)]),
        faces=np.concatenate([mesh.faces, np.array([[0, 1, 4]], np.int32)]),
        colors=np.concatenate([mesh.colors, mesh.colors[:1]]),
        normals=None,
    )
    camera = top_down_camera(np.array([[-1.0, -1, 0], [1, 1, 0]]), 16)
    np.testing.assert_array_equal(Renderer(bad).render(camera), Renderer(mesh).render(camera))


def test_colours_are_interpolated_between_the_corners() -> None:
    mesh = quad(z=0.0, color=(0, 0, 0))
    colors = np.where(mesh.vertices[:, :1] > 0, 200, 0).astype(np.uint8).repeat(3, axis=1)
    camera = top_down_camera(np.array([[-1.0, -1, 0], [1, 1, 0]]), 40, margin=0.0)
    image = Renderer(Mesh(vertices=mesh.vertices, faces=mesh.faces, colors=colors, normals=None)).render(camera)
    np.testing.assert_allclose(image[20, :, 0], np.linspace(0, 200, 41)[:-1] + 2.5, atol=1.0)


def test_points_alone_are_drawn_without_holes_on_a_white_background() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60)), -1).reshape(-1, 2)
    points = np.column_stack([grid, np.zeros(len(grid))]).astype(np.float32)
    points = np.concatenate([points, np.full((1, 3), np.nan, np.float32)])
    mesh = Mesh(
        vertices=points,
        faces=np.zeros((0, 3), np.int32),
        colors=np.full((len(points), 3), 90, np.uint8),
        normals=None,
    )
    camera = top_down_camera(np.array([[-2.0, -2, 0], [2, 2, 0]]), 160, margin=0.0)
    image = Renderer(mesh).render(camera)
    assert (image[45:115, 45:115] == 90).all()
    assert (image[:30] == 255).all() and (image[:, 130:] == 255).all()


def test_a_scan_without_colours_is_grey_and_brighter_where_it_is_higher() -> None:
    low, high = quad(z=0.0, color=(0, 0, 0)), quad(z=1.0, color=(0, 0, 0))
    mesh = Mesh(
        vertices=np.concatenate([low.vertices, high.vertices]),
        faces=np.concatenate([low.faces, high.faces + 4]),
        colors=None,
        normals=None,
    )
    grey = grey_colors(mesh)
    assert (grey[:, 0] == grey[:, 1]).all() and (grey[4:].min() > grey[:4].max())
    assert Renderer(mesh).render(top_down_camera(np.array([[-1.0, -1, 0], [1, 1, 1]]), 16))[8, 8, 0] == grey[4, 0]


def test_an_empty_mesh_is_background() -> None:
    mesh = Mesh(vertices=np.zeros((0, 3), np.float32), faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    camera = top_down_camera(np.array([[-1.0, -1, 0], [1, 1, 1]]), 16)
    assert (Renderer(mesh).render(camera) == 255).all()
