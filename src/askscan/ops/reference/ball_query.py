"""Ball query, plainly."""

from __future__ import annotations

import torch
from torch import Tensor

_MAX_PAIRS = 1 << 24
"""Centre-point pairs looked at together: bounds the memory (about 0.5 GB)."""


def ball_query(centers: Tensor, points: Tensor, radius_squared: float, num: int) -> Tensor:
    """See `askscan.ops.ball_query`; the squared radius is already rounded to float32."""
    clouds = [_one_cloud(*pair, radius_squared, num) for pair in zip(centers, points, strict=True)]
    return torch.stack(clouds) if clouds else centers.new_zeros(0, centers.shape[1], num, dtype=torch.int64)


def _one_cloud(centers: Tensor, points: Tensor, radius_squared: float, num: int) -> Tensor:
    n = points.shape[0]
    order = torch.arange(n, dtype=torch.int32, device=points.device)
    rows = []
    for chunk in centers.split(max(1, _MAX_PAIRS // n)):
        dx, dy, dz = (chunk[:, None, axis] - points[None, :, axis] for axis in range(3))
        hit = (dx * dx + dy * dy) + dz * dz < radius_squared
        found = torch.where(hit, order, n).topk(min(num, n), dim=1, largest=False).values
        found = torch.nn.functional.pad(found, (0, num - found.shape[1]), value=n)
        first = found[:, :1] % n  # an empty ball gives index 0
        rows.append(torch.where(found == n, first, found))
    return torch.cat(rows).long() if rows else order.new_zeros(0, num).long()
