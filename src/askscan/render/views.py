"""Perspective pictures from inside a room: from its upper corners, and at eye height, looking across."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.geometry.cameras import look_at
from askscan.records import Camera, Mesh
from askscan.render.pictures import Picture
from askscan.render.raycast import Renderer
from askscan.render.topdown import CEILING_GAP_M, floor_height, room_bounds

VIEW_SIZE = 224
"""Pixels; what CLIP's towers look at."""

EYE_HEIGHT_M = 1.6
CORNER_HEIGHT_M = 2.2
TARGET_HEIGHT_M = 0.7
FIELD_OF_VIEW_RAD = np.radians(75.0)
CLEARANCE_M = 0.35
"""Free space around a camera."""

_GRID = 14
_NUM_DIRECTIONS = 12


def views(mesh: Mesh, num: int = 4, *, size: int = VIEW_SIZE, supersample: int = 2) -> tuple[Picture, ...]:
    """Square perspective pictures from inside a room, as far apart as its free floor allows.

    Args:
        mesh: aligned metres, z up.
        num: pictures; odd ones are from eye height, even ones from under the ceiling.
        size: pixels.
        supersample: rays per pixel and axis.
    """
    renderer = Renderer(mesh)
    cameras = place_cameras(renderer, num, size)
    return tuple(Picture(image=renderer.render(camera, supersample=supersample), camera=camera) for camera in cameras)


def place_cameras(renderer: Renderer, num: int, size: int) -> tuple[Camera, ...]:
    """Cameras over free floor, each as far as possible from the ones before, looking at the room's middle."""
    mesh = renderer.mesh
    floor = floor_height(mesh)
    low, high = room_bounds(mesh, floor + EYE_HEIGHT_M)
    top = float(np.percentile(mesh.vertices[:, 2], 99.5, method="higher")) if len(mesh.vertices) else floor
    heights = [min(height, max(top - floor - CEILING_GAP_M, 0.5)) for height in (CORNER_HEIGHT_M, EYE_HEIGHT_M)]
    spots = _free_spots(renderer, floor, floor + heights[0], low, high)
    middle = np.array([*np.median(spots, axis=0), floor + TARGET_HEIGHT_M])
    # From the middle itself a room looks like its floor.
    apart = np.linalg.norm(spots - middle[:2], axis=1)
    spots = spots[apart >= np.percentile(apart, 40)]
    cameras = []
    distance = np.full(len(spots), np.inf)
    first = np.linalg.norm(spots - middle[:2], axis=1)
    for i in range(num):
        chosen = int(np.argmax(first if i == 0 else distance))
        distance = np.minimum(distance, np.linalg.norm(spots - spots[chosen], axis=1))
        eye = np.array([*spots[chosen], floor + heights[i % 2]])
        cameras.append(look_at(eye, middle, field_of_view_rad=FIELD_OF_VIEW_RAD, width=size, height=size))
    return tuple(cameras)


def _free_spots(
    renderer: Renderer, floor: float, camera_z: float, low: Float[ndarray, "3"], high: Float[ndarray, "3"]
) -> Float[ndarray, "n 2"]:
    """Places from which a camera sees the floor below and touches nothing; those of a plain grid where none is free."""
    inset = np.minimum(CLEARANCE_M, 0.25 * (high - low)[:2])
    axes = [np.linspace(low[i] + inset[i], high[i] - inset[i], _GRID) for i in range(2)]
    spots = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    if not renderer.can_cast:
        return spots
    eyes = np.column_stack([spots, np.full(len(spots), camera_z)]).astype(np.float32)
    down = np.broadcast_to(np.array([0, 0, -1], np.float32), eyes.shape)
    drop = renderer.cast(eyes, down).distance
    angle = np.arange(_NUM_DIRECTIONS) * (2 * np.pi / _NUM_DIRECTIONS)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)]).astype(np.float32)
    around = renderer.cast(np.repeat(eyes, len(ring), axis=0), np.tile(ring, (len(eyes), 1)))
    clear = around.distance.reshape(len(eyes), -1).min(axis=1) > 0.8 * CLEARANCE_M
    # Something of the room must lie below (outside its walls nothing does), and nothing right under the lens.
    inside = np.isfinite(drop) & (drop > 0.5) & (drop < camera_z - floor + 0.5)
    free = clear & inside
    return spots[free] if free.any() else spots[inside] if inside.any() else spots
