"""Which implementation answers an operation, and why.

The device of the inputs chooses at call time: `cuda` kernels on NVIDIA GPUs, `cpu` (numba) on the CPU, and the plain
torch `reference` wherever those cannot run, which is said once. `ASKSCAN_OPS=reference|cpu|cuda`, or `use("reference")`
around a call, forces one; asking for one where it cannot run is an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from askscan.errors import ConfigError

IMPLEMENTATIONS = ("reference", "cpu", "cuda")

OPS = {
    "farthest_points": "farthest_points",
    "ball_query": "ball_query",
    "group": "group",
    "group_backward": "group",
    "three_nearest": "interpolate",
    "interpolate": "interpolate",
    "interpolate_backward": "interpolate",
}
"""Every operation with the file that holds it, the same in each implementation's folder."""

_PLAIN_ON_CPU = ("group", "group_backward", "interpolate", "interpolate_backward")
"""Plain torch indexing is the fast version of these on the CPU."""

_CUDA_DTYPES = (torch.float32, torch.float16, torch.bfloat16)

_forced: str | None = None  # a global, not a context variable: backward passes run in autograd's own threads
_said: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpStatus:
    """What answers an operation on a device."""

    name: str
    device: str
    implementation: str
    reason: str


@contextmanager
def use(implementation: str) -> Iterator[None]:
    """Forces one implementation, in all threads, until the block ends.

    Raises:
        ConfigError: there is no such implementation.
    """
    global _forced
    before, _forced = _forced, _known(implementation)
    try:
        yield
    finally:
        _forced = before


def _known(implementation: str) -> str:
    if implementation not in IMPLEMENTATIONS:
        raise ConfigError(f"point operations: expected one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}")
    return implementation


def forced() -> str | None:
    """The implementation that `use` or the environment asks for."""
    return _forced or (_known(os.environ["ASKSCAN_OPS"]) if os.environ.get("ASKSCAN_OPS") else None)


def implementation(name: str, device: torch.device, dtype: torch.dtype) -> Callable[..., Any]:
    """The function that answers operation `name` for inputs of this device and type.

    Raises:
        ConfigError: the implementation asked for cannot run there.
    """
    choice, reason = _choose(name, device, dtype)
    if reason and choice == "reference" and not forced() and reason not in _said:
        _said.add(reason)
        warnings.warn(f"point operations on {device.type} use the plain torch reference: {reason}", stacklevel=3)
    return _function(choice, name)


@cache
def _function(choice: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"askscan.ops.{choice}.{OPS[name]}"), name)
    return found


def _choose(name: str, device: torch.device, dtype: torch.dtype) -> tuple[str, str]:
    """Implementation and, when it is not the fast one of the device, the reason."""
    wanted = forced()
    if wanted == "reference":
        return wanted, "asked for"
    fast = "cuda" if device.type == "cuda" else "cpu" if device.type == "cpu" else None
    if wanted and wanted != fast:
        raise ConfigError(f"{name}: the {wanted} implementation was asked for, but the inputs are on {device}")
    if fast == "cpu" and name in _PLAIN_ON_CPU:
        return "reference", ""
    reason = _why_not(fast, device, dtype)
    if reason is None:
        assert fast is not None
        return fast, ""
    if wanted:
        raise ConfigError(f"{name}: the {wanted} implementation was asked for, but {reason}")
    return "reference", reason


def _why_not(fast: str | None, device: torch.device, dtype: torch.dtype) -> str | None:
    if fast is None:
        return f"there are no kernels for {device.type} devices"
    if fast == "cpu":
        return None if importlib.util.find_spec("numba") else "numba is not installed"
    from askscan.ops.cuda import nvrtc

    if dtype not in _CUDA_DTYPES:
        return f"the CUDA kernels do not take {dtype}"
    return nvrtc.why_not(device.index if device.index is not None else torch.cuda.current_device())


def _choose_grouped_mlp(device: torch.device) -> tuple[str, str]:
    """As `_choose`, for the one operation that looks at shapes too: what answers it with 16-bit activations."""
    from askscan.ops.grouped_mlp import device_reason

    wanted, reason = forced(), device_reason(device.type, device.index)
    if wanted == "reference":
        return wanted, "asked for"
    if reason is None:
        return "cuda", ""
    if wanted == "cuda":
        raise ConfigError(f"grouped_mlp: the cuda implementation was asked for, but {reason}")
    return "reference", "" if device.type == "cpu" else reason


def status() -> list[OpStatus]:
    """What answers each operation on each device of this machine."""
    devices = [torch.device("cpu")] + ([torch.device("cuda", 0)] if torch.cuda.is_available() else [])
    rows = []
    for device in devices:
        for name in (*OPS, "grouped_mlp"):
            try:
                if name == "grouped_mlp":
                    choice, reason = _choose_grouped_mlp(device)
                else:
                    choice, reason = _choose(name, device, torch.float32)
            except ConfigError as error:
                choice, reason = "none", str(error)
            if not reason:
                reason = "plain torch is the fast one here" if choice == "reference" else "chosen by the device"
            rows.append(OpStatus(name=name, device=device.type, implementation=choice, reason=reason))
    return rows
