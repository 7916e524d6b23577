"""Gathering neighbours' features: contract, dispatch and gradient."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from askscan.ops.dispatch import implementation


def group(features: Float[Tensor, "b n c"], index: Int64[Tensor, "b m k"]) -> Float[Tensor, "b m k c"]:
    """Features of each centre's neighbours; the gradient is the sum over all places a point was gathered to.

    Any floating type; the gradient is summed in float32 (float64 for float64) and rounded once. On the CPU its order is
    fixed; the CUDA kernel adds with atomics, so the last bits of float32 sums vary from run to run. Indices must be in
    [0, n): the GPU does not check them.
    """
    return _group(features, index)


@torch.library.custom_op("askscan::group", mutates_args=(), schema="(Tensor features, Tensor index) -> Tensor")
def _group(features, index):  # type: ignore[no-untyped-def]
    return implementation("group", features.device, features.dtype)(features, index)


@_group.register_fake
def _(features, index):  # type: ignore[no-untyped-def]
    return features.new_empty(*index.shape, features.shape[2])


@torch.library.custom_op(
    "askscan::group_backward", mutates_args=(), schema="(Tensor grad, Tensor index, int n) -> Tensor"
)
def _group_backward(grad, index, n):  # type: ignore[no-untyped-def]
    return implementation("group_backward", grad.device, grad.dtype)(grad, index, n)


@_group_backward.register_fake
def _(grad, index, n):  # type: ignore[no-untyped-def]
    return grad.new_empty(grad.shape[0], n, grad.shape[3])


def _save(ctx, inputs, output):  # type: ignore[no-untyped-def]
    features, index = inputs
    ctx.save_for_backward(index)
    ctx.num_points = features.shape[1]


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    (index,) = ctx.saved_tensors
    return _group_backward(grad, index, ctx.num_points), None


_group.register_autograd(_backward, setup_context=_save)
_group_backward.register_autograd(
    lambda ctx, grad: (_group(grad, *ctx.saved_tensors), None, None),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[1]),
)
