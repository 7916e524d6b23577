"""Ball query on the GPU: one warp a centre, over bucket boxes, or straight through a small cloud (`ball_query.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.ops.cuda.nvrtc import launch
from askscan.ops.cuda.spatial import sort_points

MAX_SCAN_POINTS = 4096
"""Up to here walking all points costs less than ordering them first."""

_WARPS = 8


def ball_query(
    centers: Tensor, points: Tensor, radius_squared: float, num: int, *, max_scan: int = MAX_SCAN_POINTS
) -> Tensor:
    """See `askscan.ops.ball_query`; the squared radius is already rounded to float32."""
    (b, m, _), n = centers.shape, points.shape[1]
    out = torch.empty(b, m, num, dtype=torch.int64, device=points.device)
    if num == 0:
        return out
    centers, points = centers.contiguous(), points.contiguous()
    grid, block = (-(-m // _WARPS), b), (_WARPS * 32, 1)
    if n <= max_scan:
        launch("ball_query", "ball_scan", grid, block, (centers, points, out, m, n, num, radius_squared))
        return out
    cloud = sort_points(points, max_buckets=2048)
    args = (centers, points, cloud.points, cloud.boxes, out, m, n, cloud.num, num, radius_squared)
    launch("ball_query", "ball_query", grid, block, args, defines={"CHUNKS": cloud.chunks})
    return out
