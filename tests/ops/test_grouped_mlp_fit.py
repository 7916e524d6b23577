"""Every launch, compiled for each architecture without a GPU, fits its shared memory; what does not fit is refused."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from askscan.ops.reference.grouped_mlp import ConvNorm

pytest.importorskip("triton")

from askscan.ops.cuda import grouped_mlp as cuda
from askscan.ops.cuda import grouped_mlp_fit as fit
from askscan.ops.cuda import grouped_mlp_kernels as kernels
from askscan.ops.cuda.grouped_mlp_launches import Sizes

contract: Any = importlib.import_module("askscan.ops.grouped_mlp")  # the package's attribute is the function

LIMIT_KB = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""Shared memory that a program may have on A100, consumer Ampere, Ada, Hopper, Blackwell and consumer Blackwell."""

Shape = tuple[tuple[int, int, int], int, int, bool]
"""Widths, neighbours, raw channels, projected features."""

SHAPES: dict[str, Shape] = {
    "paper sa1": ((64, 64, 128), 64, 0, False),
    "rooms sa1": ((64, 64, 128), 64, 3, False),
    "sa1 with all inputs": ((64, 64, 128), 64, 0, True),
    "sa2": ((128, 128, 256), 32, 0, True),
    "sa3": ((128, 128, 256), 16, 0, True),
    "proposals": ((128, 128, 128), 16, 0, True),
    "tiny sa1": ((32, 32, 64), 24, 3, False),
    "tiny sa2": ((64, 64, 128), 16, 0, True),
    "tiny proposals": ((64, 64, 64), 16, 0, True),
}
"""Every shape of the recipes' set abstractions and proposals."""

COMPILE = """
import json, sys
import torch
from askscan.ops.cuda.grouped_mlp_fit import needs
from askscan.ops.cuda.grouped_mlp_launches import Sizes
for (channels, k, num_raw, projected), centers, arch, shared, dtype, training in json.load(sys.stdin):
    sizes = Sizes(num_centers=centers, m=1, n=1, k=k, channels=tuple(channels), num_raw=num_raw, projected=projected,
                  radius_m=1.0, eps=0.0, dtype=getattr(torch, dtype), shared=shared)
    print(json.dumps(needs(sizes, training, arch)))
"""

Job = tuple[Shape, int, int, int, str, bool]


def compiled(jobs: list[Job], cache: Path) -> list[dict[str, tuple[int, int]]]:
    """`needs` of each job, in a process where Triton compiles instead of interpreting."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TRITON_CACHE_DIR": str(cache)}
    env.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], input=json.dumps(jobs), env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_fits(jobs: list[Job], cache: Path) -> None:
    for job, found in zip(jobs, compiled(jobs, cache), strict=True):
        for name, (shared, columns) in found.items():
            assert shared <= job[3], f"{job}: {name} needs {shared >> 10} KB"
            assert columns <= 512, f"{job}: {name} needs {columns} columns of tensor memory"


def job(shape: Shape, arch: int, training: bool, *, centers: int = 256, dtype: str = "bfloat16") -> Job:
    return shape, centers, arch, LIMIT_KB[arch] << 10, dtype, training


def test_the_largest_launches_fit(tmp_path: Path) -> None:
    assert_fits([job(SHAPES["sa2"], 86, False), job(SHAPES["sa3"], 86, True)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("arch", LIMIT_KB)
def test_every_launch_of_the_recipes_fits(arch: int, tmp_path: Path) -> None:
    jobs = [job(shape, arch, training) for shape in SHAPES.values() for training in (True, False)]
    jobs += [job(SHAPES["sa2"], arch, training, centers=1) for training in (True, False)]  # masked tiles
    jobs += [job(SHAPES["sa3"], arch, True, dtype="float16")]
    assert_fits(jobs, tmp_path)


@pytest.mark.slow
def test_what_is_taken_as_fitting_on_hopper_fits(tmp_path: Path) -> None:
    shapes: list[Shape] = [
        ((64, 64, 256), 64, 0, True),
        ((128, 128, 256), 64, 0, True),
        ((128, 128, 256), 64, 6, False),
    ]
    assert_fits([job(s, 90, t, centers=c) for s in shapes for t in (True, False) for c in (1, 256)], tmp_path)


def make_call(shape: Shape, m: int) -> tuple[list[Any], dict[str, Any]]:
    widths, k, num_raw, projected = shape
    c = 12 if projected else num_raw
    layers, width = [], 3 + c
    for w in widths:
        one = torch.ones(w)
        layers.append(
            ConvNorm(
                weight=torch.randn(w, width).requires_grad_(), gamma=one.clone().requires_grad_(),
                beta=one.clone().requires_grad_(), running_mean=one.clone(), running_var=one.clone(),
            )
        )  # fmt: skip
        width = w
    features = torch.randn(1, 9, c).requires_grad_(projected) if c else None
    tensors = [torch.randn(1, 9, 3), torch.randn(1, m, 3).requires_grad_(), torch.zeros(1, m, k, dtype=torch.long)]
    options = {"radius_m": 1.0, "momentum": 0.1, "eps": 1e-5, "all_reduce": None, "dtype": torch.bfloat16}
    return [*tensors, features, layers], options


def type_name(value: Any) -> str:
    """Of an argument, in Triton's words."""
    if not isinstance(value, Tensor):
        return "i32" if isinstance(value, int) else "fp32"
    bits = 8 * value.itemsize
    if value.dtype == torch.bfloat16:
        return "*bf16"
    return f"*{'fp' if value.is_floating_point() else 'i' if value.dtype.is_signed else 'u'}{bits}"


Call = tuple[Any, dict[str, Any], dict[str, str]]
"""Kernel, constants and types of the other arguments."""


class Recorder:
    """Stands in for a kernel and notes how it is launched."""

    def __init__(self, kernel: Any, calls: list[Call]) -> None:
        self.kernel, self.calls, self.arg_names = kernel, calls, kernel.arg_names

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*args: Any, **constants: Any) -> None:
            named = dict(zip(self.arg_names, args, strict=False))
            types = {p: type_name(v) for p, v in named.items() if v is not None}
            call = self, constants | {p: None for p, v in named.items() if v is None}, types
            if call not in self.calls:  # once for all blocks of channels
                self.calls.append(call)
            self.kernel[grid](*args, **constants)

        return launch


@pytest.mark.skipif(torch.cuda.is_available(), reason="looks at interpreted kernels")
@pytest.mark.parametrize("shared_kb", sorted(set(LIMIT_KB.values())))
@pytest.mark.parametrize(
    ("shape", "m"), [(((16, 16, 16), 6, 0, False), 3), (((16, 16, 256), 16, 3, False), 4), (SHAPES["sa3"], 4)]
)
def test_what_is_compiled_is_what_is_launched(
    shape: Shape, m: int, shared_kb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same kernels with the same constants; arguments of the same types."""
    calls: list[Call] = []
    for name, kernel in list(vars(kernels).items()):
        if name.endswith("_kernel") and not name.startswith(("finalise", "output", "back_output", "back_points")):
            monkeypatch.setattr(kernels, name, Recorder(kernel, calls))
    monkeypatch.setattr(cuda, "shared_memory", lambda device: shared_kb << 10)
    tensors, options = make_call(shape, m)
    cuda.grouped_mlp(*tensors, **options, training=True).sum().backward()
    with torch.no_grad():
        cuda.grouped_mlp(*tensors, **options, training=False)
    sizes = cuda._sizes(*(tensors[i] for i in (0, 2, 3, 4)), 1.0, 1e-5, torch.bfloat16)
    expected: list[Call] = []
    for _, kernel, constants in [*fit.launched(sizes, True), *fit.launched(sizes, False)]:
        types = {p: t for p, t in fit.types(kernel, constants, torch.bfloat16).items() if t != "constexpr"}
        if (kernel, constants, types) not in expected:  # both begin with the first kernel
            expected.append((kernel, constants, types))
    assert calls == expected


def fake_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], shared_kb: int) -> Any:
    """Answers for a GPU where there is none."""
    properties = SimpleNamespace(shared_memory_per_block_optin=shared_kb << 10, multi_processor_count=1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    fit._too_large.cache_clear()


def refusal(k: int, training: bool = True) -> str | None:
    sizes = Sizes(
        num_centers=8, m=8, n=9, k=k, channels=(128, 128, 256), num_raw=0, projected=True, radius_m=1.0, eps=0.0,
        dtype=torch.bfloat16, shared=99 << 10,
    )  # fmt: skip
    return fit.why_not(sizes, training, torch.device("cuda", 0))


def test_what_does_not_fit_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def needs(sizes: Sizes, training: bool, arch: int) -> dict[str, tuple[int, int]]:
        asked.append(arch)
        return {"first": (sizes.k << 10, 0), "third": (sizes.k << 11, 0)}

    monkeypatch.setattr(fit, "needs", needs)
    fake_gpu(monkeypatch, (8, 6), 99)
    assert refusal(32) is None
    reason = refusal(64)
    assert reason is not None and "need 128 KB of shared memory, and the GPU has 99" in reason
    assert refusal(64) == reason and asked == [86, 86]
    fake_gpu(monkeypatch, (9, 0), 227)
    assert refusal(64) is None and len(asked) == 2  # tuned there: nothing is compiled ahead
    assert refusal(65) is not None
    monkeypatch.setattr(fit, "needs", lambda *_: {"third": (1, 513)})
    fake_gpu(monkeypatch, (10, 0), 227)
    assert "tensor memory" in str(refusal(16))

    def broken(*_: Any) -> Any:
        raise RuntimeError("ptxas fails\nat length")

    monkeypatch.setattr(fit, "needs", broken)
    fake_gpu(monkeypatch, (12, 0), 99)
    assert str(refusal(16)).endswith("do not compile for compute capability 12.0: ptxas fails")


def test_the_reference_answers_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so once."""
    tensors, options = make_call(((16, 16, 16), 4, 0, False), 3)
    tensors = [t.bfloat16() if i < 2 else t for i, t in enumerate(tensors)]
    for i, layer in enumerate(tensors[4]):
        names = ("weight", "gamma", "beta", "running_mean", "running_var")
        tensors[4][i] = ConvNorm(**{name: getattr(layer, name).bfloat16() for name in names})
    reasons = iter(["the kernels need 128 KB"] * 2)
    monkeypatch.setattr(contract, "_why_not", lambda *_: next(reasons))
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda t: True))
    contract._say_once.cache_clear()
    options = {name: options[name] for name in ("radius_m", "momentum")}
    with pytest.warns(UserWarning, match="plain torch: the kernels need 128 KB"):
        contract.grouped_mlp(*tensors, **options, training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        contract.grouped_mlp(*tensors, **options, training=True)
