"""Spatially ordered clouds on the CPU, as in `ops/cuda/spatial.cu`: a path of cells, cut into buckets with boxes.

Compiled code here keeps float32 and the contract's sum order: numba without fastmath fuses and reorders nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from askscan.compiling import compiled as compiled

BUCKET = 32
"""Points of a bucket: small enough to skip most of the cloud, large enough that testing boxes stays cheap."""

_BITS = 15
_Result = TypeVar("_Result")


def for_each_cloud(work: Callable[[int], _Result], b: int) -> list[_Result]:
    """Runs `work(cloud)` for every cloud of a batch, in as many threads as torch may use."""
    threads = min(b, torch.get_num_threads())
    if threads <= 1:
        return [work(cloud) for cloud in range(b)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(b)))


@compiled
def squared_distance(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> float:
    """Float32 squared distance in the contract's sum order."""
    dx, dy, dz = ax - bx, ay - by, az - bz
    return (dx * dx + dy * dy) + dz * dz


@compiled
def box_distance(boxes: np.ndarray, k: int, x: float, y: float, z: float) -> float:
    """Lower bound of the computed squared distance from a point to any point of a box (rounding is monotone)."""
    zero = np.float32(0)
    dx = max(max(boxes[k, 0] - x, x - boxes[k, 3]), zero)
    dy = max(max(boxes[k, 1] - y, y - boxes[k, 4]), zero)
    dz = max(max(boxes[k, 2] - z, z - boxes[k, 5]), zero)
    return (dx * dx + dy * dy) + dz * dz


@compiled
def _plan(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Halves the longest edge of the cloud's box again and again.

    Returns:
        Low corner (3,), cells per metre (3,), bits of each axis (3,), and the axis of each halving.
    """
    low, edge = np.empty(3, np.float32), np.empty(3, np.float32)
    for a in range(3):
        low[a] = xyz[:, a].min()
        edge[a] = xyz[:, a].max() - low[a]
    axis, bits, left = np.empty(_BITS, np.int64), np.zeros(3, np.int64), edge.copy()
    for level in range(_BITS):
        axis[level] = np.argmax(left)
        bits[axis[level]] += 1
        left[axis[level]] *= np.float32(0.5)
    scale = np.zeros(3, np.float32)
    for a in range(3):
        if edge[a] > 0:
            scale[a] = np.float32(1 << bits[a]) / edge[a]
    return low, scale, bits, axis


@compiled
def _cells(xyz: np.ndarray) -> np.ndarray:
    """Place of each point's cell (n,) on the path."""
    low, scale, bits, axis = _plan(xyz)
    cells = np.empty(len(xyz), np.int64)
    here, left = np.empty(3, np.int64), np.empty(3, np.int64)
    for i in range(len(xyz)):
        for a in range(3):
            here[a] = min(max(np.int64((xyz[i, a] - low[a]) * scale[a]), 0), (1 << bits[a]) - 1)
            left[a] = bits[a]
        code = 0
        for a in axis:
            left[a] -= 1
            code = code * 2 + ((here[a] >> left[a]) & 1)
        cells[i] = code
    return cells


@compiled
def sort_points(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders one cloud (n, 3) along its path of cells and cuts it into buckets.

    Returns:
        Points in order as (3, n) float32, their original indices (n,) int64, and the buckets' boxes (k, 6) float32.
    """
    n, cells = xyz.shape[0], _cells(xyz)
    place = np.zeros((1 << _BITS) + 1, np.int64)
    for cell in cells:
        place[cell + 1] += 1
    place = np.cumsum(place)
    points, order = np.empty((3, n), np.float32), np.empty(n, np.int64)
    for i in range(n):
        to = place[cells[i]]
        place[cells[i]] += 1
        points[0, to], points[1, to], points[2, to], order[to] = xyz[i, 0], xyz[i, 1], xyz[i, 2], i
    num = (n + BUCKET - 1) // BUCKET
    boxes = np.empty((num, 6), np.float32)
    for k in range(num):
        for a in range(3):
            part = points[a, k * BUCKET : min(n, (k + 1) * BUCKET)]
            boxes[k, a], boxes[k, a + 3] = part.min(), part.max()
    return points, order, boxes
