"""Boxes: corners, decoding of the detector's output, rotations and the hulls of turned boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.records import DetectorOutput
from askscan.shapes import MEAN_SIZES

CORNER_SIGNS = tuple((x, y, z) for z in (1.0, -1.0) for x, y in ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)))
"""Signs of (x, y, z) of the eight corners, in the order of ScanQA's submission format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Predicted boxes, one per proposal."""

    center: Float[Tensor, "b k 3"]
    size: Float[Tensor, "b k 3"]
    """Metres along the axes: the benchmarks have no turned boxes."""
    semantic_class: Int[Tensor, "b k"]
    objectness: Float[Tensor, "b k"]
    """Probability of being an object."""
    is_object: Bool[Tensor, "b k"]


@cache
def _constant(values: tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    # Filled element by element: a copy from the host would wait for the device, which a CUDA graph forbids.
    # Not as an inference tensor: the cached one may be used in training later.
    with torch.inference_mode(False):
        return torch.stack([torch.stack([torch.full((), v, device=device) for v in row]) for row in values])


def mean_sizes(device: torch.device) -> Float[Tensor, "18 3"]:
    """Mean box size of each class in metres, float32 on `device` (made once per device; do not write to it)."""
    return _constant(MEAN_SIZES, device)


def box_corners(center: Float[Tensor, "*b 3"], size: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 8 3"]:
    """Corners of axis-aligned boxes in the benchmark's order (`CORNER_SIGNS`)."""
    signs = _constant(CORNER_SIGNS, center.device).to(center.dtype)
    return center[..., None, :] + 0.5 * signs * size[..., None, :]


def decode_boxes(output: DetectorOutput) -> Boxes:
    """Boxes of each proposal's most likely size class (VoteNet, Qi et al. 2019, appendix A.1)."""
    size_class = output.size_scores.argmax(-1)
    residual = output.size_residuals.gather(2, size_class[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]
    return Boxes(
        center=output.center,
        size=mean_sizes(output.center.device)[size_class] * (1 + residual),
        semantic_class=output.semantic_scores.argmax(-1),
        objectness=output.objectness.float().softmax(-1)[..., 1],
        is_object=output.objectness[..., 1] > output.objectness[..., 0],
    )
