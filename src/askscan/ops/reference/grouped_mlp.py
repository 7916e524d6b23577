"""Plain torch version of the shared MLP over grouped points: the specification of `askscan.ops.grouped_mlp`.

The first convolution is linear in (relative position, features), so its feature part is applied to the points before
gathering: `W [rel, f] = W_xyz rel + (W_f f)[index]`. The grouped (3 + c)-channel tensor never exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

AllReduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all ranks and returns the sum; its argument must not be changed."""

RowsByPoint = tuple[Tensor, Tensor]
"""What `rows_by_point` answers."""


def rows_by_point(index: Int[Tensor, "b m k"], n: int) -> RowsByPoint:
    """Rows of (b m k) ordered by their point in (b n), stably, and where each point's rows start (b n + 1)."""
    offset = torch.arange(len(index), device=index.device, dtype=torch.int32)[:, None, None] * n
    point, order = torch.sort((index.int() + offset).flatten(), stable=True)
    bounds = torch.arange(len(index) * n + 1, device=index.device, dtype=torch.int32)
    return order, torch.searchsorted(point, bounds, out_int32=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNorm:
    """A 1x1 convolution without bias and the BatchNorm after it. Training writes to the two running statistics."""

    weight: Float[Tensor, "o i"]
    """In the first layer of a grouped MLP the three coordinates come first, as in PointNet++."""
    gamma: Float[Tensor, "o"]
    beta: Float[Tensor, "o"]
    running_mean: Float[Tensor, "o"]
    running_var: Float[Tensor, "o"]


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks whose gradient is summed over ranks too: every rank's loss depends on the sum."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, all_reduce: AllReduce) -> Tensor:
        ctx.all_reduce = all_reduce  # type: ignore[attr-defined]
        return all_reduce(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.all_reduce(grad.contiguous()), None  # type: ignore[attr-defined]


def synchronised_batch_norm(
    y: Float[Tensor, "r c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    running: tuple[Float[Tensor, "c"], Float[Tensor, "c"]],
    momentum: float,
    eps: float,
    all_reduce: AllReduce,
) -> Float[Tensor, "r c"]:
    """Training-mode BatchNorm whose statistics are those of the rows of all ranks together.

    `running`: mean and variance, which it writes to.
    """
    sums = torch.cat([y.sum(0), y.new_full((1,), y.shape[0])])
    sums = _SumOverRanks.apply(sums, all_reduce)
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = y - mean
    var = _SumOverRanks.apply(centred.square().sum(0), all_reduce) / count
    with torch.no_grad():
        for old, new in zip(running, (mean, var * (count / (count - 1).clamp_min(1))), strict=True):
            old.lerp_(new.to(old.dtype), momentum)
    return centred * (torch.rsqrt(var + eps) * gamma) + beta


def _norm_relu(
    y: Tensor, layer: ConvNorm, training: bool, momentum: float, eps: float, all_reduce: AllReduce | None
) -> Tensor:
    running = (layer.running_mean, layer.running_var)
    if training and all_reduce is not None:
        normed = synchronised_batch_norm(y, layer.gamma, layer.beta, running, momentum, eps, all_reduce)
    else:
        normed = F.batch_norm(y, *running, layer.gamma, layer.beta, training, momentum, eps)
    return F.relu_(normed)


def grouped_mlp(
    xyz: Float[Tensor, "b n 3"],
    centers: Float[Tensor, "b m 3"],
    index: Int[Tensor, "b m k"],
    features: Float[Tensor, "b n c"] | None,
    layers: Sequence[ConvNorm],
    *,
    radius_m: float,
    training: bool,
    momentum: float,
    eps: float = 1e-5,
    all_reduce: AllReduce | None = None,
) -> Float[Tensor, "b m d"]:
    """See `askscan.ops.grouped_mlp.grouped_mlp`. Any number of layers, any floating dtype."""
    if not training and not torch.is_grad_enabled() and len(xyz) > 1:
        # One scene at a time: memory stays that of one scene's neighbourhoods.
        scenes = [
            grouped_mlp(
                xyz[i : i + 1], centers[i : i + 1], index[i : i + 1],
                None if features is None else features[i : i + 1], layers,
                radius_m=radius_m, training=False, momentum=momentum, eps=eps,
            )
            for i in range(len(xyz))
        ]  # fmt: skip
        return torch.cat(scenes)
    b, m, k = index.shape
    n = xyz.shape[1]
    flat = (index + torch.arange(b, device=index.device, dtype=index.dtype)[:, None, None] * n).reshape(-1)
    relative = (xyz.reshape(-1, 3).index_select(0, flat).view(b, m, k, 3) - centers[:, :, None]) * (1.0 / radius_m)
    y = F.linear(relative.view(-1, 3), layers[0].weight[:, :3])
    if features is not None:
        projected = F.linear(features, layers[0].weight[:, 3:]).reshape(b * n, -1)
        y = y + projected.index_select(0, flat)
    y = _norm_relu(y, layers[0], training, momentum, eps, all_reduce)
    for layer in layers[1:]:
        y = _norm_relu(F.linear(y, layer.weight), layer, training, momentum, eps, all_reduce)
    return y.view(b, m, k, -1).max(dim=2).values
