"""Where a training computes: one device, or several processes on one or more hosts, through lightning-fabric."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from askscan.errors import ConfigError, UserError
from askscan.train.config import Precision

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """How a training is spread; none of it changes what is computed."""

    accelerator: str = "auto"
    """cpu, cuda, or auto: a GPU where there is one."""
    num_devices: int = 1
    """Processes per host, one GPU each."""
    num_nodes: int = 1
    """Hosts; start one process per GPU with torchrun."""
    cuda_graph: bool = True
    """Run a step as one CUDA graph, messages between GPUs included."""


def launch(devices: Devices, precision: Precision) -> Fabric:
    """Start the processes (or join those that torchrun started) and set up their group.

    Raises:
        ConfigError: There are not as many devices.
    """
    from lightning_fabric import Fabric

    cuda = torch.cuda.is_available() and devices.accelerator != "cpu"
    if devices.accelerator == "cuda" and not cuda:
        raise ConfigError("no CUDA device was found; use the accelerator `cpu` or `auto`.")
    several = devices.num_devices * devices.num_nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1
    try:
        fabric = Fabric(
            accelerator="cuda" if cuda else "cpu",
            devices=devices.num_devices,
            num_nodes=devices.num_nodes,
            strategy="ddp" if several else "auto",
            precision=precision if cuda else "32-true",
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"{devices.num_devices} devices on {devices.num_nodes} hosts: {reason}") from error
    return fabric


def by_first(fabric: Fabric, work: Callable[[], Result]) -> Result:
    """What the first process does for all of them: each gets its result, or its error.

    Else the others would wait for a process that a full disk has ended.

    Raises:
        UserError, OSError: What the first process met.
    """
    outcome: Any = None
    if fabric.is_global_zero:
        try:
            outcome = work()
        except (UserError, OSError) as error:
            outcome = error
    outcome = fabric.broadcast(outcome)
    if isinstance(outcome, UserError | OSError):
        raise outcome
    return outcome


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context that gives a network outside training the arithmetic of its training."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed" and device.type == "cuda")


def seed_of(*numbers: int) -> int:
    """A seed that depends on all numbers, and on nothing that happened before."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
