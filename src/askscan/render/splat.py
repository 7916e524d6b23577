"""Points drawn as small squares with a z-buffer: for scans without triangles, and where there is no ray caster."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int32
from numpy import ndarray

from askscan.geometry.cameras import project
from askscan.records import Camera, Mesh

MAX_RADIUS_PIXELS = 9
_FAR = np.iinfo(np.int64).max


def splat(
    xyz: Float[ndarray, "n 3"], camera: Camera, *, spacing_m: float, width: int, height: int
) -> Int32[ndarray, "h w"]:
    """The nearest point in every pixel.

    Args:
        xyz: points, aligned metres.
        camera: camera of `width` x `height` pixels (supersampled ones included).
        spacing_m: distance between neighbours; a point covers a square of this size.
        width: pixels.
        height: pixels.

    Returns:
        Row of `xyz` per pixel, -1 where there is none.
    """
    pixels, depth = project(camera, xyz)
    scale = camera.focal if camera.orthographic else camera.focal / np.maximum(depth, 1e-6)
    near = 0.0 if camera.orthographic else 0.05
    seen = (depth > near) & (pixels > -MAX_RADIUS_PIXELS).all(-1)
    seen &= (pixels < np.array([width, height]) + MAX_RADIUS_PIXELS).all(-1)
    index = np.flatnonzero(seen)
    column, row = np.floor(pixels[index]).astype(np.int64).T
    radius = np.broadcast_to(np.ceil(0.5 * spacing_m * scale - 0.25), depth.shape)[index]
    radius = np.clip(radius, 0, MAX_RADIUS_PIXELS).astype(np.int64)
    # Depth in tenths of a millimetre above the row's number: the smallest key is the nearest point.
    key = ((np.minimum(depth[index], 1e5) * 1e4).astype(np.int64) << 32) | index
    nearest = np.full(width * height, _FAR)
    largest = int(radius.max(initial=0))
    for dy in range(-largest, largest + 1):
        for dx in range(-largest, largest + 1):
            x, y = column + dx, row + dy
            use = (radius >= max(abs(dx), abs(dy))) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
            np.minimum.at(nearest, y[use] * width + x[use], key[use])
    found = np.where(nearest == _FAR, -1, nearest & 0xFFFFFFFF)
    return found.astype(np.int32).reshape(height, width)


def point_spacing(xyz: Float[ndarray, "n 3"]) -> float:
    """Typical distance between neighbours in metres: the 90th percentile of a sample's nearest distances."""
    from scipy.spatial import cKDTree

    if len(xyz) < 2:
        return 0.01
    sample = xyz[:: max(1, len(xyz) // 2000)]
    # The fourth neighbour: scanners leave doubles and uneven rows, which must not open holes.
    distance = cKDTree(xyz).query(sample, k=min(4, len(xyz)))[0][:, -1]
    return float(max(np.percentile(distance, 90), 1e-4))


def surface_points(mesh: Mesh, spacing_m: float) -> tuple[Int32[ndarray, "n"], Float[ndarray, "n 2"]]:
    """Points spread over the triangles of a mesh, about `spacing_m` apart (at most 8 million).

    Returns:
        Triangle of each point, and its weights (u, v) of the second and third corner.
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    density = min(2.0 / spacing_m**2, 8e6 / max(float(area.sum()), 1e-12))
    count = np.ceil(area * density).astype(np.int64)
    face = np.repeat(np.arange(len(area), dtype=np.int32), count)
    # A low-discrepancy sequence covers each triangle evenly and is the same every time.
    number = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    uv = np.stack([(0.5 + number * 0.7548776662466927) % 1.0, (0.5 + number * 0.5698402909980532) % 1.0], axis=1)
    fold = uv.sum(1) > 1
    uv[fold] = 1 - uv[fold]
    return face, uv
