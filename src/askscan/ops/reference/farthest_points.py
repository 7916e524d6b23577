"""Farthest point sampling, plainly."""

from __future__ import annotations

import torch
from torch import Tensor


def farthest_points(xyz: Tensor, num: int) -> Tensor:
    """See `askscan.ops.farthest_points`."""
    b, n, _ = xyz.shape
    out = torch.zeros(b, num, dtype=torch.int64, device=xyz.device)
    x, y, z = xyz.unbind(-1)
    nearest = torch.full((b, n), torch.inf, device=xyz.device)
    last = out[:, :1]
    for step in range(1, num):
        dx, dy, dz = (axis - axis.gather(1, last) for axis in (x, y, z))
        # The sum order is part of the contract: every implementation rounds alike.
        nearest = torch.minimum(nearest, (dx * dx + dy * dy) + dz * dz)
        last = nearest.argmax(dim=1, keepdim=True)  # the first of equal maxima
        out[:, step : step + 1] = last
    return out
