"""How the grouped-MLP kernels are started: by kernel, width of the hidden layers and shared memory of the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import triton


class Launch(NamedTuple):
    """How a kernel is started: rows of a tile, warps of a program, pipelining depth, programs per multiprocessor."""

    rows: int
    num_warps: int
    num_stages: int
    programs: int
    block: int = 256
    """Channels of the third layer at a time, where the kernel can take them in turn."""


LAUNCHES: dict[tuple[str, int], Launch] = {
    ("first", 64): Launch(64, 4, 3, 5),
    ("second", 64): Launch(64, 4, 3, 5),
    ("third", 64): Launch(64, 4, 3, 3),
    ("back_third", 64): Launch(64, 4, 2, 2),
    ("back_weight", 64): Launch(64, 4, 2, 2),
    ("back_second", 64): Launch(64, 4, 2, 2),
    ("evaluate", 64): Launch(64, 4, 3, 3),
    ("first", 128): Launch(64, 8, 3, 2),
    ("second", 128): Launch(64, 8, 3, 2),
    ("third", 128): Launch(64, 8, 3, 1),
    ("back_third", 128): Launch(64, 8, 2, 1),
    ("back_weight", 128): Launch(64, 8, 3, 1),
    ("back_second", 128): Launch(32, 8, 2, 1),
    ("evaluate", 128): Launch(64, 8, 3, 1),
}
"""Fixed by measurement, never tuned at run time. The key is the kernel and the width class of the hidden layers.

Of those that are fast, ones that hardly spill registers: ptxas before CUDA 13.3, which Triton brings along, may let a
Hopper matrix product read registers that were already used again.
"""

_KB = 1024

LESS_SHARED: dict[int, dict[tuple[str, int], Launch]] = {
    163 * _KB: {
        ("third", 128): Launch(32, 8, 2, 1),
        ("back_third", 64): Launch(64, 4, 2, 1, block=128),
        ("evaluate", 128): Launch(64, 8, 2, 1, block=64),
    },
    227 * _KB: {("back_third", 128): Launch(64, 8, 2, 1, block=64)},
}
"""Launches that differ on GPUs with less than so many bytes of shared memory a program: consumer cards (99 KB); A100.

Chosen by what fits, which tests/ops/test_grouped_mlp_fit.py compiles for each architecture; not measured, and run on
Hopper alone, where tiles of 32 rows gave wrong values or read past the input in two of these kernels.
"""

WEIGHT_APART = {64: False, 128: True}
"""Whether dW3 gets a pass of its own: 256 x 128 accumulators beside the rest of that pass overflow the registers."""


def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that a program may have; as on Hopper where there is no GPU."""
    if device.type != "cuda":
        return 227 * _KB
    return int(torch.cuda.get_device_properties(device).shared_memory_per_block_optin)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Static sizes of one call and the arguments that the kernels take from them."""

    num_centers: int
    m: int
    n: int
    k: int
    channels: tuple[int, int, int]
    num_raw: int
    projected: bool
    radius_m: float
    eps: float
    dtype: torch.dtype
    shared: int
    """Bytes of shared memory that a program may have; see `shared_memory`."""

    @property
    def num_rows(self) -> int:
        """Real rows (b m k)."""
        return self.num_centers * self.k

    @property
    def width(self) -> int:
        """Width class that chooses the launches."""
        return 64 if max(self.channels[:2]) <= 64 else 128

    def choice(self, kernel: str) -> Launch:
        """The launch of a kernel for these widths on this GPU."""
        key = kernel, self.width
        for enough, launches in LESS_SHARED.items():
            if self.shared < enough and key in launches:
                return launches[key]
        return LAUNCHES[key]

    def block(self, kernel: str) -> int:
        """Channels of the third layer that a kernel takes at a time."""
        return min(self.channels[2], self.choice(kernel).block)

    def launch(self, kernel: str, device: torch.device) -> tuple[int, int, dict[str, Any]]:
        """Numbers of programs and tiles; the other keyword arguments of the launch."""
        choice = self.choice(kernel)
        k_pad = triton.next_power_of_2(self.k)
        centers = max(1, choice.rows // k_pad)
        tiles = triton.cdiv(self.num_centers, centers)
        sms = torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
        even = k_pad == self.k and self.num_centers % centers == 0
        meta = {"K": self.k, "K_PAD": k_pad, "CENTERS": centers, "EVEN": even}
        meta |= {"num_warps": choice.num_warps, "num_stages": choice.num_stages}
        return min(tiles, sms * choice.programs), tiles, meta

    @property
    def first_layer(self) -> dict[str, Any]:
        """Compile-time arguments of the kernels that need y1."""
        return {"C1": self.channels[0], "NUM_RAW": self.num_raw, "PROJECTED": self.projected}
