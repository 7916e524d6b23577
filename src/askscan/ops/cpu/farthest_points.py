"""Farthest point sampling on the CPU: exact, skipping the buckets that a new centre cannot change."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from askscan.ops.cpu.buckets import BUCKET, box_distance, compiled, for_each_cloud, sort_points, squared_distance


def farthest_points(xyz: Tensor, num: int) -> Tensor:
    """See `askscan.ops.farthest_points`."""
    clouds = xyz.detach().contiguous().numpy()
    rows = for_each_cloud(lambda cloud: _one_cloud(clouds[cloud], num), len(clouds))
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, num, dtype=torch.int64)


@compiled
def _one_cloud(xyz: np.ndarray, num: int) -> np.ndarray:
    n = xyz.shape[0]
    points, order, boxes = sort_points(xyz)
    px, py, pz = points[0], points[1], points[2]
    nearest = np.full(n, np.float32(np.inf))
    best = np.full(len(boxes), np.float32(np.inf))  # largest distance of each bucket
    where = np.zeros(len(boxes), np.int64)  # its place in the order
    out = np.zeros(num, np.int64)
    x, y, z = xyz[0, 0], xyz[0, 1], xyz[0, 2]
    for step in range(1, num):
        top, top_place, top_index = np.float32(-1), 0, n
        for k in range(len(boxes)):
            if box_distance(boxes, k, x, y, z) < best[k]:
                first, last = k * BUCKET, min(n, (k + 1) * BUCKET)
                for i in range(first, last):
                    nearest[i] = min(nearest[i], squared_distance(px[i], py[i], pz[i], x, y, z))
                high = nearest[first]
                for i in range(first + 1, last):
                    high = max(high, nearest[i])
                index = n
                for i in range(first, last):
                    if nearest[i] == high and order[i] < index:
                        index, where[k] = order[i], i
                best[k] = high
            if best[k] > top or (best[k] == top and order[where[k]] < top_index):
                top, top_place = best[k], where[k]
                top_index = order[top_place]
        out[step] = top_index
        x, y, z = px[top_place], py[top_place], pz[top_place]
    return out
