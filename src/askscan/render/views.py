"""Perspective pictures from inside a room at eye height, which together show as much of it as they can."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy import ndarray

from askscan.geometry.cameras import look_at, project
from askscan.records import Camera
from askscan.render.raycast import Renderer
from askscan.render.topdown import CEILING_GAP_M, floor_height, room_bounds

VIEW_SIZE = 224
"""Pixels; what CLIP's towers look at."""

EYE_HEIGHT_M = 1.5
PITCH_RAD = np.radians(-18.0)
FIELD_OF_VIEW_RAD = np.radians(78.0)

CLEARANCE_M = 0.4
"""Free space around a camera."""

NEAR_M = 1.3
"""What is nearer stands in the way."""

CELL_M = 0.4
"""Edge of the cells of space that pictures show."""

SEEN_AGAIN = 0.2
"""Worth of a cell in another picture, for each one that shows it already."""

_GRID = 10
_NUM_HEADINGS = 16
_NUM_AZIMUTHS = 48
_LOWEST_RAD, _HIGHEST_RAD, _NUM_ELEVATIONS = np.radians(-75.0), np.radians(30.0), 16
_MAX_POINTS = 10_000


def place_cameras(renderer: Renderer, num: int, size: int) -> tuple[Camera, ...]:
    """Cameras over free floor, each where it shows most of what the ones before do not.

    From each place of a grid one looks around once, coarsely; each view is then a window of such a panorama. Its worth
    is that of the cells of space in it (`_worth`), less the share of it that is blocked by something close. The first
    ones stay the same when more are asked for. Pictures are `size` pixels wide and high.
    """
    mesh = renderer.mesh
    floor = floor_height(mesh)
    top = float(np.percentile(mesh.vertices[:, 2], 99.5, method="higher")) if len(mesh.vertices) else floor
    eye_z = floor + min(EYE_HEIGHT_M, max(top - floor - CEILING_GAP_M, 0.5))
    bounds = room_bounds(mesh, eye_z)
    rays = _panorama_rays()
    eyes = _grid(bounds, eye_z)
    distance = _look_around(renderer, eyes, rays)
    free = _free(eyes, distance, rays, floor)
    eyes, distance = eyes[free], distance[free]
    headings = np.arange(_NUM_HEADINGS) * (2 * np.pi / _NUM_HEADINGS)
    windows = np.stack([_in_picture(_camera(np.zeros(3), heading, size), rays) for heading in headings])

    hits = eyes[:, None] + np.where(np.isfinite(distance), distance, 0.0)[..., None] * rays
    shown, worth = _cells(hits, np.isfinite(distance), windows, bounds, floor)
    blocked = (distance < NEAR_M) & (hits[..., 2] > floor + 0.3)
    clear = 1.0 - (blocked.astype(np.float32) @ windows.T / windows.sum(axis=1)).reshape(-1)
    chosen: list[int] = []
    for _ in range(num):
        chosen.append(int(np.argmax((shown @ worth) * clear)))
        worth = np.where(shown[chosen[-1]] > 0, SEEN_AGAIN * worth, worth)
        clear[chosen[-1]] = 0.0
    return tuple(_camera(eyes[view // _NUM_HEADINGS], headings[view % _NUM_HEADINGS], size) for view in chosen)


def _camera(eye: Float[ndarray, "3"], heading_rad: float, size: int) -> Camera:
    forward = np.array([np.cos(heading_rad), np.sin(heading_rad), np.tan(PITCH_RAD)])
    return look_at(eye, eye + forward, field_of_view_rad=FIELD_OF_VIEW_RAD, width=size, height=size)


def _in_picture(camera: Camera, xyz: Float[ndarray, "n 3"]) -> Bool[ndarray, "n"]:
    pixels, _ = project(camera, xyz)
    return np.all((pixels > 0) & (pixels < camera.width), axis=1)  # NaN behind the camera: False


def _panorama_rays() -> Float[ndarray, "r 3"]:
    """Unit directions all around, from almost straight down to above the horizon; the lowest ones first."""
    azimuth = np.arange(_NUM_AZIMUTHS) * (2 * np.pi / _NUM_AZIMUTHS)
    elevation = np.linspace(_LOWEST_RAD, _HIGHEST_RAD, _NUM_ELEVATIONS)[:, None]
    across = np.cos(elevation)
    rays = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation) + 0 * azimuth], axis=-1)
    return rays.reshape(-1, 3)


def _grid(bounds: Float[ndarray, "2 3"], eye_z: float) -> Float[ndarray, "e 3"]:
    low, high = bounds[:, :2]
    inset = np.minimum(CLEARANCE_M, 0.25 * (high - low))
    axes = [np.linspace(low[i] + inset[i], high[i] - inset[i], _GRID) for i in range(2)]
    spots = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    return np.column_stack([spots, np.full(len(spots), eye_z)])


def _look_around(
    renderer: Renderer, eyes: Float[ndarray, "e 3"], rays: Float[ndarray, "r 3"]
) -> Float32[ndarray, "e r"]:
    """Distances to what is in each direction from each place; infinite where nothing is."""
    if renderer.can_cast:
        origins = np.repeat(eyes.astype(np.float32), len(rays), axis=0)
        return renderer.cast(origins, np.tile(rays.astype(np.float32), (len(eyes), 1))).distance.reshape(len(eyes), -1)
    vertices = renderer.mesh.vertices
    points = vertices[:: max(1, len(vertices) // _MAX_POINTS)].astype(np.float64)
    found = np.full((len(eyes), len(rays)), np.inf, np.float32)
    step = (_HIGHEST_RAD - _LOWEST_RAD) / (_NUM_ELEVATIONS - 1)
    for row, eye in enumerate(eyes):
        x, y, z = (points - eye).T
        flat = np.hypot(x, y)
        elevation = np.maximum(np.round((np.arctan2(z, flat) - _LOWEST_RAD) / step).astype(np.int64), 0)
        azimuth = np.round(np.arctan2(y, x) * (_NUM_AZIMUTHS / (2 * np.pi))).astype(np.int64) % _NUM_AZIMUTHS
        seen = elevation < _NUM_ELEVATIONS
        bins = elevation[seen] * _NUM_AZIMUTHS + azimuth[seen]
        np.minimum.at(found[row], bins, np.hypot(flat, z)[seen].astype(np.float32))
    return found


def _free(
    eyes: Float[ndarray, "e 3"], distance: Float32[ndarray, "e r"], rays: Float[ndarray, "r 3"], floor: float
) -> Bool[ndarray, "e"]:
    """Places with nothing close and floor below; where there are none, those with anything below, or all."""
    clear = distance.min(axis=1) > CLEARANCE_M
    below = distance[:, :_NUM_AZIMUTHS]
    height = eyes[:, 2:] + below * rays[:_NUM_AZIMUTHS, 2] - floor
    on_floor = np.isfinite(below) & (np.abs(height) < 0.25)
    for choice in (
        clear & (on_floor.mean(axis=1) > 0.9),
        clear & (on_floor.mean(axis=1) > 0.5),
        clear & np.isfinite(below).any(axis=1),
        clear,
    ):
        if choice.any():
            return choice
    return np.ones(len(eyes), dtype=bool)


def _cells(
    hits: Float[ndarray, "e r 3"],
    met: Bool[ndarray, "e r"],
    windows: Bool[ndarray, "h r"],
    bounds: Float[ndarray, "2 3"],
    floor: float,
) -> tuple[Float32[ndarray, "views cells"], Float32[ndarray, "cells"]]:
    """Which cells of space each view (of each place, each heading) shows, as 0 and 1, and what a cell is worth."""
    index = np.floor((hits[met] - bounds[0]) / CELL_M).astype(np.int64)
    _, first, found = np.unique(index, axis=0, return_index=True, return_inverse=True)
    cell = np.full(met.shape, -1)
    cell[met] = found.reshape(-1)
    shown = np.zeros((len(hits), len(windows), len(first) + 1), np.float32)
    for place, heading in np.ndindex(shown.shape[:2]):
        shown[place, heading, cell[place, windows[heading]]] = 1.0  # the last cell is where nothing was met
    return shown[..., :-1].reshape(-1, len(first)), _worth(hits[met][first], bounds, floor)


def _worth(xyz: Float[ndarray, "n 3"], bounds: Float[ndarray, "2 3"], floor: float) -> Float32[ndarray, "n"]:
    """Furniture before what hangs on the outer walls, and that before floor and ceiling."""
    height = xyz[:, 2] - floor
    wall = (np.minimum(xyz - bounds[0], bounds[1] - xyz)[:, :2] < 0.15).any(axis=1)
    worth = np.where(wall, 0.3, 1.0)
    return np.where((height < 0.15) | (height > 2.1), 0.1, worth).astype(np.float32)
