from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askscan.geometry.cameras import camera_center, look_at, pixel_rays, project, top_down_camera, unproject
from askscan.records import Camera

UP, RIGHT = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
BOUNDS = np.array([[-1.0, 2.0, 0.0], [3.0, 5.0, 2.0]])


def cameras() -> list[Camera]:
    return [
        look_at(np.array([1.0, 2.0, 1.5]), np.array([3.0, -1.0, 0.5]), field_of_view_rad=1.2, width=64, height=48),
        top_down_camera(BOUNDS, 100),
        top_down_camera(BOUNDS, 100, orthographic=False),
    ]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.integers(0, 2))
def test_unproject_undoes_project(seed: int, which: int) -> None:
    camera, rng = cameras()[which], np.random.default_rng(seed)
    depth = rng.uniform(0.2, 9.0, 20)
    pixels = rng.uniform(0.0, 60.0, (20, 2))
    again, depth_again = project(camera, unproject(camera, pixels, depth))
    np.testing.assert_allclose(again, pixels, atol=1e-8)
    np.testing.assert_allclose(depth_again, depth, atol=1e-9)


def test_orthographic_top_down_has_x_right_y_up_and_one_scale() -> None:
    camera = top_down_camera(BOUNDS, 100, margin=0.0)
    assert camera.focal == pytest.approx(100 / 4.0)
    pixels, depth = project(camera, np.array([[-1.0, 3.5, 0.0], [3.0, 3.5, 2.0], [1.0, 5.5, 1.0]]))
    np.testing.assert_allclose(pixels, [[0.0, 50.0], [100.0, 50.0], [50.0, 0.0]], atol=1e-9)
    assert depth[0] > depth[2] > depth[1] > 0


def test_perspective_top_down_fits_its_upper_plane_and_shrinks_the_floor() -> None:
    camera = top_down_camera(BOUNDS, 100, orthographic=False, margin=0.0)
    pixels, _ = project(camera, np.array([[-1.0, 3.5, 2.0], [-1.0, 3.5, 0.0]]))
    np.testing.assert_allclose(pixels[0], [0.0, 50.0], atol=1e-9)
    assert 5.0 < pixels[1, 0] < 40.0


def test_look_at_puts_the_target_in_the_middle_and_up_is_up() -> None:
    eye, target = np.array([0.0, 0.0, 1.0]), np.array([0.0, 4.0, 1.0])
    camera = look_at(eye, target, field_of_view_rad=np.pi / 2, width=80, height=60)
    pixels, depth = project(camera, np.array([target, target + UP, target + RIGHT, [0.0, -1.0, 1.0]]))
    np.testing.assert_allclose(pixels[:3], [[40, 30], [40, 20], [50, 30]], atol=1e-9)
    assert depth[0] == pytest.approx(4.0)
    assert np.isnan(pixels[3]).all()
    np.testing.assert_allclose(camera_center(camera), eye, atol=1e-12)
    with pytest.raises(ValueError, match="straight above"):
        look_at(eye, eye + UP, field_of_view_rad=1.0, width=8, height=8)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_pixel_rays_pass_through_the_middles_of_their_pixels(which: int) -> None:
    camera = cameras()[which]
    origins, directions = pixel_rays(camera)
    assert len(origins) == camera.width * camera.height
    pixels, depth = project(camera, (origins + 2.5 * directions).astype(np.float64))
    expected = np.stack(np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5), -1).reshape(-1, 2)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)
    np.testing.assert_allclose(depth, 2.5, atol=1e-5)
