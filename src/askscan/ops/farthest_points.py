"""Farthest point sampling: contract and dispatch."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from askscan.ops.dispatch import implementation


def farthest_points(xyz: Float32[Tensor, "b n 3"], num: int) -> Int64[Tensor, "b m"]:
    """Indices of `num` points of each cloud, each the farthest from those before it (Eldar et al. 1997; PointNet++).

    Starts at point 0. Squared distances are float32, summed as (dx^2 + dy^2) + dz^2 without fused multiply-add; ties go
    to the lowest index: every implementation gives the same indices. Once all distances are 0 (duplicates, or fewer
    points than `num`) index 0 repeats. A prefix of the result is the result for that smaller `num`. No gradient.

    Args:
        xyz: positions, finite, n >= 1.
        num: how many points to choose.

    Raises:
        ValueError: clouds without points, or a negative `num`.
    """
    if xyz.shape[1] == 0 or num < 0:
        raise ValueError(
            f"farthest_points: expected clouds with points and num >= 0, got {tuple(xyz.shape)}, num {num}"
        )
    return _farthest_points(xyz, num)


@torch.library.custom_op("askscan::farthest_points", mutates_args=(), schema="(Tensor xyz, int num) -> Tensor")
def _farthest_points(xyz, num):  # type: ignore[no-untyped-def]
    return implementation("farthest_points", xyz.device, xyz.dtype)(xyz, num)


@_farthest_points.register_fake
def _(xyz, num):  # type: ignore[no-untyped-def]
    return xyz.new_empty(xyz.shape[0], num, dtype=torch.int64)
