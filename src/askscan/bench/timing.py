"""How long things take, and what the device could do at best.

On a GPU a function is recorded as a CUDA graph where it can be, and its replays are timed by events: launches from
Python do not count. Inputs rotate, so that repeated runs do not measure the cache.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median

import torch

from askscan import __version__
from askscan.train.graph import Recorded

Run = Callable[[], object]
_WARM_UPS = 5
"""Calls before a function is timed; a recording begins within them."""
_BUDGET_S = 2.0
"""No further run is begun after this."""
_PACKAGES = ("torch", "triton", "numpy", "numba", "scipy", "fpsample", "torch-quickfps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Milliseconds of one run."""

    median_ms: float
    low_ms: float
    """Tenth percentile."""
    high_ms: float
    """Ninetieth percentile."""
    num_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What the device reached here: the limits that shares are of."""

    bytes_per_s: float
    """A large copy, bytes read plus bytes written."""
    flops: dict[str, float]
    """Large matrix products of random numbers, per element type, float32 without TF32."""


def timing_of(milliseconds: Sequence[float]) -> Timing:
    """Median and spread.

    >>> timing_of([3.0, 1.0, 2.0])
    Timing(median_ms=2.0, low_ms=1.0, high_ms=3.0, num_runs=3)
    """
    times = sorted(milliseconds)
    low, high = (times[round((len(times) - 1) * share)] for share in (0.1, 0.9))
    return Timing(median_ms=median(times), low_ms=low, high_ms=high, num_runs=len(times))


def measure(
    runs: Sequence[Run],
    device: torch.device,
    *,
    repeats: int,
    record: bool = True,
    generators: Sequence[torch.Generator] = (),
) -> Timing:
    """Time functions that do the same with different inputs, in turn.

    Args:
        runs: At least one.
        device: Where they compute.
        repeats: Timed runs in all; fewer, but one, where they take long.
        record: On a GPU, time replays of recordings: for functions without host synchronisation.
        generators: Random generators that they draw from, apart from the default one.
    """
    if device.type == "cuda" and record:
        runs = [_recorded(run, device, generators) for run in runs]
    else:
        for run in runs:
            run()
    times: list[float] = []
    began = time.perf_counter()
    for run in cycle(runs):
        times += timed([run], device)
        if len(times) >= repeats or time.perf_counter() - began > _BUDGET_S:
            return timing_of(times)
    raise AssertionError("a cycle does not end")


def timed(runs: Iterable[Run], device: torch.device) -> list[float]:
    """Milliseconds of each of some consecutive runs; on a GPU the host does not wait in between."""
    if device.type != "cuda":
        marks = [time.perf_counter()]
        for run in runs:
            run()
            marks.append(time.perf_counter())
        return [(after - before) * 1e3 for before, after in pairwise(marks)]
    events = [_mark()]
    for run in runs:
        run()
        events.append(_mark())
    torch.cuda.synchronize()
    return [before.elapsed_time(after) for before, after in pairwise(events)]


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _recorded(run: Run, device: torch.device, generators: Sequence[torch.Generator]) -> Run:
    """The function once it is a recording."""
    recorded = Recorded(run, device, generators)
    for _ in range(_WARM_UPS):
        recorded()
    return recorded


def ceilings(device: torch.device, *, quick: bool) -> Ceilings:
    """Measure the device's memory bandwidth and arithmetic."""
    large = device.type == "cuda" and not quick
    values = torch.ones(1 << (30 if large else 24), dtype=torch.uint8, device=device)
    target = torch.empty_like(values)
    copy = measure([lambda: target.copy_(values)], device, repeats=10)
    size = 8192 if large else 512
    flops = {}
    dtypes = (torch.bfloat16, torch.float32) if device.type == "cuda" else (torch.float32,)
    for dtype in dtypes:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        product = measure([partial(torch.matmul, a, b)], device, repeats=10)
        flops[str(dtype).removeprefix("torch.")] = 2 * size**3 / (product.median_ms / 1e3)
    return Ceilings(bytes_per_s=2 * len(values) / (copy.median_ms / 1e3), flops=flops)


def environment(device: torch.device) -> dict[str, str]:
    """Where figures come from: device, versions, commit."""
    found = {"device": _device_name(device), "python": platform.python_version(), "commit": _commit()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} processor, {torch.get_num_threads()} threads"


def _commit(package: Path = Path(__file__).parents[1]) -> str:
    """Commit that the package is of, with a `+` where any of its files was changed.

    A copy without a checkout is told by whoever made it: in `ASKSCAN_COMMIT`.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    if told := os.environ.get("ASKSCAN_COMMIT"):
        return told
    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else the checkout is another project's
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return f"unknown (askscan {__version__})"
