from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray
from tests.render.shapes import furnished_room

from askscan.geometry.cameras import camera_center, project
from askscan.records import Camera, Mesh
from askscan.render.pictures import Picture
from askscan.render.raycast import Renderer
from askscan.render.views import CLEARANCE_M, place_cameras


def without_faces(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=np.zeros((0, 3), np.int32))


def seen(renderer: Renderer, camera: Camera, xyz: ndarray) -> ndarray:
    """Points in the picture with nothing before them."""
    pixels, _ = project(camera, xyz)
    eye = camera_center(camera)
    rays = np.float32(xyz - eye)
    free = renderer.cast(np.tile(np.float32(eye), (len(xyz), 1)), rays).distance > 0.98
    return free & ((pixels > 0) & (pixels < camera.width)).all(axis=1)


@pytest.mark.parametrize("ceiling", [False, True])
def test_cameras_stand_over_free_floor_at_eye_height(ceiling: bool) -> None:
    room = furnished_room(4.0, 5.5, 2.5, ceiling=ceiling)
    centers = np.array([camera_center(camera) for camera in place_cameras(Renderer(room), 6, 64)])
    np.testing.assert_allclose(centers[:, 2], 1.5, atol=1e-6)
    inset = CLEARANCE_M - 1e-9  # a centre comes back from its camera rounded
    assert (centers[:, :2] >= inset).all() and (centers[:, :2] <= np.array([4.0, 5.5]) - inset).all()
    for low, high in (((3.4, 4.0), (4.0, 5.2)), ((0.1, 0.2), (1.7, 2.2)), ((2.2, 2.0), (3.4, 2.8))):
        inside = ((centers[:, :2] > low) & (centers[:, :2] < high)).all(axis=1)  # wardrobe, bed, table
        assert not inside.any()


def test_together_they_show_the_room_and_each_something_new() -> None:
    room = furnished_room(4.0, 5.5, 2.5, ceiling=True)
    renderer = Renderer(room)
    x, y, z = room.vertices.T
    inner = (z > 0.1) & (z < 2.0) & (x > 0.05) & (x < 3.95) & (y > 0.05) & (y < 5.45)
    furniture = room.vertices[inner].astype(np.float64)
    shown = np.array([seen(renderer, camera, furniture) for camera in place_cameras(renderer, 4, 64)])
    assert shown.any(axis=0).mean() > 0.6  # the rest faces walls, or lies under the table
    assert shown[0].mean() > 0.25
    assert shown[:2].any(axis=0).mean() > shown[0].mean() + 0.1


def views(mesh: Mesh, num: int, size: int) -> list[Picture]:
    renderer = Renderer(mesh)
    return [Picture(image=renderer.render(camera), camera=camera) for camera in place_cameras(renderer, num, size)]


def test_the_first_views_do_not_depend_on_how_many_there_are() -> None:
    room = furnished_room()
    few, many = views(room, 2, size=24), views(room, 5, size=24)
    for one, other in zip(few, many, strict=False):
        assert np.array_equal(one.image, other.image)
    matrices = {picture.camera.world_to_camera.tobytes() for picture in many}
    assert len(matrices) == 5


def test_views_of_a_closed_room_show_no_background_and_differ() -> None:
    room = furnished_room(ceiling=True)
    pictures = views(room, 3, size=48)
    for picture in pictures:
        assert picture.image.shape == (48, 48, 3)
        assert (picture.image == 255).all(axis=2).mean() < 0.01
    assert (pictures[0].image != pictures[1].image).mean() > 0.2


def test_points_alone_have_views_too() -> None:
    points = without_faces(furnished_room())
    for picture in views(points, 2, size=32):
        center = camera_center(picture.camera)
        assert np.linalg.norm(points.vertices - center, axis=1).min() > 0.3
        assert (picture.image < 255).any(axis=2).mean() > 0.3


def test_a_scan_with_no_free_place_has_views_all_the_same() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.uniform(0, 1, (3000, 3)).astype(np.float32)
    crowded = Mesh(vertices=cloud, faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    nothing = Mesh(vertices=cloud[:1], faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    for mesh in (crowded, nothing):
        for camera in place_cameras(Renderer(mesh), 2, 16):
            assert np.isfinite(camera.world_to_camera).all()
