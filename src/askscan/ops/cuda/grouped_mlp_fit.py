"""Whether the grouped-MLP kernels fit a GPU, found by compiling them for it before they run.

Triton says so only at a kernel's first launch, when the forward pass has already changed the running statistics. What
was tuned (Hopper, up to 64 neighbours) is taken as fitting; every other GPU and shape costs seconds once, the compiled
kernels being in Triton's cache on disk after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from askscan.ops.cuda import grouped_mlp_kernels as kernels
from askscan.ops.cuda.grouped_mlp_launches import WEIGHT_APART, Sizes

TUNED = (9, 0)
"""Compute capability of the GPUs that the launches were measured on."""

_TENSOR_MEMORY = 512
"""Columns of Blackwell's tensor memory, which Triton checks too."""

_STORED = {"x", "y1", "y2", "g1", "g2", "out", "projected"}
"""Arguments in the dtype of the activations; other tensors are float32."""
_TYPES = {"index": "*i64", "winner": "*u8", "eps": "fp32", "inv_radius": "fp32"}
_TYPES |= dict.fromkeys(("num_centers", "m", "n", "num_tiles", "w1_stride"), "i32")
_DTYPES = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}

Compiled = tuple[str, Any, dict[str, Any]]
"""Name of a launch, its kernel, and all constants: those that a call gives, and None for tensors that it lacks."""


def launched(sizes: Sizes, training: bool) -> Iterator[Compiled]:
    """The kernels of a call that may be too large, as `grouped_mlp` launches them."""
    _, c2, c3 = sizes.channels
    first = dict(sizes.first_layer)
    absent = {} if sizes.projected else {"y1": None, "projected": None, "g1": None}
    absent |= {} if sizes.num_raw else {"raw": None}

    def one(name: str, kernel: Any, **constants: Any) -> Compiled:
        found = constants | {p: None for p in absent if p in kernel.arg_names}
        return name, kernel, found | sizes.launch(name, torch.device("cpu"))[2]

    yield one("first", kernels.first_kernel, **first)
    if not training:
        yield one("evaluate", kernels.evaluate_kernel, C2=c2, C3=sizes.block("evaluate"), **first)
        return
    yield one("second", kernels.second_kernel, C2=c2, **first)
    yield one("third", kernels.third_kernel, C2=c2, C3=c3)
    block = sizes.block("back_third")
    apart = WEIGHT_APART[sizes.width] or block < c3
    if block < c3:
        yield one("back_third", kernels.back_third_blocks_kernel, C2=c2, C3=c3, BLOCK=block)
    else:
        options = {"BLOCK": c3, "WEIGHT": not apart, "INPUT": True}
        yield one("back_third", kernels.back_third_kernel, C2=c2, C3=c3, **options)
    if apart:
        options = {"BLOCK": min(c3, 128), "WEIGHT": True, "INPUT": False}
        yield one("back_weight", kernels.back_third_kernel, C2=c2, C3=c3, **options)
    options = {"STORE": sizes.projected, "CENTER_SUMS": True}
    yield one("back_second", kernels.back_second_kernel, C2=c2, **options, **first)


def needs(sizes: Sizes, training: bool, arch: int) -> dict[str, tuple[int, int]]:
    """Bytes of shared memory and columns of tensor memory of each launch, compiled for `arch` (90 is Hopper)."""
    found = {}
    for name, kernel, constants in launched(sizes, training):
        compiled = _compile(kernel, constants, sizes.dtype, arch).metadata
        found[name] = (compiled.shared, getattr(compiled, "tmem_size", None) or 0)
    return found


def types(kernel: Any, constants: Mapping[str, Any], dtype: torch.dtype) -> dict[str, str]:
    """Of each argument of a kernel, in Triton's words."""
    return {
        p: "constexpr" if p in constants else _DTYPES[dtype] if p in _STORED else _TYPES.get(p, "*fp32")
        for p in kernel.arg_names
    }


def _compile(kernel: Any, constants: Mapping[str, Any], dtype: torch.dtype, arch: int) -> Any:
    options = {name: constants[name] for name in ("num_warps", "num_stages")}
    signature = types(kernel, constants, dtype)
    pointers = [i for i, kind in enumerate(signature.values()) if kind.startswith("*")]
    source = ASTSource(
        kernel,
        signature=signature,
        constexprs={(i,): constants[p] for i, p in enumerate(kernel.arg_names) if p in constants},
        attrs={(i,): [["tt.divisibility", 16]] for i in pointers},
    )
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def why_not(sizes: Sizes, training: bool, device: torch.device) -> str | None:
    """Why these kernels do not run on a GPU, or None."""
    capability = torch.cuda.get_device_capability(device)
    if capability == TUNED and sizes.k <= 64:
        return None
    # Only whether all tiles are full matters of these numbers.
    full = 256 if sizes.num_centers % 256 == 0 else 1
    sizes = replace(sizes, num_centers=full, m=1, n=1, radius_m=1.0, eps=0.0)
    return _too_large(sizes, training, 10 * capability[0] + capability[1])


@cache
def _too_large(sizes: Sizes, training: bool, arch: int) -> str | None:
    try:
        found = needs(sizes, training, arch)
    except Exception as error:  # Triton's and ptxas's have no base class; none may end a run that the reference can do
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"the kernels do not compile for compute capability {arch / 10}: {said}"
    shared = max(shared for shared, _ in found.values())
    shape = f"widths {sizes.channels} and {sizes.k} neighbours"
    if shared > sizes.shared:
        return f"at {shape} the kernels need {shared >> 10} KB of shared memory, and the GPU has {sizes.shared >> 10}"
    if any(columns > _TENSOR_MEMORY for _, columns in found.values()):
        return f"at {shape} the kernels need more tensor memory than the GPU has"
    return None
