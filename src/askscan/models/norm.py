"""BatchNorm over rows of channels-last tensors, with statistics over all processes of a distributed run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm

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


def _moments(rows: Float[Tensor, "r c"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance (c) of the rows of all processes, and their number; in one exchange."""
    var, mean = torch.var_mean(rows, 0, correction=0)
    own = torch.stack([mean, var, torch.full_like(mean, rows.shape[0])])
    every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(every, own)
    means, variances, counts = torch.stack(every, 1).unbind()
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count
    # Spread within the processes and between them: the difference of two large sums would lose digits.
    var = ((variances + (means - mean).square()) * counts).sum(0) / count
    return mean, var, count


class _SynchronisedNorm(torch.autograd.Function):
    """Normalisation of the rows of all processes together; torch's own version runs on CUDA only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, all_reduce: Callable[[Tensor], Tensor]) -> Any:
        rows = x.float()
        mean, var, count = _moments(rows)
        rstd = (var + EPS).rsqrt()
        ctx.save_for_backward(x, weight, mean, rstd, count)
        ctx.all_reduce = all_reduce
        ctx.mark_non_differentiable(mean, var, count)
        return torch.addcmul(bias, rows - mean, rstd * weight).to(x.dtype), mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> Any:
        x, weight, mean, rstd, count = ctx.saved_tensors
        grad32, unit = grad.float(), (x.float() - mean) * rstd
        # Weight and bias get this process's share: gradients are averaged over the processes later.
        grad_bias, grad_weight = grad32.sum(0), (grad32 * unit).sum(0)
        shared = ctx.all_reduce(torch.stack([grad_bias, grad_weight])) / count
        grad_x = (grad32 - shared[0] - unit * shared[1]) * (weight * rstd)
        return grad_x.to(x.dtype), grad_weight, grad_bias, None


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
        out, mean, var, count = cast(
            tuple[Tensor, Tensor, Tensor, Tensor],
            _SynchronisedNorm.apply(rows, self.weight, self.bias, all_reduce),
        )
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1).clamp_min(1)), self.momentum)
        return out


def set_momentum(model: nn.Module, momentum: float) -> None:
    """Gives every `BatchNorm` of `model` this momentum."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.momentum = momentum
