"""Spatially ordered clouds on the CPU, the same idea as `ops/cuda/spatial.cu`: a path of cells, cut into buckets with boxes.

Compiled code here keeps float32 and the contract's sum order: numba without fastmath fuses and reorders nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numba import njit

BUCKET = 32
"""Points of a bucket: small enough to skip most of the cloud, large enough that testing boxes stays cheap."""

_BITS = 15
_Result = TypeVar("_Result")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles with numba, outside the GIL, and keeps the machine code on disk where a folder for it can be written."""
    plain = inspect.unwrap(function)  # without the type checks that tests put around every function
    try:
        return njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # no writable cache folder
        return njit(nogil=True)(plain)


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
def sort_points(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders one cloud (n, 3) along halved cells, longest edge first.

    Returns:
        Points in order as (3, n) float32, their original indices (n,) int64, and the buckets' boxes (k, 6) float32.
    """
    n = xyz.shape[0]
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
    key, count = np.empty(n, np.int64), np.zeros((1 << _BITS) + 1, np.int64)
    cell = np.empty(3, np.int64)
    for i in range(n):
        for a in range(3):
            cell[a] = min(max(np.int64((xyz[i, a] - low[a]) * scale[a]), 0), (1 << bits[a]) - 1)
        rest_x, rest_y, rest_z, code = bits[0], bits[1], bits[2], 0
        for level in range(_BITS):
            if axis[level] == 0:
                rest_x -= 1
                bit = cell[0] >> rest_x
            elif axis[level] == 1:
                rest_y -= 1
                bit = cell[1] >> rest_y
            else:
                rest_z -= 1
                bit = cell[2] >> rest_z
            code = code * 2 + (bit & 1)
        key[i] = code
        count[code + 1] += 1
    place = np.cumsum(count)
    points, order = np.empty((3, n), np.float32), np.empty(n, np.int64)
    for i in range(n):
        to = place[key[i]]
        place[key[i]] += 1
        points[0, to], points[1, to], points[2, to], order[to] = xyz[i, 0], xyz[i, 1], xyz[i, 2], i
    num = (n + BUCKET - 1) // BUCKET
    boxes = np.empty((num, 6), np.float32)
    for k in range(num):
        for a in range(3):
            part = points[a, k * BUCKET : min(n, (k + 1) * BUCKET)]
            boxes[k, a], boxes[k, a + 3] = part.min(), part.max()
    return points, order, boxes
