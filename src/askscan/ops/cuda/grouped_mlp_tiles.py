# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Tiles of (channels, rows): what the grouped-MLP kernels are built from. See `grouped_mlp_kernels`."""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def tile_rows(tile, num_centers, K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr):
    """Rows of a tile: the first one's number in (b m k), their numbers after that, centre in (b m), are they real."""
    r = tl.arange(0, CENTERS * K_PAD)
    center = tile * CENTERS + r // K_PAD
    first = tl.cast(tile, tl.int64) * (CENTERS * K)
    if EVEN:
        return first, r, center, tl.full((CENTERS * K_PAD,), True, tl.int1)
    return first, (r // K_PAD) * K + r % K_PAD, center, (r % K_PAD < K) & (center < num_centers)


@triton.jit
@no_type_check
def tile_centers(tile, c, num_centers, C: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr):
    """Offsets of a (channels, centres) tile in a (b m, C) tensor, and are the centres real."""
    center = tl.arange(0, CENTERS)
    at = tl.cast(tile, tl.int64) * (CENTERS * C) + center[None, :] * C + c[:, None]
    if EVEN:
        return at, tl.full((1, CENTERS), True, tl.int1)
    return at, (tile * CENTERS + center < num_centers)[None, :]


@triton.jit
@no_type_check
def direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW: tl.constexpr, DTYPE: tl.constexpr):
    """(16, rows): relative xyz, what its rounding lost, xyz again, raw features, zeros, and 1 for real rows."""
    j = tl.arange(0, 16)[:, None]
    v = tl.zeros((16, point.shape[0]), tl.float32)
    for axis in tl.static_range(3):
        position = tl.load(xyz + point * 3 + axis, mask=valid, other=0.0)
        relative = (position - tl.load(centers + center * 3 + axis, mask=valid, other=0.0)) * inv_radius
        v = tl.where((j < 9) & (j % 3 == axis), relative[None, :], v)
    for i in tl.static_range(NUM_RAW):
        v = tl.where(j == 9 + i, tl.load(raw + point * NUM_RAW + i, mask=valid, other=0.0)[None, :], v)
    v = tl.where((j >= 3) & (j < 6), v - v.to(DTYPE).to(tl.float32), v)
    return tl.where((j == 15) & valid[None, :], 1.0, v).to(DTYPE)


@triton.jit
@no_type_check
def direct_weight(w1, w1_stride, C1: tl.constexpr, NUM_RAW: tl.constexpr, DTYPE: tl.constexpr):
    """(C1, 16): W1 for the direct input: rounded, rounded again, what the rounding lost; zero for the constant.

    The three products give a coordinate about the precision of float32; raw features are rounded as autocast does.
    """
    j = tl.arange(0, 16)[None, :]
    column = tl.where(j < 9, j % 3, j - 6)
    c = tl.arange(0, C1)[:, None]
    w = tl.load(w1 + c * w1_stride + column, mask=(j < 9 + NUM_RAW) & (c >= 0), other=0.0)
    return tl.where((j >= 6) & (j < 9), w - w.to(DTYPE).to(tl.float32), w).to(DTYPE)


@triton.jit
@no_type_check
def norm(stats, gamma, beta, C: tl.constexpr, eps):
    """(C, 1) scale and shift of BatchNorm. `stats` is (2, C): mean, biased variance."""
    c = tl.arange(0, C)
    scale = tl.load(gamma + c) / tl.sqrt(tl.load(stats + C + c) + eps)
    return scale[:, None], (tl.load(beta + c) - tl.load(stats + c) * scale)[:, None]


@triton.jit
@no_type_check
def standard(stats, C: tl.constexpr, eps):
    """(C, 1) scale and shift that make y standard: 1 / deviation, -mean / deviation."""
    c = tl.arange(0, C)
    scale = 1.0 / tl.sqrt(tl.load(stats + C + c) + eps)
    return scale[:, None], (-tl.load(stats + c) * scale)[:, None]


@triton.jit
@no_type_check
def activate(y, scale, shift, valid, DTYPE: tl.constexpr):
    """BatchNorm and ReLU; zero where no row is."""
    return tl.where(valid[None, :], tl.maximum(y * scale + shift, 0.0), 0.0).to(DTYPE)


@triton.jit
@no_type_check
def load_tile(y, first, row, valid, C: tl.constexpr):
    """(C, rows) of a (b m k, C) tensor, in float32."""
    c = tl.arange(0, C)
    return tl.load(y + first * C + row[None, :] * C + c[:, None], mask=valid[None, :], other=0.0).to(tl.float32)


@triton.jit
@no_type_check
def store_tile(y, value, first, row, valid, C: tl.constexpr):
    """The reverse of `load_tile`, in the precision of the tensor."""
    c = tl.arange(0, C)
    tl.store(y + first * C + row[None, :] * C + c[:, None], value.to(y.dtype.element_ty), mask=valid[None, :])


@triton.jit
@no_type_check
def first_layer(x, y1, w, first, row, valid, C1: tl.constexpr, PROJECTED: tl.constexpr):
    """y1 of a tile: as stored where projected features entered it, else made again."""
    if PROJECTED:
        return load_tile(y1, first, row, valid, C1)
    return tl.dot(w, load_tile(x, first, row, valid, 16).to(x.dtype.element_ty), input_precision="ieee")


@triton.jit
@no_type_check
def store_sums(partial, s0, s1, C: tl.constexpr):
    """This program's row of (programs, 2, C)."""
    at = partial + tl.program_id(0) * (2 * C) + tl.arange(0, C)
    tl.store(at, s0)
    tl.store(at + C, s1)
