"""Cameras: metres to pixels and back, rays of pixels, cameras above a scene and inside it.

Pixel coordinates are continuous, (x, y) from the picture's upper left corner: the middle of column i is i + 0.5.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from askscan.records import Camera

TOP_DOWN_FIELD_OF_VIEW_RAD = np.radians(40.0)
"""Of a perspective camera above a scene: wide enough to show the inner side of walls, narrow enough to hide little."""


def project(camera: Camera, xyz: Float[ndarray, "*n 3"]) -> tuple[Float[ndarray, "*n 2"], Float[ndarray, "*n"]]:
    """Pixels and depths of points.

    Args:
        camera: the camera.
        xyz: points, aligned metres.

    Returns:
        Pixels (x, y) and depths in metres along the viewing axis. Points that a perspective camera cannot see because
        they lie beside or behind it (depth <= 0) have NaN pixels.
    """
    local = xyz @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    depth = local[..., 2]
    scale = np.full_like(depth, camera.focal)
    if not camera.orthographic:
        scale = np.divide(camera.focal, depth, out=np.full_like(depth, np.nan), where=depth > 0)
    return local[..., :2] * scale[..., None] + camera.principal_point, depth


def unproject(camera: Camera, pixels: Float[ndarray, "*n 2"], depth: Float[ndarray, "*n"]) -> Float[ndarray, "*n 3"]:
    """Points (aligned metres) seen at `pixels` at `depth` metres: the inverse of `project`."""
    scale = np.full_like(depth, 1.0 / camera.focal) if camera.orthographic else depth / camera.focal
    local = np.concatenate([(pixels - camera.principal_point) * scale[..., None], depth[..., None]], axis=-1)
    return (local - camera.world_to_camera[:3, 3]) @ camera.world_to_camera[:3, :3]


def camera_center(camera: Camera) -> Float[ndarray, "3"]:
    """Where the camera stands, aligned metres (an orthographic camera: the middle of its picture plane)."""
    return -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]


def pixel_rays(
    camera: Camera, supersample: int = 1, rows: range | None = None
) -> tuple[Float32[ndarray, "n 3"], Float32[ndarray, "n 3"]]:
    """Rays through the middles of pixels, row by row.

    Args:
        camera: the camera.
        supersample: rays per pixel and axis.
        rows: pixel rows; None: all.

    Returns:
        Origins and directions (float32); a direction's length is one metre of depth.
    """
    rows = rows if rows is not None else range(camera.height)
    columns = (np.arange(camera.width * supersample) + 0.5) / supersample - camera.width / 2
    lines = (np.arange(rows.start * supersample, rows.stop * supersample) + 0.5) / supersample - camera.height / 2
    rotation, center = camera.world_to_camera[:3, :3], camera_center(camera)
    start, forward = (center, np.zeros(3)) if camera.orthographic else (np.zeros(3), rotation[2])
    across = columns[None, :, None] / camera.focal * rotation[0]
    moving = (start + forward + lines[:, None, None] / camera.focal * rotation[1] + across).astype(np.float32)
    moving = moving.reshape(-1, 3)
    fixed = np.broadcast_to((rotation[2] if camera.orthographic else center).astype(np.float32), moving.shape)
    return (moving, fixed) if camera.orthographic else (fixed, moving)


def look_at(
    eye: Float[ndarray, "3"], target: Float[ndarray, "3"], *, field_of_view_rad: float, width: int, height: int
) -> Camera:
    """A perspective camera at `eye` that looks at `target`, upright against z.

    Raises:
        ValueError: `eye` and `target` are one above the other, or the same.
    """
    forward = (target - eye).astype(np.float64)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-9:
        raise ValueError("look_at needs a target that is not straight above or below the eye")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 0.5 * max(width, height) / np.tan(field_of_view_rad / 2)
    return _camera(rotation, eye, orthographic=False, focal=float(focal), width=width, height=height)


def top_down_camera(
    bounds: Float[ndarray, "2 3"], size: int, *, orthographic: bool = True, margin: float = 0.03
) -> Camera:
    """A square camera straight above a box: +x to the right, +y up in the picture.

    Args:
        bounds: lowest and highest corner of what must be seen, aligned metres.
        size: width and height of the picture, pixels.
        orthographic: True: one scale everywhere; False: a perspective camera that also sees the inner side of walls.
        margin: part of the picture left free on each side of the longer extent.
    """
    low, high = bounds.astype(np.float64)
    extent = max(float((high - low)[:2].max()), 1e-3) / (1.0 - 2.0 * margin)
    rotation = np.diag([1.0, -1.0, -1.0])
    center = (low + high) / 2
    if orthographic:
        center[2] = high[2] + 1.0
        return _camera(rotation, center, orthographic=True, focal=size / extent, width=size, height=size)
    half = np.tan(TOP_DOWN_FIELD_OF_VIEW_RAD / 2)
    center[2] = high[2] + extent / 2 / half
    return _camera(rotation, center, orthographic=False, focal=float(size / 2 / half), width=size, height=size)


def _camera(
    rotation: Float[ndarray, "3 3"], center: Float[ndarray, "3"], *, orthographic: bool, focal: float, width: int,
    height: int,
) -> Camera:  # fmt: skip
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ center
    return Camera(world_to_camera=matrix, orthographic=orthographic, focal=focal, width=width, height=height)
