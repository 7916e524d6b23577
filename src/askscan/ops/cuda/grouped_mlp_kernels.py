# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Triton kernels for the shared MLP of PointNet++ set abstraction, three layers, training and evaluation.

BatchNorm needs the statistics of a whole batch between layers, so training is one pass over all (centre, neighbour)
rows per layer, and one back:

    forward   1  gather: the direct input of every row (16 columns), statistics of y1; y1 itself is kept only where
                 projected features enter it, else the later passes make it again from the direct input
              2  y1 -> a1 -> y2: stored in 16 bits, with its statistics
              3  y2 -> a2 -> y3: statistics, and per centre only the neighbour that wins the max and its y3
    backward  3  y2 -> a2 -> y3 -> dy3 -> dW3, and d(normalised y2), stored in 16 bits
              2  dy2 -> dW2, d(normalised y1) (stored only if the points' features need a gradient), dW1
              1  gradient of the projected features: sum over the rows of each point, in the order of a stable sort

BatchNorm followed by ReLU is monotone in y3 with the sign of gamma, so the winner is known before the statistics are:
W3 is multiplied by that sign and the raw maximum is kept. The gradient of BatchNorm is affine in (g, normalised y), so
its sums over rows commute with the sums for dW1: no further pass over the rows is needed for it.

Tiles are (channels, rows): the matrix units leave a thread a few channels and many rows, so that sums and maxima over
rows stay inside threads and the vectors of a channel cost few registers. No float atomics: programs are persistent,
each leaves one partial sum, and these are added in a fixed order. A program's rows are whole centres; a number of
neighbours that is no power of two is padded and masked (EVEN: nothing is).
"""

from __future__ import annotations

from typing import no_type_check  # constexpr arguments arrive as numbers, or as they are in the interpreter

import triton
import triton.language as tl

from askscan.ops.cuda.grouped_mlp_tiles import (
    activate,
    direct_input,
    direct_weight,
    first_layer,
    load_tile,
    norm,
    standard,
    store_sums,
    store_tile,
    tile_centers,
    tile_rows,
)


@triton.jit
@no_type_check
def first_kernel(
    xyz, centers, index, raw, projected, w1, x, y1, partial, num_centers, m, n, num_tiles, w1_stride, inv_radius,
    C1: tl.constexpr, NUM_RAW: tl.constexpr, PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Direct input, y1 (where projected features enter it) and sums of y1 and its square."""
    dtype = x.dtype.element_ty
    w = direct_weight(w1, w1_stride, C1, NUM_RAW, dtype)
    s0 = tl.zeros((C1,), tl.float32)
    s1 = tl.zeros((C1,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, center, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        point = tl.load(index + first + row, mask=valid, other=0).to(tl.int32) + (center // m) * n
        direct = direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW, dtype)
        store_tile(x, direct, first, row, valid, 16)
        y = tl.dot(w, direct, input_precision="ieee")
        if PROJECTED:
            c1 = tl.arange(0, C1)
            at = point.to(tl.int64)[None, :] * C1 + c1[:, None]
            y += tl.load(projected + at, mask=valid[None, :], other=0.0).to(tl.float32)
            store_tile(y1, y, first, row, valid, C1)
        s0 += tl.sum(y, axis=1)
        s1 += tl.sum(y * y, axis=1)
    store_sums(partial, s0, s1, C1)


@triton.jit
@no_type_check
def second_kernel(
    x, y1, w1, stats1, gamma1, beta1, w2, y2, partial, num_centers, num_tiles, w1_stride, eps,
    C1: tl.constexpr, C2: tl.constexpr, NUM_RAW: tl.constexpr, PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """y2 and the sums of it and its square."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    dtype = y2.dtype.element_ty
    w = direct_weight(w1, w1_stride, C1, NUM_RAW, dtype)
    w2_tile = tl.load(w2 + c2[:, None] * C1 + c1[None, :]).to(dtype)
    scale, shift = norm(stats1, gamma1, beta1, C1, eps)
    s0 = tl.zeros((C2,), tl.float32)
    s1 = tl.zeros((C2,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        a1 = activate(first_layer(x, y1, w, first, row, valid, C1, PROJECTED), scale, shift, valid, dtype)
        y = tl.dot(w2_tile, a1, input_precision="ieee")
        store_tile(y2, y, first, row, valid, C2)
        s0 += tl.sum(y, axis=1)
        s1 += tl.sum(y * y, axis=1)
    store_sums(partial, s0, s1, C2)


@triton.jit
@no_type_check
def _signed_weight(w3, gamma3, C2: tl.constexpr, C3: tl.constexpr, DTYPE: tl.constexpr):
    """W3 with the sign of gamma in each row, and that sign."""
    c2 = tl.arange(0, C2)
    c3 = tl.arange(0, C3)
    sign = tl.where(tl.load(gamma3 + c3) < 0.0, -1.0, 1.0)[:, None]
    return (tl.load(w3 + c3[:, None] * C2 + c2[None, :]) * sign).to(DTYPE), sign


@triton.jit
@no_type_check
def third_kernel(
    y2, stats2, gamma2, beta2, w3, gamma3, top, winner, partial, num_centers, num_tiles, eps,
    C2: tl.constexpr, C3: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Sums of y3 and its square; per centre and channel the y3 that will win the maximum and its slot."""
    c3 = tl.arange(0, C3)
    dtype = y2.dtype.element_ty
    w3_tile, sign = _signed_weight(w3, gamma3, C2, C3, dtype)
    scale, shift = norm(stats2, gamma2, beta2, C2, eps)
    s0 = tl.zeros((C3,), tl.float32)
    s1 = tl.zeros((C3,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        a2 = activate(load_tile(y2, first, row, valid, C2), scale, shift, valid, dtype)
        z = tl.dot(w3_tile, a2, input_precision="ieee")
        s0 += tl.sum(z, axis=1)
        s1 += tl.sum(z * z, axis=1)
        z = tl.reshape(tl.where(valid[None, :], z, -float("inf")), (C3, CENTERS, K_PAD))
        best = tl.max(z, axis=2)
        slot = tl.arange(0, K_PAD)[None, None, :]
        chosen = tl.min(tl.where(z == best[:, :, None], slot, K_PAD - 1), axis=2)
        at, here = tile_centers(tile, c3, num_centers, C3, CENTERS, EVEN)
        tl.store(top + at, best * sign, mask=here)
        tl.store(winner + at, chosen.to(tl.uint8), mask=here)
    store_sums(partial, s0 * tl.reshape(sign, (C3,)), s1, C3)


@triton.jit
@no_type_check
def evaluate_kernel(
    x, y1, w1, stats1, gamma1, beta1, w2, stats2, gamma2, beta2, w3, stats3, gamma3, beta3, out,
    num_centers, num_tiles, w1_stride, eps,
    C1: tl.constexpr, C2: tl.constexpr, C3: tl.constexpr, NUM_RAW: tl.constexpr, PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """All three layers and the maximum with fixed statistics: nothing but the result is written."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    c3 = tl.arange(0, C3)
    dtype = out.dtype.element_ty
    w = direct_weight(w1, w1_stride, C1, NUM_RAW, dtype)
    w2_tile = tl.load(w2 + c2[:, None] * C1 + c1[None, :]).to(dtype)
    w3_tile, sign = _signed_weight(w3, gamma3, C2, C3, dtype)
    scale1, shift1 = norm(stats1, gamma1, beta1, C1, eps)
    scale2, shift2 = norm(stats2, gamma2, beta2, C2, eps)
    scale3, shift3 = norm(stats3, gamma3, beta3, C3, eps)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        a1 = activate(first_layer(x, y1, w, first, row, valid, C1, PROJECTED), scale1, shift1, valid, dtype)
        a2 = activate(tl.dot(w2_tile, a1, input_precision="ieee"), scale2, shift2, valid, dtype)
        z = tl.where(valid[None, :], tl.dot(w3_tile, a2, input_precision="ieee"), -float("inf"))
        best = tl.max(tl.reshape(z, (C3, CENTERS, K_PAD)), axis=2)
        at, here = tile_centers(tile, c3, num_centers, C3, CENTERS, EVEN)
        tl.store(out + at, tl.maximum(best * (sign * scale3) + shift3, 0.0).to(dtype), mask=here)


@triton.jit
@no_type_check
def finalise_kernel(
    partial, num_rows, stats, running_mean, running_var, num_programs, momentum,
    C: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Mean and biased variance from the programs' sums of y and its square; update the running statistics."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    s0 = tl.zeros((BLOCK,), tl.float64)  # the squares cancel
    s1 = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, num_programs, CHUNK):
        p = start + tl.arange(0, CHUNK)
        at = partial + p[:, None] * (2 * C) + c[None, :]
        here = (p < num_programs)[:, None]
        s0 += tl.sum(tl.load(at, mask=here, other=0.0).to(tl.float64), axis=0)
        s1 += tl.sum(tl.load(at + C, mask=here, other=0.0).to(tl.float64), axis=0)
    count = tl.load(num_rows).to(tl.float64)
    mean = s0 / count
    var = tl.maximum(s1 / count - mean * mean, 0.0)
    tl.store(stats + c, mean.to(tl.float32))
    tl.store(stats + C + c, var.to(tl.float32))
    old_mean = tl.load(running_mean + c)
    old_var = tl.load(running_var + c)
    tl.store(running_mean + c, old_mean + momentum * (mean.to(tl.float32) - old_mean))
    unbiased = var * (count / tl.maximum(count - 1.0, 1.0))
    tl.store(running_var + c, old_var + momentum * (unbiased.to(tl.float32) - old_var))


@triton.jit
@no_type_check
def output_kernel(top, stats, gamma, beta, out, num_rows, eps, C: tl.constexpr, ROWS: tl.constexpr):
    """BatchNorm and ReLU of the winning y3."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = r.to(tl.int64)[None, :] * C + tl.arange(0, C)[:, None]
    here = (r < num_rows)[None, :]
    scale, shift = norm(stats, gamma, beta, C, eps)
    y = tl.load(top + at, mask=here, other=0.0)
    tl.store(out + at, tl.maximum(y * scale + shift, 0.0).to(out.dtype.element_ty), mask=here)


@triton.jit
@no_type_check
def back_output_kernel(
    grad_out, top, stats, gamma, beta, g, partial, num_rows, num_tiles, eps, C: tl.constexpr, ROWS: tl.constexpr
):
    """Gradient through the last ReLU per centre, times gamma / deviation; its sums, plain and times normalised y3."""
    c = tl.arange(0, C)
    scale, shift = norm(stats, gamma, beta, C, eps)
    inv_std, offset = standard(stats, C, eps)
    s0 = tl.zeros((C,), tl.float32)
    s1 = tl.zeros((C,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        r = tile * ROWS + tl.arange(0, ROWS)
        at = r.to(tl.int64)[None, :] * C + c[:, None]
        here = (r < num_rows)[None, :]
        y = tl.load(top + at, mask=here, other=0.0)
        grad = tl.load(grad_out + at, mask=here, other=0.0).to(tl.float32)
        grad = tl.where(y * scale + shift > 0.0, grad, 0.0)
        tl.store(g + at, grad * scale, mask=here)
        s0 += tl.sum(grad, axis=1)
        s1 += tl.sum(grad * (y * inv_std + offset), axis=1)
    store_sums(partial, s0, s1, C)


@triton.jit
@no_type_check
def _affine(stats, gamma, means, c, C: tl.constexpr, eps):
    """(p, q, r) with d y = p g - q - r y for BatchNorm; `means` is (2, C): batch means of g and of g * normalised y."""
    inv_std = 1.0 / tl.sqrt(tl.load(stats + C + c) + eps)
    p = tl.load(gamma + c) * inv_std
    r = p * inv_std * tl.load(means + C + c)
    return p, p * tl.load(means + c) - r * tl.load(stats + c), r


@triton.jit
@no_type_check
def _winners_gradient(
    g, winner, tile, c3, num_centers,
    C3: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """(channels, centres, slots): each centre's gradient at its winner's slot, zero elsewhere."""
    at, here = tile_centers(tile, c3, num_centers, C3, CENTERS, EVEN)
    chosen = tl.load(winner + at, mask=here, other=255).to(tl.int32)
    grad = tl.load(g + at, mask=here, other=0.0)
    slot = tl.arange(0, K_PAD)[None, None, :]
    return tl.where(chosen[:, :, None] == slot, grad[:, :, None], 0.0)


@triton.jit
@no_type_check
def back_third_kernel(
    y2, g, winner, w3, stats2, gamma2, beta2, stats3, gamma3, means3, g2, partial_w, partial,
    num_centers, num_tiles, eps,
    C2: tl.constexpr, C3: tl.constexpr, BLOCK: tl.constexpr, WEIGHT: tl.constexpr, INPUT: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """dW3 (WEIGHT; of BLOCK channels per program along axis 1) and the gradient of normalised y2 (INPUT) with sums."""
    c2 = tl.arange(0, C2)
    c3 = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    dtype = y2.dtype.element_ty
    w3_tile = tl.load(w3 + c3[:, None] * C2 + c2[None, :]).to(dtype)
    scale, shift = norm(stats2, gamma2, beta2, C2, eps)
    inv_std, offset = standard(stats2, C2, eps)
    _p, q, r = _affine(stats3, gamma3, means3, c3, C3, eps)
    dw = tl.zeros((BLOCK, C2), tl.float32)
    s0 = tl.zeros((C2,), tl.float32)
    s1 = tl.zeros((C2,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        y = load_tile(y2, first, row, valid, C2)
        a2 = activate(y, scale, shift, valid, dtype)
        z = tl.dot(w3_tile, a2, input_precision="ieee")
        sparse = _winners_gradient(g, winner, tile, c3, num_centers, C3, K_PAD, CENTERS, EVEN)
        d3 = tl.reshape(sparse, (BLOCK, CENTERS * K_PAD)) - z * r[:, None] - q[:, None]
        d3 = tl.where(valid[None, :], d3, 0.0).to(dtype)
        if WEIGHT:
            dw = tl.dot(d3, tl.trans(a2), dw, input_precision="ieee")
        if INPUT:
            d2 = tl.dot(tl.trans(w3_tile), d3, input_precision="ieee")
            d2 = tl.where(y * scale + shift > 0.0, d2, 0.0)
            store_tile(g2, d2, first, row, valid, C2)
            s0 += tl.sum(d2, axis=1)
            s1 += tl.sum(d2 * (y * inv_std + offset), axis=1)
    if INPUT:
        store_sums(partial, s0, s1, C2)
    if WEIGHT:
        tl.store(partial_w + (tl.program_id(0) * C3 + c3[:, None]) * C2 + c2[None, :], dw)


@triton.jit
@no_type_check
def back_third_blocks_kernel(
    y2, g, winner, w3, stats2, gamma2, beta2, stats3, gamma3, means3, g2, partial,
    num_centers, num_tiles, eps,
    C2: tl.constexpr, C3: tl.constexpr, BLOCK: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """As `back_third_kernel` with INPUT alone where W3 cannot stay: every tile reads it, BLOCK channels at a time."""
    c2 = tl.arange(0, C2)
    dtype = y2.dtype.element_ty
    scale, shift = norm(stats2, gamma2, beta2, C2, eps)
    inv_std, offset = standard(stats2, C2, eps)
    s0 = tl.zeros((C2,), tl.float32)
    s1 = tl.zeros((C2,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        y = load_tile(y2, first, row, valid, C2)
        a2 = activate(y, scale, shift, valid, dtype)
        d2 = tl.zeros((C2, CENTERS * K_PAD), tl.float32)
        for start in tl.range(0, C3, BLOCK, num_stages=1):  # prefetched blocks would need the memory again
            c3 = start + tl.arange(0, BLOCK)
            w3_tile = tl.load(w3 + c3[:, None] * C2 + c2[None, :]).to(dtype)
            _p, q, r = _affine(stats3, gamma3, means3, c3, C3, eps)
            z = tl.dot(w3_tile, a2, input_precision="ieee")
            sparse = _winners_gradient(g, winner, tile, c3, num_centers, C3, K_PAD, CENTERS, EVEN)
            d3 = tl.reshape(sparse, (BLOCK, CENTERS * K_PAD)) - z * r[:, None] - q[:, None]
            d3 = tl.where(valid[None, :], d3, 0.0).to(dtype)
            d2 = tl.dot(tl.trans(w3_tile), d3, d2, input_precision="ieee")
        d2 = tl.where(y * scale + shift > 0.0, d2, 0.0)
        store_tile(g2, d2, first, row, valid, C2)
        s0 += tl.sum(d2, axis=1)
        s1 += tl.sum(d2 * (y * inv_std + offset), axis=1)
    store_sums(partial, s0, s1, C2)


@triton.jit
@no_type_check
def back_second_kernel(
    x, y1, w1, stats1, gamma1, beta1, y2, g2, w2, stats2, gamma2, means2, g1, center_sums, partial_w, partial,
    partial_x, num_centers, num_tiles, w1_stride, eps,
    C1: tl.constexpr, C2: tl.constexpr, NUM_RAW: tl.constexpr, PROJECTED: tl.constexpr,
    STORE: tl.constexpr, CENTER_SUMS: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """dW2, the gradient g1 of normalised y1 with its sums, and the sums of (g1, normalised y1, 1) x direct input."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    j = tl.arange(0, 16)
    dtype = y2.dtype.element_ty
    w = direct_weight(w1, w1_stride, C1, NUM_RAW, dtype)
    w2_tile = tl.load(w2 + c2[:, None] * C1 + c1[None, :]).to(dtype)
    scale, shift = norm(stats1, gamma1, beta1, C1, eps)
    inv_std, offset = standard(stats1, C1, eps)
    p, q, r = _affine(stats2, gamma2, means2, c2, C2, eps)
    dw = tl.zeros((C2, C1), tl.float32)
    gx = tl.zeros((16, C1), tl.float32)
    hx = tl.zeros((16, C1), tl.float32)
    sx = tl.zeros((16,), tl.float32)
    s0 = tl.zeros((C1,), tl.float32)
    s1 = tl.zeros((C1,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = tile_rows(tile, num_centers, K, K_PAD, CENTERS, EVEN)
        grad = load_tile(g2, first, row, valid, C2)
        y = load_tile(y2, first, row, valid, C2)
        d2 = tl.where(valid[None, :], grad * p[:, None] - y * r[:, None] - q[:, None], 0.0).to(dtype)
        y = first_layer(x, y1, w, first, row, valid, C1, PROJECTED)
        a1 = activate(y, scale, shift, valid, dtype)
        dw = tl.dot(d2, tl.trans(a1), dw, input_precision="ieee")
        d1 = tl.dot(tl.trans(w2_tile), d2, input_precision="ieee")
        d1 = tl.where(y * scale + shift > 0.0, d1, 0.0)
        normed = y * inv_std + offset
        s0 += tl.sum(d1, axis=1)
        s1 += tl.sum(d1 * normed, axis=1)
        direct = load_tile(x, first, row, valid, 16)
        sx += tl.sum(direct, axis=1)
        gx = tl.dot(direct.to(dtype), tl.trans(d1.to(dtype)), gx, input_precision="ieee")
        hx = tl.dot(direct.to(dtype), tl.trans(normed.to(dtype)), hx, input_precision="ieee")
        if STORE:
            store_tile(g1, d1, first, row, valid, C1)
        if CENTER_SUMS:
            at, here = tile_centers(tile, c1, num_centers, C1, CENTERS, EVEN)
            normed = tl.where(valid[None, :], normed, 0.0)
            tl.store(center_sums + at, tl.sum(tl.reshape(d1, (C1, CENTERS, K_PAD)), axis=2), mask=here)
            at += tl.cast(num_centers, tl.int64) * C1
            tl.store(center_sums + at, tl.sum(tl.reshape(normed, (C1, CENTERS, K_PAD)), axis=2), mask=here)
    store_sums(partial, s0, s1, C1)
    pid = tl.program_id(0)
    tl.store(partial_w + (pid * C2 + c2[:, None]) * C1 + c1[None, :], dw)
    at_x = partial_x + pid * (2 * C1 + 1) * 16
    tl.store(at_x + c1[None, :] * 16 + j[:, None], gx)
    tl.store(at_x + (C1 + c1)[None, :] * 16 + j[:, None], hx)
    tl.store(at_x + 2 * C1 * 16 + j, sx)


@triton.jit
@no_type_check
def back_points_kernel(g1, y1, order, starts, stats1, gamma1, means1, out, eps, C1: tl.constexpr, ROWS: tl.constexpr):
    """Gradient of one point's projected features: the sum of dy1 over its rows."""
    point = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, C1)
    first = tl.load(starts + point)
    last = tl.load(starts + point + 1)
    p, q, r = _affine(stats1, gamma1, means1, c, C1, eps)
    total = tl.zeros((C1,), tl.float32)
    for start in range(first, last, ROWS):
        s = start + tl.arange(0, ROWS)
        here = (s < last)[:, None]
        at = tl.load(order + s, mask=s < last, other=0).to(tl.int64)[:, None] * C1 + c[None, :]
        grad = tl.load(g1 + at, mask=here, other=0.0).to(tl.float32)
        y = tl.load(y1 + at, mask=here, other=0.0).to(tl.float32)
        total += tl.sum(tl.where(here, grad * p[None, :] - y * r[None, :] - q[None, :], 0.0), axis=0)
    tl.store(out + point * C1 + c, total.to(out.dtype.element_ty))
