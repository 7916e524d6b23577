"""Spatially ordered clouds: points along a space-filling path, in buckets with boxes (see `spatial.cu`)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from askscan.ops.cuda.nvrtc import launch

CELL_BITS = 14
"""2^14 cells: their counters (64 KB) fit the shared memory of every GPU from Ampere on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Each cloud cut into buckets of `32 * chunks` points; padding points have an index above every real one."""

    points: Tensor
    """(b, num * 32 * chunks, 4) float32: x, y, z and the bits of the point's original index."""
    boxes: Tensor
    """(b, num, 2, 4) float32: low and high corner of each bucket; the fourth value is unused."""
    num: int
    chunks: int


def sort_points(xyz: Tensor, *, max_buckets: int) -> Buckets:
    """Orders contiguous clouds (b, n, 3) and cuts them into at most `max_buckets` buckets."""
    b, n, _ = xyz.shape
    chunks = -(-n // (32 * max_buckets))
    if chunks > 2:  # few compiled variants: powers of two
        chunks = 1 << (chunks - 1).bit_length()
    num = -(-n // (32 * chunks))
    points = xyz.new_empty(b, num * 32 * chunks, 4)
    boxes = xyz.new_empty(b, num, 2, 4)
    launch(
        "spatial",
        "sort_points",
        (b, 1),
        (1024, 1),
        (xyz, points, boxes, n, num, chunks),
        defines={"CELL_BITS": CELL_BITS},
        shared=4 << CELL_BITS,
    )
    return Buckets(points=points, boxes=boxes, num=num, chunks=chunks)
