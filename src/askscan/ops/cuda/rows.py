"""How feature rows are split over threads, for the kernels that gather and scatter them."""

from __future__ import annotations

import torch
from torch import Tensor

DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""Feature types the kernels know, with the code that `common.cu` knows them by."""

_THREADS = 256


def row_block(units: int) -> tuple[int, int]:
    """Threads (along a row, rows) for rows of `units` vectors."""
    along = min(_THREADS, 1 << (units - 1).bit_length())
    return along, _THREADS // along


def vector_defines(rows: Tensor) -> tuple[dict[str, object], int]:
    """Macros for element type and vector width of contiguous rows, and the number of vectors in a row."""
    channels, width = rows.shape[-1], 16 // rows.element_size()
    vector = width if channels % width == 0 and rows.data_ptr() % 16 == 0 else 1
    return {"DTYPE": DTYPES[rows.dtype], "VECTOR": vector}, channels // vector
