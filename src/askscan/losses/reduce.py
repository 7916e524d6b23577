"""Means over the global batch: sums and counts over all processes, and gradients whose average over them is right."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

EPS = 1e-6


def num_processes() -> int:
    """Processes of the distributed run; 1 where there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def ratios(*pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """`total / (count + 1e-6)` of each (total, count), both summed over all processes, in one exchange.

    Every process gets the value of the global batch. Its gradient is scaled by the number of processes: averaged
    over them it is that of the global mean, whatever the counts of the single processes.
    """
    totals = torch.stack([total.float() for total, _ in pairs])
    counts = torch.stack([count.float() for _, count in pairs])
    world = num_processes()
    if world == 1:
        return (totals / (counts + EPS)).unbind()
    sums = torch.stack([totals.detach(), counts.detach()])
    dist.all_reduce(sums)
    own = world * totals / (sums[1] + EPS)
    return (sums[0] / (sums[1] + EPS) + (own - own.detach())).unbind()


def masked(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(total, count) of the values where `mask` is set, for `ratios`; others may hold anything finite."""
    mask = mask.to(values.dtype)
    return (values * mask).sum(), mask.sum()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(num_processes())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # Every process computes the same loss of all rows, so the sum of this gradient over the processes is a
        # multiple of the own one; the average over them then gives the gradient of the global loss.
        own = grad.chunk(num_processes())[dist.get_rank()]
        return own * num_processes()


def gather_rows(x: Shaped[Tensor, "b *d"]) -> Shaped[Tensor, "all *d"]:
    """Rows of all processes, in the order of their ranks; every process must hold as many.

    Only for losses that every process computes alike from the gathered rows.
    """
    if num_processes() == 1:
        return x
    return cast(Tensor, _Gather.apply(x))
