"""Intersection over union of axis-aligned 3D boxes given as (centre, size)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def box_iou(center_a: Tensor, size_a: Tensor, center_b: Tensor, size_b: Tensor) -> Tensor:
    """IoU of boxes whose (..., 3) shapes broadcast against each other; 0 where the union is empty.

    Sizes below 0 count as 0.
    """
    size_a, size_b = size_a.clamp_min(0), size_b.clamp_min(0)
    low = torch.maximum(center_a - size_a / 2, center_b - size_b / 2)
    high = torch.minimum(center_a + size_a / 2, center_b + size_b / 2)
    intersection = (high - low).clamp_min(0).prod(-1)
    union = size_a.prod(-1) + size_b.prod(-1) - intersection
    return torch.where(union > 0, intersection / union.clamp_min(1e-12), torch.zeros_like(union))


def pairwise_iou(
    center_a: Float[Tensor, "*b k 3"],
    size_a: Float[Tensor, "*b k 3"],
    center_b: Float[Tensor, "*b o 3"],
    size_b: Float[Tensor, "*b o 3"],
) -> Float[Tensor, "*b k o"]:
    """IoU of every box of `a` with every box of `b` of the same scene."""
    return box_iou(
        center_a[..., :, None, :], size_a[..., :, None, :], center_b[..., None, :, :], size_b[..., None, :, :]
    )
