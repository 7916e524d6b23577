"""The shared MLP of PointNet++ set abstraction (Qi et al. 2017, section 3.2): group, three layers, max.

Of the grouped activations, which dwarf everything else in the network, the CUDA kernels keep one 16-bit tensor.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from askscan.errors import ConfigError
from askscan.ops.dispatch import forced
from askscan.ops.reference import grouped_mlp as reference
from askscan.ops.reference.grouped_mlp import AllReduce, ConvNorm, RowsByPoint, rows_by_point

__all__ = ["AllReduce", "ConvNorm", "RowsByPoint", "grouped_mlp", "rows_by_point"]


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"grouped_mlp runs as plain torch: {reason}", stacklevel=4)


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cuda") if x.is_cuda and torch.is_autocast_enabled("cuda") else x.dtype


@cache
def device_reason(device_type: str, index: int | None) -> str | None:
    """Why there are no kernels on a device, whatever the shapes, or None."""
    if device_type != "cuda":
        return f"there are no kernels for {device_type} devices"
    if find_spec("triton") is None:
        return "Triton is not installed (`pip install askscan[cuda]`)"
    if torch.cuda.get_device_capability(index) < (8, 0):
        return "the kernels need compute capability 8.0"
    from askscan.ops.cuda import compiler

    return compiler.why_not()


def _why_not(
    dtype: torch.dtype, xyz: Tensor, index: Tensor, features: Tensor | None, layers: Sequence[ConvNorm],
    training: bool, fixed: bool,
) -> str | None:  # fmt: skip
    """Why the kernels cannot answer, or None."""
    if dtype not in (torch.bfloat16, torch.float16):
        return f"the kernels store activations in 16 bits, not {dtype}"
    if fixed:
        return "the kernels have no gradient through fixed statistics or to positions without features"
    reason = device_reason(xyz.device.type, xyz.device.index)
    if reason is not None:
        return reason
    from askscan.ops.cuda import grouped_mlp as cuda

    return cuda.unsupported(xyz, index, features, layers, training, dtype)


def grouped_mlp(
    xyz: Float[Tensor, "b n 3"],
    centers: Float[Tensor, "b m 3"],
    index: Int[Tensor, "b m k"],
    features: Float[Tensor, "b n c"] | None,
    layers: Sequence[ConvNorm],
    *,
    radius_m: float,
    training: bool,
    momentum: float,
    eps: float = 1e-5,
    all_reduce: AllReduce | None = None,
    by_point: RowsByPoint | None = None,
) -> Float[Tensor, "b m d"]:
    """Features of each centre: the maximum over its neighbours of an MLP of (relative position, features).

    Per neighbour, three times: 1x1 convolution without bias, BatchNorm over all b * m * k rows, ReLU. The position is
    relative to the centre and divided by the radius; its three channels come before the features'.
    Differentiable in xyz, centers, features and every parameter, and deterministic.

    Args:
        xyz: Positions of the points in metres.
        centers: Positions of the centres in metres.
        index: Neighbours of each centre among the n points of its scene.
        features: Features of the points, or None for positions alone.
        layers: Weights and statistics; in training mode the running statistics are updated in place, as torch does.
        radius_m: Radius of the balls.
        training: Normalise by the batch's statistics (True) or by the running ones.
        momentum: Weight of the new statistics in the running ones (torch's sense).
        eps: Added to the variances.
        all_reduce: Sums a tensor over the ranks of a distributed run: BatchNorm then has the statistics of all ranks.
        by_point: `rows_by_point(index, n)`, which the gradient of the features needs; made there if not given.

    Raises:
        ConfigError: `ASKSCAN_OPS=cuda` or `use("cuda")` where the kernels cannot run.

    Returns:
        In the dtype of the features, or of autocast where it is on. On a GPU, 16-bit dtypes run in Triton kernels
        (float32 statistics and accumulation); everything else is the reference.
    """
    arguments: dict[str, Any] = {"radius_m": radius_m, "training": training, "momentum": momentum, "eps": eps}
    needs_grad = torch.is_grad_enabled() and any(
        t.requires_grad for t in (xyz, centers, features, *(layer.weight for layer in layers)) if t is not None
    )
    rare = needs_grad and (not training or (features is None and xyz.requires_grad))
    dtype = _compute_dtype(xyz if features is None else features)
    wanted = forced()
    reason = (
        "the reference was asked for"
        if wanted == "reference"
        else _why_not(dtype, xyz, index, features, layers, training, rare)
    )
    if reason is None:
        from askscan.ops.cuda import grouped_mlp as cuda

        arguments |= {"all_reduce": all_reduce, "by_point": by_point, "dtype": dtype}
        return cuda.grouped_mlp(xyz, centers, index, features, layers, **arguments)
    if wanted == "cuda":
        raise ConfigError(f"grouped_mlp: the cuda implementation was asked for, but {reason}")
    if xyz.is_cuda and dtype.itemsize == 2 and wanted is None:
        _say_once(reason)  # float32 on a GPU is for exactness, which the reference has
    return reference.grouped_mlp(xyz, centers, index, features, layers, all_reduce=all_reduce, **arguments)
