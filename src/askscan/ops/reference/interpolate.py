"""Three nearest points and interpolated features, plainly."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.ops.reference.group import group, group_backward

_MAX_PAIRS = 1 << 24
"""Query-point pairs looked at together: bounds the memory (about 0.5 GB)."""


def three_nearest(query: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """See `askscan.ops.three_nearest`."""
    b, n = points.shape[:2]
    parts = [_nearest(chunk, points) for chunk in query.split(max(1, _MAX_PAIRS // max(1, b * n)), dim=1)]
    return torch.cat([part[0] for part in parts], dim=1), torch.cat([part[1] for part in parts], dim=1)


def _nearest(query: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    dx, dy, dz = (query[:, :, None, axis] - points[:, None, :, axis] for axis in range(3))
    squared = (dx * dx + dy * dy) + dz * dz
    distances, indices = [], []
    for step in range(3):
        if step < points.shape[1]:
            found = squared.argmin(dim=-1, keepdim=True)  # the first of equal minima
            distances.append(squared.gather(-1, found))
            indices.append(found)
            squared = squared.scatter(-1, found, torch.inf)
        else:  # fewer than three points: the nearest repeats
            distances.append(distances[0])
            indices.append(indices[0])
    return torch.cat(distances, dim=-1).sqrt(), torch.cat(indices, dim=-1)


def interpolate(features: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """See `askscan.ops.interpolate`."""
    wide = torch.promote_types(features.dtype, weight.dtype)
    near = group(features, index).to(wide) * weight[..., None].to(wide)
    return near.sum(dim=2).to(features.dtype)


def interpolate_backward(grad: Tensor, index: Tensor, weight: Tensor, n: int) -> Tensor:
    """Gradient (b n c) of `interpolate` for its features."""
    wide = torch.promote_types(grad.dtype, weight.dtype)
    shares = grad[:, :, None, :].to(wide) * weight[..., None].to(wide)
    return group_backward(shares, index, n).to(grad.dtype)
