"""Stand-ins for the published checkpoints: their names and shapes, filled by a fixed rule."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@cache
def published_tensors(model: str) -> dict[str, Tensor]:
    """Tensors of the published `pretrain` or `qa` model (CLIP left out), as the parity figures were made with."""
    names = json.loads((Path(__file__).parent / "names.json").read_text())[model]
    return {name: _filled(name, tuple(shape)) for name, shape in names}


def _filled(name: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        values = rng.uniform(0.5, 1.5, shape)
    elif len(shape) == 1:
        values = rng.normal(0, 0.1, shape)
    else:
        values = rng.normal(0, 1, shape) * np.sqrt(1.5 / np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))
