"""Vote targets of sampled points, made on the compute device."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from askscan.records import VoteTargets

_INT_MAX = 2**31 - 1


def vote_targets(xyz: Float[Tensor, "b n 3"], instance: Int[Tensor, "b n"], num_slots: int) -> VoteTargets:
    """Offsets from points to the middle of the extent of their object's sampled points (VoteNet, Qi et al. 2019).

    Args:
        xyz: Sampled points, metres, after augmentation.
        instance: Box slot + 1 of each point, 0 outside objects.
        num_slots: Largest value `instance` may have.
    """
    # Minima and maxima as integers of the same order: exact, and native atomics on GPUs (floats are retried in a loop).
    keys = _ordered(xyz.float().contiguous().view(torch.int32))
    rows = instance.long()[..., None].expand(-1, -1, 3)
    empty = keys.new_zeros(xyz.shape[0], num_slots + 1, 3)
    low = (empty + _INT_MAX).scatter_reduce(1, rows, keys, "amin")
    high = (empty - _INT_MAX).scatter_reduce(1, rows, keys, "amax")
    low, high = (_ordered(bound.gather(1, rows)).view(torch.float32) for bound in (low, high))
    mask = instance > 0
    offset = torch.where(mask[..., None], (low + high) / 2 - xyz, 0.0)
    return VoteTargets(offset=offset, mask=mask)


def _ordered(bits: Tensor) -> Tensor:
    """Bits of float32 <-> integers that sort as the floats do (its own inverse)."""
    return torch.where(bits < 0, bits ^ _INT_MAX, bits)
