"""Ball query on the CPU over bucket boxes: exact, first neighbours in index order."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from askscan.ops.cpu.buckets import BUCKET, box_distance, compiled, for_each_cloud, sort_points, squared_distance

_MAX_HITS = 512
"""A ball with more hits than this is dense: walking the cloud in index order then ends soon."""


def ball_query(centers: Tensor, points: Tensor, radius_squared: float, num: int) -> Tensor:
    """See `askscan.ops.ball_query`; the squared radius is already rounded to float32."""
    queries, clouds = centers.detach().contiguous().numpy(), points.detach().contiguous().numpy()
    limit = np.float32(radius_squared)
    rows = for_each_cloud(lambda cloud: _one_cloud(queries[cloud], clouds[cloud], limit, num), len(clouds))
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, centers.shape[1], num, dtype=torch.int64)


@compiled
def _scan(xyz: np.ndarray, x: float, y: float, z: float, limit: float, hits: np.ndarray, num: int) -> int:
    found = 0
    for i in range(xyz.shape[0]):
        if found == num:
            break
        if squared_distance(xyz[i, 0], xyz[i, 1], xyz[i, 2], x, y, z) < limit:
            hits[found] = i
            found += 1
    return found


@compiled
def _one_cloud(centers: np.ndarray, xyz: np.ndarray, limit: float, num: int) -> np.ndarray:
    n, m = xyz.shape[0], centers.shape[0]
    points, order, boxes = sort_points(xyz)
    px, py, pz = points[0], points[1], points[2]
    out = np.zeros((m, num), np.int64)
    hits = np.empty(max(_MAX_HITS + BUCKET, num), np.int64)
    for row in range(m):
        x, y, z = centers[row, 0], centers[row, 1], centers[row, 2]
        found = 0
        for k in range(len(boxes)):
            if box_distance(boxes, k, x, y, z) < limit:
                for i in range(k * BUCKET, min(n, (k + 1) * BUCKET)):
                    if squared_distance(px[i], py[i], pz[i], x, y, z) < limit:
                        hits[found] = order[i]
                        found += 1
                if found > _MAX_HITS:
                    break
        if found > _MAX_HITS:
            found = _scan(xyz, x, y, z, limit, hits, num)
        else:
            hits[:found].sort()
        found = min(found, num)
        for s in range(num):
            out[row, s] = 0 if found == 0 else hits[s] if s < found else hits[0]
    return out
