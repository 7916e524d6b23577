"""Farthest point sampling on the GPU: one block a cloud, exact bucket skipping (see `farthest_points.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.ops.cuda.nvrtc import launch
from askscan.ops.cuda.spatial import sort_points


def farthest_points(xyz: Tensor, num: int, *, threads: int = 0, slots: int = 1) -> Tensor:
    """See `askscan.ops.farthest_points`; `threads` a block (0: by size) and bucket `slots` a thread are tuning."""
    b, n, _ = xyz.shape
    out = torch.empty(b, num, dtype=torch.int64, device=xyz.device)
    if num == 0:
        return out
    threads = threads or (1024 if n > 16384 else 512 if n > 4096 else 256)
    xyz = xyz.contiguous()
    cloud = sort_points(xyz, max_buckets=threads * slots)
    distances = xyz.new_empty(b, cloud.num * 32 * cloud.chunks)
    launch(
        "farthest_points",
        "farthest_points",
        (b, 1),
        (threads, 1),
        (xyz, cloud.points, cloud.boxes, distances, out, n, cloud.num, num),
        defines={"THREADS": threads, "SLOTS": slots, "CHUNKS": cloud.chunks},
    )
    return out
