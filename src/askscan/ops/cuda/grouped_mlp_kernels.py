# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Triton kernels for the shared MLP of PointNet++ set abstraction, three layers, training and evaluation.

BatchNorm needs the statistics of a whole batch between layers, so training is one pass over all (centre, neighbour)
rows per layer. What a pass leaves in memory is kept small:

    forward   1  statistics of y1 (recomputed from the points whenever it is needed, never stored)
              2  y1 -> a1 -> y2: stored in 16 bits, with its statistics
              3  y2 -> a2 -> y3: statistics, and per centre only the neighbour that wins the max and its y3
    backward  3  y2 -> a2 -> y3 -> dy3 -> dW3, and d(normalised y2), stored in 16 bits
              2  dy2 -> dW2, d(normalised y1) (stored only if the points' features need a gradient), dW1
              1  gradient of the projected features: sum over the rows of each point, in the order of a stable sort

BatchNorm followed by ReLU is monotone in y3 with the sign of gamma, so the winner is known before the statistics are:
W3 is multiplied by that sign and the raw maximum is kept. The gradient of BatchNorm is affine in (g, normalised y), so
its sums over rows commute with the sums for dW1 and for the points: no further pass over the rows is needed for them.

No float atomics: programs are persistent, each leaves one partial sum, and these are added in a fixed order.
A program's rows are whole centres; a number of neighbours that is no power of two is padded and masked.
"""

from __future__ import annotations

from typing import no_type_check  # constexpr arguments arrive as numbers, or as they are in the interpreter

import triton
import triton.language as tl


@triton.jit
@no_type_check
def _rows(tile, num_centers, K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr):
    """Rows of a tile: the first one's number in (b m k), their numbers after that, centre in (b m), are they real."""
    r = tl.arange(0, CENTERS * K_PAD)
    center = tile * CENTERS + r // K_PAD
    slot = r % K_PAD
    first = tl.cast(tile, tl.int64) * CENTERS * K
    return first, (r // K_PAD) * K + slot, center, (slot < K) & (center < num_centers)


@triton.jit
@no_type_check
def _points(index, first, row, center, valid, m, n):
    """Point of each row in (b n)."""
    return tl.load(index + first + row, mask=valid, other=0).to(tl.int64) + (center // m).to(tl.int64) * n


@triton.jit
@no_type_check
def _direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW: tl.constexpr):
    """(rows, 16): relative xyz, raw features, zeros, and 1 in the last column of real rows."""
    j = tl.arange(0, 16)
    is_xyz = valid[:, None] & (j < 3)[None, :]
    position = tl.load(xyz + point[:, None] * 3 + j[None, :], mask=is_xyz, other=0.0)
    origin = tl.load(centers + center[:, None] * 3 + j[None, :], mask=is_xyz, other=0.0)
    x = (position - origin) * inv_radius
    if NUM_RAW > 0:
        is_raw = valid[:, None] & ((j >= 3) & (j < 3 + NUM_RAW))[None, :]
        x += tl.load(raw + point[:, None] * NUM_RAW + (j - 3)[None, :], mask=is_raw, other=0.0).to(tl.float32)
    return tl.where(valid[:, None] & (j == 15)[None, :], 1.0, x)


@triton.jit
@no_type_check
def _direct_weight(w1, w1_stride, C1: tl.constexpr, NUM_RAW: tl.constexpr):
    """(16, C1): the columns of W1 that act on the direct input; zero for the constant."""
    j = tl.arange(0, 16)
    c = tl.arange(0, C1)
    return tl.load(w1 + c[None, :] * w1_stride + j[:, None], mask=(j < 3 + NUM_RAW)[:, None], other=0.0)


@triton.jit
@no_type_check
def _first_layer(x, w, projected, point, valid, C1: tl.constexpr, HAS_PROJECTED: tl.constexpr, XP: tl.constexpr):
    y = tl.dot(x, w, input_precision=XP)
    if HAS_PROJECTED:
        c = tl.arange(0, C1)
        y += tl.load(projected + point[:, None] * C1 + c[None, :], mask=valid[:, None], other=0.0).to(tl.float32)
    return y


@triton.jit
@no_type_check
def _norm_vectors(stats, gamma, beta, c, C: tl.constexpr, eps):
    """Mean, 1 / standard deviation, gamma, beta of the channels c. `stats` is (2, C): mean, biased variance."""
    mean = tl.load(stats + c)
    inv_std = 1.0 / tl.sqrt(tl.load(stats + C + c) + eps)
    return mean, inv_std, tl.load(gamma + c), tl.load(beta + c)


@triton.jit
@no_type_check
def _norm_relu(y, stats, gamma, beta, eps, C: tl.constexpr, DTYPE: tl.constexpr):
    mean, inv_std, g, b = _norm_vectors(stats, gamma, beta, tl.arange(0, C), C, eps)
    scale = inv_std * g
    return tl.maximum(y * scale[None, :] + (b - mean * scale)[None, :], 0.0).to(DTYPE)


@triton.jit
@no_type_check
def _clear(sums, C: tl.constexpr, NUM: tl.constexpr):
    for i in tl.static_range(NUM):
        tl.store(sums + i * C + tl.arange(0, C), tl.zeros((C,), tl.float32))


@triton.jit
@no_type_check
def _add_statistics(y, valid, num_valid, count, sums, C: tl.constexpr):
    """Merge a tile into the program's (mean, squared deviations, count), which live in memory to spare registers."""
    c = tl.arange(0, C)
    tl.debug_barrier()  # the thread that loads an element need not be the one that stored it
    old_mean = tl.load(sums + c)
    old_m2 = tl.load(sums + C + c)
    y = tl.where(valid[:, None], y, 0.0)
    tile_mean = tl.sum(y, axis=0) / num_valid
    tile_m2 = tl.sum(y * y, axis=0) - num_valid * tile_mean * tile_mean
    total = count + num_valid
    step = tile_mean - old_mean
    tl.store(sums + c, old_mean + step * (num_valid / total))
    tl.store(sums + C + c, old_m2 + tile_m2 + step * step * (count * num_valid / total))
    tl.store(sums + 2 * C + c, tl.zeros((C,), tl.float32) + total)
    return total


@triton.jit
@no_type_check
def _add_sums(grad, y, sums, C: tl.constexpr):
    """Add a tile's sums of grad and grad * y to the program's."""
    c = tl.arange(0, C)
    tl.debug_barrier()  # as in _add_statistics
    s0 = tl.load(sums + c)
    s1 = tl.load(sums + C + c)
    tl.store(sums + c, s0 + tl.sum(grad, axis=0))
    tl.store(sums + C + c, s1 + tl.sum(grad * y, axis=0))


@triton.jit
@no_type_check
def first_kernel(
    xyz, centers, index, raw, projected, w1, partial, num_centers, m, n, num_tiles, w1_stride, inv_radius,
    C1: tl.constexpr, NUM_RAW: tl.constexpr, HAS_PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, XP: tl.constexpr,
):  # fmt: skip
    """Statistics of y1."""
    w = _direct_weight(w1, w1_stride, C1, NUM_RAW)
    sums = partial + tl.program_id(0) * 3 * C1
    _clear(sums, C1, 3)
    count = 0.0
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, center, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        point = _points(index, first, row, center, valid, m, n)
        x = _direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW)
        y = _first_layer(x, w, projected, point, valid, C1, HAS_PROJECTED, XP)
        num_valid = (tl.minimum(num_centers - tile * CENTERS, CENTERS) * K).to(tl.float32)
        count = _add_statistics(y, valid, num_valid, count, sums, C1)


@triton.jit
@no_type_check
def second_kernel(
    xyz, centers, index, raw, projected, w1, stats1, gamma1, beta1, w2, y2, partial,
    num_centers, m, n, num_tiles, w1_stride, inv_radius, eps,
    C1: tl.constexpr, C2: tl.constexpr, NUM_RAW: tl.constexpr, HAS_PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, XP: tl.constexpr, DP: tl.constexpr,
):  # fmt: skip
    """y2 and its statistics."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    dtype = y2.dtype.element_ty
    w = _direct_weight(w1, w1_stride, C1, NUM_RAW)
    wt2 = tl.load(w2 + c2[None, :] * C1 + c1[:, None]).to(dtype)
    sums = partial + tl.program_id(0) * 3 * C2
    _clear(sums, C2, 3)
    count = 0.0
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, center, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        point = _points(index, first, row, center, valid, m, n)
        x = _direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW)
        y1 = _first_layer(x, w, projected, point, valid, C1, HAS_PROJECTED, XP)
        a1 = _norm_relu(y1, stats1, gamma1, beta1, eps, C1, dtype)
        y = tl.dot(a1, wt2, input_precision=DP)
        tl.store(y2 + first * C2 + row[:, None] * C2 + c2[None, :], y.to(dtype), mask=valid[:, None])
        num_valid = (tl.minimum(num_centers - tile * CENTERS, CENTERS) * K).to(tl.float32)
        count = _add_statistics(y, valid, num_valid, count, sums, C2)


@triton.jit
@no_type_check
def _max_over_neighbours(z, valid, K_PAD: tl.constexpr, CENTERS: tl.constexpr, C: tl.constexpr, PACK: tl.constexpr):
    """Maximum over each centre's rows and its slot, lowest slot first on ties.

    With PACK one integer maximum finds both: the low bits of the order-preserving integer image of z make room for the
    slot (a relative change of 2^-17 with 64 neighbours, far under the 2^-9 of bfloat16).
    """
    if PACK:
        bits = z.to(tl.int32, bitcast=True)
        key = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
        slot = tl.arange(0, CENTERS * K_PAD) % K_PAD
        key = (key & (-K_PAD)) | (K_PAD - 1 - slot)[:, None]
        key = tl.where(valid[:, None], key, -2147483647)
        best = tl.max(tl.reshape(key, (CENTERS, K_PAD, C)), axis=1)
        winner = K_PAD - 1 - (best & (K_PAD - 1))
        value = best & (-K_PAD)
        value = tl.where(value < 0, value ^ 0x7FFFFFFF, value).to(tl.float32, bitcast=True)
    else:
        z = tl.where(valid[:, None], z, -float("inf"))
        value, winner = tl.max(tl.reshape(z, (CENTERS, K_PAD, C)), axis=1, return_indices=True)
    return value, winner


@triton.jit
@no_type_check
def third_kernel(
    y2, stats2, gamma2, beta2, w3, gamma3, top, winner, partial, num_centers, num_tiles, eps,
    C2: tl.constexpr, C3: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, DP: tl.constexpr,
):  # fmt: skip
    """Statistics of sign(gamma) y3; per centre and channel its largest value and the neighbour that has it."""
    c2 = tl.arange(0, C2)
    c3 = tl.arange(0, C3)
    dtype = y2.dtype.element_ty
    sign = tl.where(tl.load(gamma3 + c3) < 0.0, -1.0, 1.0)
    wt3 = (tl.load(w3 + c3[None, :] * C2 + c2[:, None]) * sign[None, :]).to(dtype)
    sums = partial + tl.program_id(0) * 3 * C3
    _clear(sums, C3, 3)
    count = 0.0
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        y = tl.load(y2 + first * C2 + row[:, None] * C2 + c2[None, :], mask=valid[:, None], other=0.0).to(tl.float32)
        a2 = _norm_relu(y, stats2, gamma2, beta2, eps, C2, dtype)
        z = tl.dot(a2, wt3, input_precision=DP)
        num_valid = (tl.minimum(num_centers - tile * CENTERS, CENTERS) * K).to(tl.float32)
        count = _add_statistics(z * sign[None, :], valid, num_valid, count, sums, C3)
        value, slot = _max_over_neighbours(z, valid, K_PAD, CENTERS, C3, dtype != tl.float32)
        g = tl.arange(0, CENTERS)
        here = (tile * CENTERS + g < num_centers)[:, None]
        at = tl.cast(tile, tl.int64) * CENTERS * C3 + g[:, None] * C3 + c3[None, :]
        tl.store(top + at, value * sign[None, :], mask=here)
        tl.store(winner + at, slot.to(tl.uint8), mask=here)


@triton.jit
@no_type_check
def evaluate_kernel(
    xyz, centers, index, raw, projected, w1, stats1, gamma1, beta1, w2, stats2, gamma2, beta2,
    w3, stats3, gamma3, beta3, out, num_centers, m, n, num_tiles, w1_stride, inv_radius, eps,
    C1: tl.constexpr, C2: tl.constexpr, C3: tl.constexpr, NUM_RAW: tl.constexpr, HAS_PROJECTED: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, XP: tl.constexpr, DP: tl.constexpr,
):  # fmt: skip
    """All three layers and the maximum with fixed statistics: nothing but the result is written."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    c3 = tl.arange(0, C3)
    dtype = out.dtype.element_ty
    w = _direct_weight(w1, w1_stride, C1, NUM_RAW)
    wt2 = tl.load(w2 + c2[None, :] * C1 + c1[:, None]).to(dtype)
    wt3 = tl.load(w3 + c3[None, :] * C2 + c2[:, None]).to(dtype)
    mean, inv_std, gamma, beta = _norm_vectors(stats3, gamma3, beta3, c3, C3, eps)
    scale = (inv_std * gamma)[None, :]
    shift = (beta - mean * inv_std * gamma)[None, :]
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, center, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        point = _points(index, first, row, center, valid, m, n)
        x = _direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW)
        y1 = _first_layer(x, w, projected, point, valid, C1, HAS_PROJECTED, XP)
        a1 = _norm_relu(y1, stats1, gamma1, beta1, eps, C1, dtype)
        a2 = _norm_relu(tl.dot(a1, wt2, input_precision=DP), stats2, gamma2, beta2, eps, C2, dtype)
        y3 = tl.dot(a2, wt3, input_precision=DP) * scale + shift
        # Padded rows take part as 0: ReLU makes every real row at least that.
        y3 = tl.where(valid[:, None], tl.maximum(y3, 0.0), 0.0)
        best = tl.max(tl.reshape(y3, (CENTERS, K_PAD, C3)), axis=1)
        g = tl.arange(0, CENTERS)
        here = (tile * CENTERS + g < num_centers)[:, None]
        at = tl.cast(tile, tl.int64) * CENTERS * C3 + g[:, None] * C3 + c3[None, :]
        tl.store(out + at, best.to(dtype), mask=here)


@triton.jit
@no_type_check
def finalise_kernel(
    partial, stats, running_mean, running_var, num_programs, momentum,
    C: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr, UPDATE: tl.constexpr,
):  # fmt: skip
    """Merge the programs' (mean, squared deviations, count) into mean and biased variance; update the running ones."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    weighted = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, num_programs, CHUNK):
        p = start + tl.arange(0, CHUNK)
        at = partial + p[:, None] * 3 * C + c[None, :]
        here = (p < num_programs)[:, None]
        count = tl.load(at + 2 * C, mask=here, other=0.0)
        total += tl.sum(count, axis=0)
        weighted += tl.sum(count * tl.load(at, mask=here, other=0.0), axis=0)
    mean = weighted / total
    m2 = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, num_programs, CHUNK):
        p = start + tl.arange(0, CHUNK)
        at = partial + p[:, None] * 3 * C + c[None, :]
        here = (p < num_programs)[:, None]
        off = tl.load(at, mask=here, other=0.0) - mean[None, :]
        count = tl.load(at + 2 * C, mask=here, other=0.0)
        m2 += tl.sum(tl.load(at + C, mask=here, other=0.0) + count * off * off, axis=0)
    tl.store(stats + c, mean)
    tl.store(stats + C + c, m2 / total)
    if UPDATE:
        old_mean = tl.load(running_mean + c)
        old_var = tl.load(running_var + c)
        tl.store(running_mean + c, old_mean + momentum * (mean - old_mean))
        tl.store(running_var + c, old_var + momentum * (m2 / (total - 1.0) - old_var))


@triton.jit
@no_type_check
def output_kernel(top, stats, gamma, beta, out, num_rows, eps, C: tl.constexpr, ROWS: tl.constexpr):
    """BatchNorm and ReLU of the winning y3."""
    c = tl.arange(0, C)
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = r.to(tl.int64)[:, None] * C + c[None, :]
    here = (r < num_rows)[:, None]
    y = tl.load(top + at, mask=here, other=0.0)
    tl.store(out + at, _norm_relu(y, stats, gamma, beta, eps, C, out.dtype.element_ty), mask=here)


@triton.jit
@no_type_check
def back_output_kernel(
    grad_out, top, stats, gamma, beta, g, partial, num_rows, num_tiles, eps, C: tl.constexpr, ROWS: tl.constexpr
):
    """Gradient through the last ReLU per centre, times gamma / deviation; its sums, plain and times normalised y3."""
    c = tl.arange(0, C)
    mean, inv_std, gam, bet = _norm_vectors(stats, gamma, beta, c, C, eps)
    s0 = tl.zeros((C,), tl.float32)
    s1 = tl.zeros((C,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        r = tile * ROWS + tl.arange(0, ROWS)
        at = r.to(tl.int64)[:, None] * C + c[None, :]
        here = (r < num_rows)[:, None]
        normed = (tl.load(top + at, mask=here, other=0.0) - mean[None, :]) * inv_std[None, :]
        grad = tl.load(grad_out + at, mask=here, other=0.0).to(tl.float32)
        grad = tl.where(normed * gam[None, :] + bet[None, :] > 0.0, grad, 0.0)
        tl.store(g + at, grad * (gam * inv_std)[None, :], mask=here)
        s0 += tl.sum(grad, axis=0)
        s1 += tl.sum(grad * normed, axis=0)
    tl.store(partial + tl.program_id(0) * 2 * C + c, s0)
    tl.store(partial + tl.program_id(0) * 2 * C + C + c, s1)


@triton.jit
@no_type_check
def _affine(stats, gamma, means, c, C: tl.constexpr, eps):
    """(p, q, r) with d y = p g - q - r y for BatchNorm; `means` is (2, C): batch means of g and of g * normalised y."""
    mean = tl.load(stats + c)
    inv_std = 1.0 / tl.sqrt(tl.load(stats + C + c) + eps)
    p = tl.load(gamma + c) * inv_std
    r = p * inv_std * tl.load(means + C + c)
    return p, p * tl.load(means + c) - r * mean, r


@triton.jit
@no_type_check
def back_third_kernel(
    y2, g, winner, w3, stats2, gamma2, beta2, stats3, gamma3, means3, g2, partial_w, partial,
    num_centers, num_tiles, eps,
    C2: tl.constexpr, C3: tl.constexpr, BLOCK: tl.constexpr, WEIGHT: tl.constexpr, INPUT: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, DP: tl.constexpr,
):  # fmt: skip
    """dW3 (WEIGHT; of BLOCK channels per program along axis 1) and the gradient of normalised y2 (INPUT) with sums."""
    c2 = tl.arange(0, C2)
    c3 = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    dtype = y2.dtype.element_ty
    wt3 = tl.load(w3 + c3[None, :] * C2 + c2[:, None]).to(dtype)
    dw = tl.zeros((BLOCK, C2), tl.float32) if WEIGHT else 0.0
    sums = partial + tl.program_id(0) * 2 * C2
    if INPUT:
        _clear(sums, C2, 2)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, _, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        at = row[:, None] * C2 + c2[None, :]
        y = tl.load(y2 + first * C2 + at, mask=valid[:, None], other=0.0).to(tl.float32)
        a2 = _norm_relu(y, stats2, gamma2, beta2, eps, C2, dtype)
        y3 = tl.reshape(tl.dot(a2, wt3, input_precision=DP), (CENTERS, K_PAD, BLOCK))
        i = tl.arange(0, CENTERS)
        here = (tile * CENTERS + i < num_centers)[:, None]
        base3 = tl.cast(tile, tl.int64) * CENTERS * C3
        at3 = i[:, None] * C3 + c3[None, :]
        _, q, r = _affine(stats3, gamma3, means3, c3, C3, eps)
        chosen = tl.load(winner + base3 + at3, mask=here, other=255).to(tl.int32)
        grad = tl.load(g + base3 + at3, mask=here, other=0.0)
        slot = tl.arange(0, K_PAD)[None, :, None]
        sparse = tl.where(chosen[:, None, :] == slot, grad[:, None, :], 0.0)
        d3 = tl.reshape(sparse - y3 * r[None, None, :] - q[None, None, :], (CENTERS * K_PAD, BLOCK))
        d3 = tl.where(valid[:, None], d3, 0.0).to(dtype)
        if WEIGHT:
            dw = tl.dot(tl.trans(d3), a2, dw, input_precision=DP)
        if INPUT:
            d2 = tl.dot(d3, tl.trans(wt3), input_precision=DP)
            d2 = tl.where(a2 > 0.0, d2, 0.0)
            tl.store(g2 + first * C2 + at, d2.to(dtype), mask=valid[:, None])
            mean, inv_std, _, _ = _norm_vectors(stats2, gamma2, beta2, c2, C2, eps)
            _add_sums(d2, (y - mean[None, :]) * inv_std[None, :], sums, C2)
    if WEIGHT:
        tl.store(partial_w + (tl.program_id(0) * C3 + c3[:, None]) * C2 + c2[None, :], dw)


@triton.jit
@no_type_check
def back_second_kernel(
    xyz, centers, index, raw, projected, w1, stats1, gamma1, beta1, y2, g2, w2, stats2, gamma2, means2,
    g1, center_sums, partial_w, partial, partial_x, num_centers, m, n, num_tiles, w1_stride, inv_radius, eps,
    C1: tl.constexpr, C2: tl.constexpr, NUM_RAW: tl.constexpr, HAS_PROJECTED: tl.constexpr,
    STORE: tl.constexpr, CENTER_SUMS: tl.constexpr,
    K: tl.constexpr, K_PAD: tl.constexpr, CENTERS: tl.constexpr, XP: tl.constexpr, DP: tl.constexpr,
):  # fmt: skip
    """dW2, the gradient g1 of normalised y1 with its sums, and the sums of (g1, normalised y1, 1) x direct input."""
    c1 = tl.arange(0, C1)
    c2 = tl.arange(0, C2)
    j = tl.arange(0, 16)
    dtype = y2.dtype.element_ty
    w = _direct_weight(w1, w1_stride, C1, NUM_RAW)
    w2_tile = tl.load(w2 + c2[:, None] * C1 + c1[None, :]).to(dtype)
    dw = tl.zeros((C2, C1), tl.float32)
    gx = tl.zeros((C1, 16), tl.float32)
    hx = tl.zeros((C1, 16), tl.float32)
    sx = tl.zeros((16,), tl.float32)
    sums = partial + tl.program_id(0) * 2 * C1
    _clear(sums, C1, 2)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        first, row, center, valid = _rows(tile, num_centers, K, K_PAD, CENTERS)
        point = _points(index, first, row, center, valid, m, n)
        at = row[:, None] * C2 + c2[None, :]
        grad = tl.load(g2 + first * C2 + at, mask=valid[:, None], other=0.0).to(tl.float32)
        y = tl.load(y2 + first * C2 + at, mask=valid[:, None], other=0.0).to(tl.float32)
        p, q, r = _affine(stats2, gamma2, means2, c2, C2, eps)
        d2 = tl.where(valid[:, None], grad * p[None, :] - y * r[None, :] - q[None, :], 0.0).to(dtype)
        x = _direct_input(xyz, centers, raw, point, center, valid, inv_radius, NUM_RAW)
        y1 = _first_layer(x, w, projected, point, valid, C1, HAS_PROJECTED, XP)
        a1 = _norm_relu(y1, stats1, gamma1, beta1, eps, C1, dtype)
        mean, inv_std, _, _ = _norm_vectors(stats1, gamma1, beta1, c1, C1, eps)
        normed = ((y1 - mean[None, :]) * inv_std[None, :]).to(dtype)
        x = x.to(dtype)
        sx += tl.sum(x.to(tl.float32), axis=0)
        hx = tl.dot(tl.trans(normed), x, hx, input_precision=DP)
        dw = tl.dot(tl.trans(d2), a1, dw, input_precision=DP)
        d1 = tl.where(a1 > 0.0, tl.dot(d2, w2_tile, input_precision=DP), 0.0)
        _add_sums(d1, normed.to(tl.float32), sums, C1)
        gx = tl.dot(tl.trans(d1.to(dtype)), x, gx, input_precision=DP)
        if STORE:
            tl.store(g1 + first * C1 + row[:, None] * C1 + c1[None, :], d1.to(dtype), mask=valid[:, None])
        if CENTER_SUMS:
            i = tile * CENTERS + tl.arange(0, CENTERS)
            here = (i < num_centers)[:, None]
            to = center_sums + i.to(tl.int64)[:, None] * 2 * C1 + c1[None, :]
            normed = tl.where(valid[:, None], normed.to(tl.float32), 0.0)
            tl.store(to, tl.sum(tl.reshape(d1, (CENTERS, K_PAD, C1)), axis=1), mask=here)
            tl.store(to + C1, tl.sum(tl.reshape(normed, (CENTERS, K_PAD, C1)), axis=1), mask=here)
    pid = tl.program_id(0)
    tl.store(partial_w + (pid * C2 + c2[:, None]) * C1 + c1[None, :], dw)
    at_x = partial_x + pid * (2 * C1 + 1) * 16
    tl.store(at_x + c1[:, None] * 16 + j[None, :], gx)
    tl.store(at_x + (C1 + c1)[:, None] * 16 + j[None, :], hx)
    tl.store(at_x + 2 * C1 * 16 + j, sx)


@triton.jit
@no_type_check
def back_points_kernel(
    g1, order, starts, projected, xyz, centers, w1, stats1, gamma1, means1, out, w1_stride, inv_radius, eps,
    C1: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Gradient of one point's projected features: the affine BatchNorm gradient of the sum over its rows."""
    point = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, C1)
    first = tl.load(starts + point)
    last = tl.load(starts + point + 1)
    x = tl.load(xyz + point * 3)
    y = tl.load(xyz + point * 3 + 1)
    z = tl.load(xyz + point * 3 + 2)
    total = tl.zeros((C1,), tl.float32)
    sx = 0.0
    sy = 0.0
    sz = 0.0
    for start in range(first, last, ROWS):
        s = start + tl.arange(0, ROWS)
        here = s < last
        row = tl.load(order + s, mask=here, other=0).to(tl.int64)
        grads = tl.load(g1 + row[:, None] * C1 + c[None, :], mask=here[:, None], other=0.0)
        total += tl.sum(grads.to(tl.float32), axis=0)
        center = centers + (row // K) * 3
        sx += tl.sum(tl.where(here, x - tl.load(center, mask=here, other=0.0), 0.0), axis=0)
        sy += tl.sum(tl.where(here, y - tl.load(center + 1, mask=here, other=0.0), 0.0), axis=0)
        sz += tl.sum(tl.where(here, z - tl.load(center + 2, mask=here, other=0.0), 0.0), axis=0)
    count = (last - first).to(tl.float32)
    w = w1 + c * w1_stride
    summed = (tl.load(w) * sx + tl.load(w + 1) * sy + tl.load(w + 2) * sz) * inv_radius
    summed += tl.load(projected + point * C1 + c).to(tl.float32) * count
    p, q, r = _affine(stats1, gamma1, means1, c, C1, eps)
    tl.store(out + point * C1 + c, (p * total - q * count - r * summed).to(out.dtype.element_ty))


@triton.jit
@no_type_check
def reduce_kernel(
    partial, total, mean, num_programs, width, factor, BLOCK: tl.constexpr, CHUNK: tl.constexpr, MEAN: tl.constexpr
):
    """Sum of the programs' partial sums, and that sum times a factor."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, num_programs, CHUNK):
        p = start + tl.arange(0, CHUNK)
        here = (p < num_programs)[:, None] & (c < width)[None, :]
        acc += tl.sum(tl.load(partial + p.to(tl.int64)[:, None] * width + c[None, :], mask=here, other=0.0), axis=0)
    tl.store(total + c, acc, mask=c < width)
    if MEAN:
        tl.store(mean + c, acc * factor, mask=c < width)
