"""Where a training computes: one device, or several processes on one or more hosts, through lightning-fabric."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    if not fabric.is_global_zero:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    return fabric


def _end_with(parent: int) -> None:
    """End this process once the one that started it is gone: else it waits on the GPU for messages, for minutes."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def by_first(fabric: Fabric, work: Callable[[], Result]) -> Result:
    """What the first process does for all of them: each gets its result, or its error.

    Else the others would wait for a process that a full disk has ended.

    Raises:
        UserError, OSError: What the first process met; the others get anything else as a RuntimeError.
    """
    result: Any = None
    error: Exception | None = None
    if fabric.is_global_zero:
        try:
            result = work()
        except Exception as met:
            error = met
    told = error if error is None or isinstance(error, UserError | OSError) else RuntimeError(repr(error))
    result, told = fabric.broadcast((result, told))
    if error is not None:
        raise error
    if told is not None:
        raise told
    return result


@contextmanager
def common_interrupt(fabric: Fabric) -> Iterator[Callable[[], None]]:
    """Lets several GPUs stop at the same step: inside, Ctrl-C is held until all processes call what this gives.

    That raises KeyboardInterrupt in all of them once it came to one. If each stopped where it is, one would wait for
    the others' messages inside the driver, where nothing reaches it. A second Ctrl-C is not held.
    """
    several = fabric.world_size > 1 and fabric.device.type == "cuda"
    if not several or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came = threading.Event()

    def hold(number: int, frame: object) -> None:
        came.set()
        signal.signal(signal.SIGINT, before)

    def agree() -> None:
        flag = torch.tensor(float(came.is_set()), device=fabric.device)
        torch.distributed.all_reduce(flag)
        if flag.item():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield agree
    finally:
        signal.signal(signal.SIGINT, before)


def abandon_messages(fabric: Fabric) -> None:
    """End messages between GPUs that nobody will answer, where this process fails alone; no recording may hold any."""
    if fabric.world_size > 1 and fabric.device.type == "cuda" and torch.distributed.group.WORLD is not None:
        torch.distributed.group.WORLD.abort()


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context that gives a network outside training the arithmetic of its training."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed" and device.type == "cuda")


def seed_of(*numbers: int) -> int:
    """A seed that depends on all numbers, and on nothing that happened before."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
