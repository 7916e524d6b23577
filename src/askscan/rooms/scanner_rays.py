"""Which surface points a hand-held scanner sees: short marches through a coarse occupancy grid, compiled by numba."""

from __future__ import annotations

import numpy as np

from askscan.compiling import compiled

VOXEL_M = 0.06
_SKIN_M = 0.002
"""Points less deep than this in another solid lie on its surface."""
_LEAVE_M = 0.08
"""Rays start this far above the surface, so that they do not hit it."""
_NEAR_M = 0.1
"""Rays pass freely for this long: a neighbour that shares a voxel hides nothing."""


@compiled
def seen(
    xyz: np.ndarray, normals: np.ndarray, two_sided: np.ndarray, cameras: np.ndarray, occupied: np.ndarray
) -> np.ndarray:
    """Mark the points that at least one camera sees from the front.

    Args:
        xyz: (v, 3) points in metres, the room's corner at the origin.
        normals: (v, 3) unit normals.
        two_sided: (v,) points that may be seen from behind too.
        cameras: (c, 3) positions.
        occupied: (x, y, z) voxels of VOXEL_M that hold furniture.

    Returns:
        (v,) bool.
    """
    found = np.zeros(len(xyz), np.bool_)
    for i in range(len(xyz)):
        for c in range(len(cameras)):
            dx, dy, dz = cameras[c, 0] - xyz[i, 0], cameras[c, 1] - xyz[i, 1], cameras[c, 2] - xyz[i, 2]
            far = np.sqrt(dx * dx + dy * dy + dz * dz)
            facing = (dx * normals[i, 0] + dy * normals[i, 1] + dz * normals[i, 2]) / max(far, 1e-6)
            side = 1.0
            if facing < 0.0 and two_sided[i]:
                facing, side = -facing, -1.0
            if facing < 0.12:
                continue
            steps = int(far / (VOXEL_M * 0.8))
            x = xyz[i, 0] + side * _LEAVE_M * normals[i, 0]
            y = xyz[i, 1] + side * _LEAVE_M * normals[i, 1]
            z = xyz[i, 2] + side * _LEAVE_M * normals[i, 2]
            free = True
            first = 1 + int(_NEAR_M / (VOXEL_M * 0.8))
            for k in range(first, steps - 1):
                t = k / steps
                a = int((x + dx * t) / VOXEL_M)
                b = int((y + dy * t) / VOXEL_M)
                h = int((z + dz * t) / VOXEL_M)
                if 0 <= a < occupied.shape[0] and 0 <= b < occupied.shape[1] and 0 <= h < occupied.shape[2]:  # noqa: SIM102
                    if occupied[a, b, h]:
                        free = False
                        break
            if free:
                found[i] = True
                break
    return found


@compiled
def buried(
    xyz: np.ndarray, solid: np.ndarray, piece: np.ndarray, frame: np.ndarray, half: np.ndarray, round_axes: np.ndarray
) -> np.ndarray:
    """Mark the points that lie inside another solid of the same piece.

    Args:
        xyz: (v, 3) points in metres.
        solid: (v,) solid of each point.
        piece: (s, 2) first and one past the last solid of the piece that a solid belongs to.
        frame: (s, 3, 4) from the room's frame to the solid's own.
        half: (s, 3) half sizes; negative for hollow solids, which bury nothing.
        round_axes: (s,) 0 for boxes, 2 for cylinders, 3 for ellipsoids: leading axes in which it is elliptic.

    Returns:
        (v,) bool.
    """
    found = np.zeros(len(xyz), np.bool_)
    for i in range(len(xyz)):
        for s in range(piece[solid[i], 0], piece[solid[i], 1]):
            if s == solid[i] or half[s, 0] < 0.0:
                continue
            outside, radius = False, 0.0
            for a in range(3):
                at = frame[s, a, 3]
                for b in range(3):
                    at += frame[s, a, b] * xyz[i, b]
                reach = half[s, a] - _SKIN_M
                if abs(at) >= reach:
                    outside = True
                    break
                if a < round_axes[s]:
                    radius += (at / reach) ** 2
            if not outside and radius < 1.0:
                found[i] = True
                break
    return found
