"""Non-maximum suppression of 3D boxes as batched tensor code without a host synchronisation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.geometry.iou import pairwise_iou


def nms_3d(
    center: Float[Tensor, "b k 3"],
    size: Float[Tensor, "b k 3"],
    score: Float[Tensor, "b k"],
    semantic_class: Int[Tensor, "b k"],
    valid: Bool[Tensor, "b k"],
    *,
    iou_threshold: float = 0.25,
) -> Bool[Tensor, "b k"]:
    """Which boxes survive greedy suppression within their class: True for the kept ones.

    From the highest score down (ties: lowest index first), a box that is still there removes every later box of its
    class with IoU > `iou_threshold`. Boxes that are not `valid` are neither kept nor remove others.
    """
    order = score.masked_fill(~valid, -torch.inf).argsort(dim=1, descending=True, stable=True)
    center, size = (x.gather(1, order[..., None].expand(-1, -1, 3)) for x in (center, size))
    semantic_class, valid = semantic_class.gather(1, order), valid.gather(1, order)

    overlap = pairwise_iou(center, size, center, size) > iou_threshold
    same_class = semantic_class[:, :, None] == semantic_class[:, None, :]
    # removes[b, i, j] = 1: box i, if kept, removes the later box j.
    removes = (overlap & same_class).triu(1).to(torch.int8)
    removed = (~valid).to(torch.int8)
    # The greedy order is a chain of up to k dependent steps; each is two tiny kernels over (b, k). A removed box's row
    # becomes 0 or -1 by the subtraction, so that it changes nothing.
    for i in range(score.shape[1]):
        removed = torch.maximum(removed, removes[:, i] - removed[:, i : i + 1])
    return torch.zeros_like(valid).scatter(1, order, removed == 0)
