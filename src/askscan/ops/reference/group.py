"""Gathering neighbours' features, plainly."""

from __future__ import annotations

import torch
from torch import Tensor


def _flat_rows(index: Tensor, n: int) -> Tensor:
    """Index (b ...) into n points of each cloud as rows of all clouds one after another."""
    b = index.shape[0]
    offset = torch.arange(b, device=index.device) * n
    return (index.reshape(b, -1) + offset[:, None]).reshape(-1)


def group(features: Tensor, index: Tensor) -> Tensor:
    """See `askscan.ops.group`."""
    b, n, c = features.shape
    return features.reshape(b * n, c).index_select(0, _flat_rows(index, n)).reshape(*index.shape, c)


def group_backward(grad: Tensor, index: Tensor, n: int) -> Tensor:
    """Gradient (b n c) of `group` for its features; summed in float32 or wider, in index order on the CPU."""
    b, c = grad.shape[0], grad.shape[-1]
    wide = torch.promote_types(grad.dtype, torch.float32)
    out = torch.zeros(b * n, c, dtype=wide, device=grad.device)
    return out.index_add_(0, _flat_rows(index, n), grad.reshape(-1, c).to(wide)).reshape(b, n, c).to(grad.dtype)
