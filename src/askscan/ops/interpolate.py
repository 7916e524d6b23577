"""Three-nearest interpolation: contract, dispatch and gradient."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from askscan.ops.dispatch import implementation
from askscan.ops.group import group


def three_nearest(
    query: Float32[Tensor, "b m 3"], points: Float32[Tensor, "b n 3"]
) -> tuple[Float32[Tensor, "b m 3"], Int64[Tensor, "b m 3"]]:
    """Euclidean distances and indices of the three points nearest to each query, nearest first.

    Squared distances as in `farthest_points`; ties go to the lowest index. With fewer than three points the nearest
    repeats. No gradient.

    Raises:
        ValueError: clouds without points.
    """
    if points.shape[1] == 0:
        raise ValueError(f"three_nearest: expected clouds with points, got {tuple(points.shape)}")
    distances, index = _three_nearest(query, points)
    return distances, index


def interpolation_weights(distances: Float32[Tensor, "b m 3"]) -> Float32[Tensor, "b m 3"]:
    """Weights 1 / (d + 1e-8), normalised to sum 1 (PointNet++, Qi et al. 2017)."""
    inverse = 1.0 / (distances + 1e-8)
    return inverse / inverse.sum(dim=-1, keepdim=True)


def interpolate(
    features: Float[Tensor, "b n c"], index: Int64[Tensor, "b m 3"], weight: Float[Tensor, "b m 3"]
) -> Float[Tensor, "b m c"]:
    """Weighted sum of three points' features, in the features' type, with gradients for features and weights.

    Sums run in float32 or wider. The feature gradient is deterministic on the CPU; the CUDA kernel adds with atomics.
    """
    return _interpolate(features, index, weight)


@torch.library.custom_op(
    "askscan::three_nearest", mutates_args=(), schema="(Tensor query, Tensor points) -> (Tensor, Tensor)"
)
def _three_nearest(query, points):  # type: ignore[no-untyped-def]
    return implementation("three_nearest", points.device, points.dtype)(query, points)


@_three_nearest.register_fake
def _(query, points):  # type: ignore[no-untyped-def]
    return torch.empty_like(query), torch.empty_like(query, dtype=torch.int64)


@torch.library.custom_op(
    "askscan::interpolate", mutates_args=(), schema="(Tensor features, Tensor index, Tensor weight) -> Tensor"
)
def _interpolate(features, index, weight):  # type: ignore[no-untyped-def]
    return implementation("interpolate", features.device, features.dtype)(features, index, weight)


@_interpolate.register_fake
def _(features, index, weight):  # type: ignore[no-untyped-def]
    return features.new_empty(*index.shape[:2], features.shape[2])


@torch.library.custom_op(
    "askscan::interpolate_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor index, Tensor weight, int n) -> Tensor",
)
def _interpolate_backward(grad, index, weight, n):  # type: ignore[no-untyped-def]
    return implementation("interpolate_backward", grad.device, grad.dtype)(grad, index, weight, n)


@_interpolate_backward.register_fake
def _(grad, index, weight, n):  # type: ignore[no-untyped-def]
    return grad.new_empty(grad.shape[0], n, grad.shape[2])


def _save(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    features, index, weight = ctx.saved_tensors
    for_features = for_weight = None
    if ctx.needs_input_grad[0]:
        for_features = _interpolate_backward(grad, index, weight, features.shape[1])
    if ctx.needs_input_grad[2]:
        for_weight = (group(features, index) * grad[:, :, None, :]).sum(dim=-1).to(weight.dtype)
    return for_features, None, for_weight


_interpolate.register_autograd(_backward, setup_context=_save)
