from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.render.shapes import CUBE_COLORS, cube, furnished_room, join, quad

from askscan.geometry.cameras import project
from askscan.records import Mesh
from askscan.render.topdown import cut_height, floor_height, top_down, without_overhead


def closed_room(height: float = 2.5) -> Mesh:
    """A 2 x 2 m box seen from inside, coloured like the cube's sides, with a green cube of 0.4 m on its floor."""
    shell = cube(np.zeros(3), 2.0)
    shell = replace(
        shell,
        vertices=np.float32((shell.vertices + np.array([0, 0, 1])) * np.array([1, 1, height / 2])),
        faces=shell.faces[:, ::-1].copy(),
    )
    block = cube(np.array([0.5, 0.5, 0.2]), 0.4)
    return join([shell, replace(block, colors=np.full_like(block.colors, 0) + np.uint8([10, 250, 10]))])


@pytest.mark.parametrize("orthographic", [True, False])
def test_ceiling_and_upper_walls_are_cut_and_objects_land_on_their_pixels(orthographic: bool) -> None:
    picture = top_down(closed_room(), size=200, orthographic=orthographic)
    pixels, _ = project(picture.camera, np.array([[0.5, 0.5, 0.4], [-0.5, -0.5, 0.0]]))
    (x, y), (u, v) = pixels.astype(int)
    np.testing.assert_allclose(picture.image[y, x], [10, 250, 10], atol=1)
    np.testing.assert_allclose(picture.image[v, u], CUBE_COLORS["bottom"], atol=1)
    assert x > 100 > y, "+x is to the right and +y is up"
    assert (picture.image[0] == 255).all() and (picture.image[:, 0] == 255).all()
    assert not (picture.image == CUBE_COLORS["top"]).all(axis=2).any()


def test_only_the_perspective_picture_shows_the_inner_walls() -> None:
    walls = [np.array(CUBE_COLORS[side]) for side in ("+x", "-x", "+y", "-y")]
    for orthographic, expected in ((True, 0), (False, 4)):
        image = top_down(closed_room(), size=200, orthographic=orthographic).image.astype(int)
        shown = sum(bool((np.abs(image - wall).max(axis=2) < 3).sum() > 100) for wall in walls)
        assert shown == expected


def test_the_cut_stays_under_a_low_ceiling() -> None:
    assert cut_height(closed_room(2.5)) == pytest.approx(2.1)
    assert cut_height(closed_room(1.8)) == pytest.approx(1.5, abs=0.01)
    assert cut_height(furnished_room(height=2.0)) == pytest.approx(2.1), "open above: nothing to cut"


def test_beams_are_taken_away_but_table_tops_stay() -> None:
    beam = cube(np.array([0.0, 0.0, 1.7]), 0.3)
    under = join([closed_room(), beam])
    opened = without_overhead(under)
    kept = opened.vertices[opened.faces][..., 2].mean(axis=1)
    assert not ((kept > 1.54) & (kept < 1.56)).any(), "the side of the beam that faces down is gone"
    assert ((kept > 0.39) & (kept < 0.41)).any()
    reversed_mesh = replace(under, faces=under.faces[:, ::-1].copy())
    assert len(without_overhead(reversed_mesh).faces) == len(under.faces), "a mesh with its floor facing down stays"


def test_floor_is_found_below_strays_and_pictures_leave_arguments_alone() -> None:
    room = furnished_room()
    strays = np.float32([[1.0, 1.0, -2.0]] * 3)
    mesh = replace(room, vertices=np.concatenate([room.vertices, strays]))
    before = mesh.vertices.copy()
    assert floor_height(mesh) == pytest.approx(0.0, abs=0.02)
    top_down(mesh, size=32)
    np.testing.assert_array_equal(mesh.vertices, before)


def test_points_alone_are_pictured() -> None:
    points = quad(z=0.0, color=(0, 0, 0))
    grid = np.stack(np.meshgrid(np.linspace(0, 3, 90), np.linspace(0, 2, 60)), -1).reshape(-1, 2)
    mesh = replace(
        points,
        vertices=np.float32(np.column_stack([grid, np.zeros(len(grid))])),
        faces=np.zeros((0, 3), np.int32),
        colors=np.full((len(grid), 3), 77, np.uint8),
    )
    image = top_down(mesh, size=90).image
    assert (image[45, 10:80] == 77).all() and (image[0] == 255).all()
