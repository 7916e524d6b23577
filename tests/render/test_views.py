from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.render.shapes import furnished_room

from askscan.geometry.cameras import camera_center, project
from askscan.render.raycast import Renderer
from askscan.render.views import place_cameras, views


def test_cameras_stand_inside_the_room_apart_and_look_into_it() -> None:
    room = furnished_room(4.0, 5.5, 2.5, ceiling=True)
    cameras = place_cameras(Renderer(room), 4, 64)
    centers = np.array([camera_center(camera) for camera in cameras])
    assert (centers[:, :2] > 0.2).all() and (centers[:, :2] < [3.8, 5.3]).all()
    assert (centers[::2, 2] > 2.0).all() and (centers[1::2, 2] < 1.7).all() and (centers[:, 2] < 2.4).all()
    distances = np.linalg.norm(centers[:, None, :2] - centers[None, :, :2], axis=2)[np.triu_indices(4, 1)]
    assert distances.min() > 1.0
    for camera in cameras:
        pixels, depth = project(camera, np.array([[2.0, 2.75, 0.7]]))
        assert depth[0] > 0 and (pixels > 0).all() and (pixels < 64).all()


def test_views_of_a_closed_room_show_no_background_and_differ() -> None:
    room = furnished_room(ceiling=True)
    pictures = views(room, 3, size=48)
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.image.shape == (48, 48, 3)
        assert (picture.image == 255).all(axis=2).mean() < 0.01
    assert (pictures[0].image != pictures[1].image).mean() > 0.2


def test_points_alone_have_views_too() -> None:
    room = furnished_room()
    points = replace(room, faces=np.zeros((0, 3), np.int32))
    (picture,) = views(points, 1, size=32)
    assert (picture.image < 255).any(axis=2).mean() > 0.3
