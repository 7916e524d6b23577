"""Adam, its schedules and gradient norms, without host synchronisation and fit for a CUDA graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from askscan.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """Adam and its learning rate."""

    learning_rate: float = 1e-4
    """Peak learning rate."""
    weight_decay: float = 1e-5
    """L2 weight decay (Adam), or decoupled decay (AdamW)."""
    decoupled: bool = False
    """AdamW in place of Adam."""
    beta2: float = 0.999
    """Decay of the second moment."""
    clip_norm: float | None = None
    """Gradients are scaled down to this global norm."""
    schedule: Literal["milestones", "cosine"] = "milestones"
    """Learning rate over time: falling by `decay_factor` at `decay_epochs`, or along a half cosine to zero."""
    decay_epochs: tuple[int, ...] = ()
    """Epochs (from 0) at whose beginning the learning rate falls; `milestones` only."""
    decay_factor: float = 0.2
    """By how much it falls; `milestones` only."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 < self.beta2 < 1 or self.decay_factor <= 0:
            raise ConfigError("learning_rate and decay_factor must be > 0, weight_decay >= 0, beta2 in (0, 1).")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ConfigError(f"clip_norm must be positive or null, not {self.clip_norm}.")

    def rate(self, step: int, steps_per_epoch: int, num_steps: int) -> float:
        """Learning rate of a step (from 0).

        >>> config = OptimConfig(learning_rate=1.0, decay_epochs=(2,), warmup_steps=4)
        >>> [round(config.rate(step, 5, 20), 2) for step in (0, 1, 3, 9, 10)]
        [0.25, 0.5, 1.0, 1.0, 0.2]
        """
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "cosine":
            progress = max(0, step - self.warmup_steps) / max(1, num_steps - self.warmup_steps)
            return rate * (1 + math.cos(math.pi * progress)) / 2
        return rate * self.decay_factor ** sum(step // steps_per_epoch >= epoch for epoch in self.decay_epochs)


def make_optimizer(parameters: Sequence[nn.Parameter], config: OptimConfig) -> torch.optim.Adam:
    """Fused Adam whose learning rate is a tensor and whose steps a `found_inf` tensor can forbid."""
    device = parameters[0].device
    cls = torch.optim.AdamW if config.decoupled else torch.optim.Adam
    return cls(
        parameters,
        lr=torch.tensor(config.learning_rate, device=device),
        betas=(0.9, config.beta2),
        eps=1e-8,
        weight_decay=config.weight_decay,
        fused=True,
        capturable=device.type == "cuda",
    )


def clip_gradients(parameters: Sequence[nn.Parameter], max_norm: float | None) -> Float[Tensor, ""]:
    """Global norm of the gradients; they are scaled down to `max_norm` if that is given."""
    if max_norm is not None:
        return nn.utils.clip_grad_norm_(parameters, max_norm)
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def average_gradients(parameters: Sequence[nn.Parameter], world_size: int) -> None:
    """Mean of the gradients over all processes, as one message: it can be part of a CUDA graph."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world_size
    parts = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])
