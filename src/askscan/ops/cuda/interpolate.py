"""Three nearest points and interpolated features on the GPU (see `interpolate.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.ops.cuda.nvrtc import launch
from askscan.ops.cuda.rows import row_block, vector_defines

_THREADS = 128


def three_nearest(query: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """See `askscan.ops.three_nearest`."""
    (b, m, _), n = query.shape, points.shape[1]
    query, points = query.contiguous(), points.contiguous()
    distances, index = query.new_empty(b, m, 3), torch.empty(b, m, 3, dtype=torch.int64, device=query.device)
    args = (query, points, distances, index, m, n)
    launch("interpolate", "three_nearest", (-(-m // _THREADS), b), (_THREADS, 1), args)
    return distances, index


def interpolate(features: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """See `askscan.ops.interpolate`."""
    (b, n, c), m = features.shape, index.shape[1]
    features, index, weight = features.contiguous(), index.contiguous(), weight.contiguous()
    out = features.new_empty(b, m, c)
    if c:
        defines, vectors = vector_defines(features)
        block = row_block(vectors)
        args = (features, index, weight, out, n, m, c)
        launch("interpolate", "interpolate", (-(-m // block[1]), b), block, args, defines=defines)
    return out


def interpolate_backward(grad: Tensor, index: Tensor, weight: Tensor, n: int) -> Tensor:
    """Gradient (b n c) of `interpolate` for its features. Sums run in float32 through atomics: their order varies."""
    b, m, c = grad.shape
    grad, index, weight = grad.contiguous(), index.contiguous(), weight.contiguous()
    out = torch.zeros(b, n, c, dtype=torch.float32, device=grad.device)
    if c:
        defines, vectors = vector_defines(grad)
        block = row_block(vectors)
        args = (grad, index, weight, out, n, m, c)
        launch("interpolate", "interpolate_backward", (-(-m // block[1]), b), block, args, defines=defines)
    return out.to(grad.dtype)
