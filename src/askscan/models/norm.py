"""BatchNorm over rows of channels-last tensors, with statistics over all processes of a distributed run."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm

from askscan.ops.reference.grouped_mlp import synchronised_batch_norm

EPS = 1e-5


def sum_over_processes() -> Callable[[Tensor], Tensor] | None:
    """A function that sums a tensor over all processes (returning a new one), or None where there is only one."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return None

    def all_reduce(x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    return all_reduce


class BatchNorm(nn.Module):
    """Batch normalisation of every channel (last dimension) over all other dimensions.

    Statistics are float32 whatever the input. In training within a process group they are those of all processes.
    `momentum` (PyTorch's sense: the weight of the new batch) is a plain attribute that the trainer lowers.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_channels: int, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """Normalised `x`, in its dtype."""
        rows = x.reshape(-1, x.shape[-1])
        if self.training:
            self.num_batches_tracked.add_(1)
            all_reduce = sum_over_processes()
            if all_reduce is not None:
                return self._synchronised(rows, all_reduce).view(x.shape)
        out = F.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, EPS
        )
        return out.view(x.shape)

    def _synchronised(self, rows: Tensor, all_reduce: Callable[[Tensor], Tensor]) -> Tensor:
        if rows.is_cuda:  # torch's own: three kernels forward, two backward
            statistics = (self.running_mean, self.running_var, EPS, self.momentum)
            group = dist.group.WORLD
            found: Tensor = SyncBatchNorm.apply(rows, self.weight, self.bias, *statistics, group, dist.get_world_size())
            return found
        running = (self.running_mean, self.running_var)
        out = synchronised_batch_norm(rows.float(), self.weight, self.bias, running, self.momentum, EPS, all_reduce)
        return out.to(rows.dtype)


def set_momentum(model: nn.Module, momentum: float) -> None:
    """Gives every `BatchNorm` of `model` this momentum."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.momentum = momentum
