"""Three nearest points on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from askscan.ops.cpu.buckets import compiled, for_each_cloud, squared_distance


def three_nearest(query: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """See `askscan.ops.three_nearest`."""
    queries, clouds = query.detach().contiguous().numpy(), points.detach().contiguous().numpy()
    squared, index = np.empty(queries.shape, np.float32), np.empty(queries.shape, np.int64)
    for_each_cloud(lambda cloud: _one_cloud(queries[cloud], clouds[cloud], squared[cloud], index[cloud]), len(clouds))
    return torch.from_numpy(squared).sqrt_(), torch.from_numpy(index)


@compiled
def _one_cloud(query: np.ndarray, xyz: np.ndarray, squared: np.ndarray, index: np.ndarray) -> None:
    for row in range(query.shape[0]):
        x, y, z = query[row, 0], query[row, 1], query[row, 2]
        d0 = d1 = d2 = np.float32(np.inf)
        i0 = i1 = i2 = -1
        for i in range(xyz.shape[0]):
            d = squared_distance(xyz[i, 0], xyz[i, 1], xyz[i, 2], x, y, z)
            if d < d2:  # strictly: of equal distances the lowest index stays
                if d < d1:
                    d2, i2 = d1, i1
                    if d < d0:
                        d1, i1, d0, i0 = d0, i0, d, i
                    else:
                        d1, i1 = d, i
                else:
                    d2, i2 = d, i
        # Fewer than three points: the nearest repeats.
        squared[row, 0], index[row, 0] = d0, i0
        squared[row, 1], index[row, 1] = (d1, i1) if i1 >= 0 else (d0, i0)
        squared[row, 2], index[row, 2] = (d2, i2) if i2 >= 0 else (d0, i0)
