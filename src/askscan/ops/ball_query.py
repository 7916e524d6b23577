"""Ball query: contract and dispatch."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from askscan.ops.dispatch import implementation


def ball_query(
    centers: Float32[Tensor, "b m 3"], points: Float32[Tensor, "b n 3"], radius_m: float, num: int
) -> Int64[Tensor, "b m k"]:
    """Neighbours of each centre: the first `num` points, in index order, with d^2 < r^2 (PointNet++, Qi et al. 2017).

    Distances and the squared radius are float32, summed as (dx^2 + dy^2) + dz^2 without fused multiply-add. With fewer
    neighbours the first repeats; an empty ball gives index 0. No gradient.

    Raises:
        ValueError: clouds without points, or a negative `num`.
    """
    if points.shape[1] == 0 or num < 0:
        raise ValueError(f"ball_query: expected clouds with points and num >= 0, got {tuple(points.shape)}, num {num}")
    return _ball_query(centers, points, float(np.float32(radius_m) * np.float32(radius_m)), num)


@torch.library.custom_op(
    "askscan::ball_query",
    mutates_args=(),
    schema="(Tensor centers, Tensor points, float radius_squared, int num) -> Tensor",
)
def _ball_query(centers, points, radius_squared, num):  # type: ignore[no-untyped-def]
    return implementation("ball_query", points.device, points.dtype)(centers, points, radius_squared, num)


@_ball_query.register_fake
def _(centers, points, radius_squared, num):  # type: ignore[no-untyped-def]
    return centers.new_empty(*centers.shape[:2], num, dtype=torch.int64)
