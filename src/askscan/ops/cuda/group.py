"""Gathering neighbours' features on the GPU, and its gradient (see `group.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.ops.cuda.nvrtc import launch
from askscan.ops.cuda.rows import row_block, vector_defines

_UNIT_BYTES = (16, 4, 2, 1)
_ROWS = 4


def group(features: Tensor, index: Tensor) -> Tensor:
    """See `askscan.ops.group`."""
    (b, n, c), (_, m, k) = features.shape, index.shape
    features, index = features.contiguous(), index.contiguous()
    out = features.new_empty(b, m, k, c)
    row_bytes = c * features.element_size()
    size = next(s for s in _UNIT_BYTES if row_bytes % s == 0 and features.data_ptr() % s == 0)
    if c == 0:
        return out
    block = row_block(row_bytes // size)
    grid = (-(-m * k // (block[1] * _ROWS)), b)
    args = (features, index, out, n, m * k, row_bytes // size)
    launch("group", "group", grid, block, args, defines={"UNIT_BYTES": size, "ROWS": _ROWS})
    return out


def group_backward(grad: Tensor, index: Tensor, n: int) -> Tensor:
    """Gradient (b n c) of `group` for its features. Sums run in float32 through atomics: their order varies."""
    b, m, k, c = grad.shape
    grad, index = grad.contiguous(), index.contiguous()
    out = torch.zeros(b, n, c, dtype=torch.float32, device=grad.device)
    if k and c:
        defines, vectors = vector_defines(grad)
        block = row_block(vectors)
        grid = (-(-m // block[1]), b)
        launch("group", "group_backward", grid, block, (grad, index, out, n, m, k, c), defines=defines)
    return out.to(grad.dtype)
