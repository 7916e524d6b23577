"""Launching of the grouped-MLP kernels and their autograd function. See `grouped_mlp_kernels` for the algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from askscan.ops.cuda import grouped_mlp_kernels as kernels
from askscan.ops.reference.grouped_mlp import AllReduce, ConvNorm

MAX_RAW_CHANNELS = 12
"""Input features up to this width are read as they are; wider ones, or ones with a gradient, are projected first."""


class Launch(NamedTuple):
    """How a kernel is started: rows of a tile, warps of a program, pipelining depth, programs per multiprocessor."""

    rows: int
    num_warps: int
    num_stages: int
    programs: int


LAUNCHES: dict[tuple[str, int], Launch] = {
    ("first", 64): Launch(128, 4, 2, 4),
    ("second", 64): Launch(128, 4, 2, 3),
    ("third", 64): Launch(128, 8, 2, 2),
    ("back_third", 64): Launch(64, 4, 2, 2),
    ("back_weight", 64): Launch(64, 4, 2, 2),
    ("back_second", 64): Launch(64, 4, 2, 2),
    ("evaluate", 64): Launch(128, 8, 2, 2),
    ("first", 128): Launch(128, 8, 2, 3),
    ("second", 128): Launch(128, 8, 2, 2),
    ("third", 128): Launch(64, 8, 2, 1),
    ("back_third", 128): Launch(64, 8, 2, 1),
    ("back_weight", 128): Launch(64, 8, 2, 1),
    ("back_second", 128): Launch(64, 8, 2, 1),
    ("evaluate", 128): Launch(64, 8, 2, 1),
}
"""Fixed by measurement, never tuned at run time. The key is the kernel and the width class of the hidden layers."""

WEIGHT_APART = {64: False, 128: True}
"""Whether dW3 gets a pass of its own: 256 x 128 accumulators beside the rest of that pass overflow the registers."""


class Points(NamedTuple):
    """What the first layer reads: flat positions, flat centres, neighbours, raw and projected features."""

    xyz: Tensor
    centers: Tensor
    neighbours: Tensor
    raw: Tensor | None
    projected: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Static sizes of one call and the arguments that the kernels take from them."""

    num_centers: int
    m: int
    n: int
    k: int
    channels: tuple[int, int, int]
    num_raw: int
    has_projected: bool
    radius_m: float
    eps: float
    dtype: torch.dtype

    @property
    def k_pad(self) -> int:
        """Neighbours padded to a power of two."""
        return triton.next_power_of_2(self.k)

    @property
    def num_rows(self) -> int:
        """Real rows (b m k)."""
        return self.num_centers * self.k

    @property
    def width(self) -> int:
        """Width class that chooses the launches."""
        return 64 if max(self.channels[:2]) <= 64 else 128

    def launch(self, kernel: str, device: torch.device) -> tuple[int, dict[str, Any]]:
        """Number of tiles; keyword arguments of the launch, with the number of programs under `grid`."""
        choice = LAUNCHES[kernel, self.width]
        centers = max(1, choice.rows // self.k_pad)
        tiles = triton.cdiv(self.num_centers, centers)
        sms = torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
        meta = {"K": self.k, "K_PAD": self.k_pad, "CENTERS": centers}
        meta |= {"num_warps": choice.num_warps, "num_stages": choice.num_stages}
        return tiles, {"grid": min(tiles, sms * choice.programs), "meta": meta}

    @property
    def direct_precision(self) -> str:
        """The first layer's 16 direct inputs: tf32 keeps more of a coordinate than 16 bits would."""
        return "ieee" if self.dtype == torch.float32 else "tf32"

    def first_layer(self) -> dict[str, Any]:
        """Compile-time arguments of the kernels that recompute y1."""
        return {"NUM_RAW": self.num_raw, "HAS_PROJECTED": self.has_projected, "XP": self.direct_precision}


def _reduce(partial: Tensor, count: float | Tensor, all_reduce: AllReduce | None) -> tuple[Tensor, Tensor]:
    """Sum over programs (this rank's), and the mean over the rows of all ranks."""
    total = torch.empty_like(partial[0])
    mean = torch.empty_like(total)
    width = total.numel()
    factor = 1.0 / count if all_reduce is None else 1.0
    kernels.reduce_kernel[(triton.cdiv(width, 32),)](
        partial, total, mean, len(partial), width, factor, BLOCK=32, CHUNK=128, MEAN=all_reduce is None, num_warps=4
    )
    if all_reduce is not None:
        mean = (all_reduce(total) / count).float()
    return total, mean


def _statistics(
    partial: Tensor, layer: ConvNorm, rows: int, momentum: float, all_reduce: AllReduce | None
) -> tuple[Tensor, float | Tensor]:
    """(mean, biased variance) of one layer over all ranks and their number of rows; updates the running statistics."""
    c = partial.shape[2]
    stats = partial.new_empty(2, c)
    kernels.finalise_kernel[(c // 16,)](
        partial, stats, layer.running_mean, layer.running_var, len(partial), momentum,
        C=c, BLOCK=16, CHUNK=128, UPDATE=all_reduce is None, num_warps=4,
    )  # fmt: skip
    if all_reduce is None:
        return stats, float(rows)
    # float64: sums of squares cancel.
    mean, var = stats.double()
    sums = all_reduce(torch.cat([rows * mean, rows * (var + mean.square()), mean.new_full((1,), rows)]))
    count = sums[-1]
    mean = sums[:c] / count
    var = sums[c:-1] / count - mean.square()
    layer.running_mean.lerp_(mean.float(), momentum)
    layer.running_var.lerp_((var * (count / (count - 1))).float(), momentum)
    return torch.stack([mean, var]).float(), count


def _forward(
    points: Points, layers: Sequence[ConvNorm], sizes: Sizes, momentum: float, all_reduce: AllReduce | None
) -> tuple[Tensor, tuple[Tensor, ...], float | Tensor]:
    """Training-mode forward: output (b m, c3), what the backward needs, and the number of rows of all ranks."""
    l1, l2, l3 = layers
    c1, c2, c3 = sizes.channels
    device = points.xyz.device
    empty = torch.empty
    shape = (sizes.num_centers, sizes.m, sizes.n)
    tail = (l1.weight.stride(0), 1.0 / sizes.radius_m)

    tiles, start = sizes.launch("first", device)
    partial = empty(start["grid"], 3, c1, device=device)
    kernels.first_kernel[(start["grid"],)](
        *points, l1.weight, partial, *shape, tiles, *tail, C1=c1, **sizes.first_layer(), **start["meta"]
    )
    stats1, count = _statistics(partial, l1, sizes.num_rows, momentum, all_reduce)

    tiles, start = sizes.launch("second", device)
    partial = empty(start["grid"], 3, c2, device=device)
    y2 = empty(sizes.num_rows, c2, device=device, dtype=sizes.dtype)
    kernels.second_kernel[(start["grid"],)](
        *points, l1.weight, stats1, l1.gamma, l1.beta, l2.weight, y2, partial, *shape, tiles, *tail, sizes.eps,
        C1=c1, C2=c2, DP="ieee", **sizes.first_layer(), **start["meta"],
    )  # fmt: skip
    stats2, _ = _statistics(partial, l2, sizes.num_rows, momentum, all_reduce)

    tiles, start = sizes.launch("third", device)
    partial = empty(start["grid"], 3, c3, device=device)
    top = empty(sizes.num_centers, c3, device=device)
    winner = empty(sizes.num_centers, c3, device=device, dtype=torch.uint8)
    kernels.third_kernel[(start["grid"],)](
        y2, stats2, l2.gamma, l2.beta, l3.weight, l3.gamma, top, winner, partial, sizes.num_centers, tiles, sizes.eps,
        C2=c2, C3=c3, DP="ieee", **start["meta"],
    )  # fmt: skip
    stats3, _ = _statistics(partial, l3, sizes.num_rows, momentum, all_reduce)

    out = empty(sizes.num_centers, c3, device=device, dtype=sizes.dtype)
    kernels.output_kernel[(triton.cdiv(sizes.num_centers, 32),)](
        top, stats3, l3.gamma, l3.beta, out, sizes.num_centers, sizes.eps, C=c3, ROWS=32
    )
    return out, (stats1, stats2, stats3, y2, top, winner), count


def _rows_by_point(index: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Rows of (b m k) ordered by their point in (b n), stably, and where each point's rows start."""
    b = index.shape[0]
    offset = torch.arange(b, device=index.device, dtype=torch.int32)[:, None, None] * n
    point, order = torch.sort((index.int() + offset).flatten(), stable=True)
    bounds = torch.arange(b * n + 1, device=index.device, dtype=torch.int32)
    return order, torch.searchsorted(point, bounds, out_int32=True)


class GroupedMLP(torch.autograd.Function):
    """Training mode. Tensor arguments with gradients first; see `grouped_mlp` below for the rest."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, xyz: Tensor, centers: Tensor, projected: Tensor | None, index: Tensor, raw: Tensor | None,
        sizes: Sizes, running: Sequence[tuple[Tensor, Tensor]], momentum: float, all_reduce: AllReduce | None,
        *parameters: Tensor,
    ) -> Tensor:  # fmt: skip
        """Output (b m, c3)."""
        layers = [
            ConvNorm(weight=w, gamma=g, beta=b, running_mean=mean, running_var=var)
            for (w, g, b), (mean, var) in zip(_triples(parameters), running, strict=True)
        ]
        points = Points(xyz, centers, index, raw, projected)
        out, saved, count = _forward(points, layers, sizes, momentum, all_reduce)
        ctx.sizes, ctx.all_reduce = sizes, all_reduce
        ctx.count = count if all_reduce is None else None
        tensors = (count,) if isinstance(count, Tensor) else ()
        ctx.save_for_backward(*points, *parameters, *saved, *tensors)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Any, ...]:
        """Gradients of xyz, centers, the projected features and the parameters."""
        saved = ctx.saved_tensors
        points = Points(*saved[:5])
        parameters = saved[5:14]
        state = saved[14:20]
        count = ctx.count if ctx.all_reduce is None else saved[20]
        needs = ctx.needs_input_grad
        d_points, d_parameters = _backward(
            grad_out.contiguous(), points, parameters, state, ctx.sizes, count, ctx.all_reduce, needs[:3]
        )
        return (*d_points, None, None, None, None, None, None, *d_parameters)


def _triples(parameters: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    w1, g1, b1, w2, g2, b2, w3, g3, b3 = parameters
    return [(w1, g1, b1), (w2, g2, b2), (w3, g3, b3)]


def _backward(
    grad_out: Tensor, points: Points, parameters: Sequence[Tensor], state: Sequence[Tensor], sizes: Sizes,
    count: float | Tensor, all_reduce: AllReduce | None, needs: Sequence[bool],
) -> tuple[tuple[Tensor | None, ...], tuple[Tensor, ...]]:  # fmt: skip
    """Gradients of (xyz, centers, projected) and of the nine parameters."""
    g, d_gamma3, d_beta3, means3 = _back_output(grad_out, parameters, state, sizes, count, all_reduce)
    g2, d_w3, total2, means2 = _back_third(g, parameters, state, sizes, means3, count, all_reduce)
    needs_points = needs[2] or needs[0]
    g1, center_sums, d_w2, total1, means1, by_input = _back_second(
        g2, points, parameters, state, sizes, means2, count, all_reduce, needs_points, needs[1]
    )
    del g2
    stats1, w1, gamma1 = state[0], *parameters[:2]
    scale = gamma1 * torch.rsqrt(stats1[1] + sizes.eps)
    c1 = sizes.channels[0]
    moments = by_input[: 2 * c1].view(2, c1, 16)
    d_w1 = moments[0] - means1[0][:, None] * by_input[2 * c1] - means1[1][:, None] * moments[1]
    d_w1 = (d_w1 * scale[:, None])[:, : w1.shape[1]]
    d_xyz = d_centers = d_projected = None
    if center_sums is not None:
        summed = center_sums[:, 0] - sizes.k * means1[0] - center_sums[:, 1] * means1[1]
        d_centers = (summed * scale) @ w1[:, :3] * (-1.0 / sizes.radius_m)
    if g1 is not None:
        d_projected = _back_points(g1, points, parameters, stats1, means1, sizes)
        if needs[0]:
            d_xyz = d_projected.float() @ w1[:, :3] * (1.0 / sizes.radius_m)
    d_parameters = (d_w1, total1[1], total1[0], d_w2, total2[1], total2[0], d_w3, d_gamma3, d_beta3)
    return (
        d_xyz.view_as(points.xyz) if d_xyz is not None else None,
        d_centers.view_as(points.centers) if d_centers is not None else None,
        d_projected if needs[2] else None,
    ), d_parameters


def _back_output(
    grad_out: Tensor, parameters: Sequence[Tensor], state: Sequence[Tensor], sizes: Sizes,
    count: float | Tensor, all_reduce: AllReduce | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Per centre: gradient of normalised y3 at the winner; gradients of gamma3 and beta3; the two batch means."""
    _, _, (_, gamma, beta) = _triples(parameters)
    stats, top = state[2], state[4]
    c = sizes.channels[2]
    tiles = triton.cdiv(sizes.num_centers, 32)
    grid = min(tiles, 512)
    g = torch.empty_like(top)
    partial = top.new_empty(grid, 2, c)
    kernels.back_output_kernel[(grid,)](
        grad_out, top, stats, gamma, beta, g, partial, sizes.num_centers, tiles, sizes.eps, C=c, ROWS=32
    )
    total, means = _reduce(partial, count, all_reduce)
    return g, total[1], total[0], means


def _back_third(
    g: Tensor, parameters: Sequence[Tensor], state: Sequence[Tensor], sizes: Sizes, means: Tensor,
    count: float | Tensor, all_reduce: AllReduce | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradient of normalised y2 per row, dW3, and the sums and means of that gradient."""
    _, (_, gamma2, beta2), (w3, gamma3, _) = _triples(parameters)
    _, stats2, stats3, y2, _, winner = state
    _, c2, c3 = sizes.channels
    g2 = torch.empty_like(y2)
    apart = WEIGHT_APART[sizes.width]

    def launch(name: str, block: int, weight: bool, gradient: bool) -> tuple[Tensor, Tensor]:
        tiles, start = sizes.launch(name, y2.device)
        partial_w = g.new_empty(start["grid"] if weight else 1, c3, c2)
        partial = g.new_empty(start["grid"], 2, c2)
        kernels.back_third_kernel[(start["grid"], c3 // block)](
            y2, g, winner, w3, stats2, gamma2, beta2, stats3, gamma3, means, g2, partial_w, partial,
            sizes.num_centers, tiles, sizes.eps, C2=c2, C3=c3, BLOCK=block, WEIGHT=weight, INPUT=gradient,
            DP="ieee", **start["meta"],
        )  # fmt: skip
        return partial_w, partial

    partial_w, partial = launch("back_third", c3, not apart, True)
    if apart:
        partial_w, _ = launch("back_weight", min(c3, 128), True, False)
    total, means2 = _reduce(partial, count, all_reduce)
    return g2, partial_w.sum(0), total, means2


def _back_second(
    g2: Tensor, points: Points, parameters: Sequence[Tensor], state: Sequence[Tensor], sizes: Sizes, means: Tensor,
    count: float | Tensor, all_reduce: AllReduce | None, per_row: bool, per_center: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradient of normalised y1 per row and its sums per centre (where asked), dW2, sums, means, sums by input."""
    (w1, gamma1, beta1), (w2, gamma2, _), _ = _triples(parameters)
    stats1, stats2, _, y2, _, _ = state
    c1, c2, _ = sizes.channels
    tiles, start = sizes.launch("back_second", y2.device)
    grid = start["grid"]
    partial_w = means.new_empty(grid, c2, c1)
    partial = means.new_empty(grid, 2, c1)
    partial_x = means.new_empty(grid, 2 * c1 + 1, 16)
    g1 = y2.new_empty(sizes.num_rows, c1) if per_row else None
    center_sums = means.new_empty(sizes.num_centers, 2, c1) if per_center else None
    kernels.back_second_kernel[(grid,)](
        *points, w1, stats1, gamma1, beta1, y2, g2, w2, stats2, gamma2, means, g1, center_sums, partial_w, partial,
        partial_x, sizes.num_centers, sizes.m, sizes.n, tiles, w1.stride(0), 1.0 / sizes.radius_m, sizes.eps,
        C1=c1, C2=c2, STORE=per_row, CENTER_SUMS=per_center, DP="ieee", **sizes.first_layer(), **start["meta"],
    )  # fmt: skip
    total, means1 = _reduce(partial, count, all_reduce)
    return g1, center_sums, partial_w.sum(0), total, means1, partial_x.sum(0)


def _back_points(
    g1: Tensor, points: Points, parameters: Sequence[Tensor], stats: Tensor, means: Tensor, sizes: Sizes
) -> Tensor:
    """Gradient of the projected features (b n, c1)."""
    w1, gamma1 = parameters[:2]
    assert points.projected is not None
    order, starts = _rows_by_point(points.neighbours, sizes.n)
    out = torch.empty_like(points.projected)
    kernels.back_points_kernel[(out.shape[0] * out.shape[1],)](
        g1, order, starts, points.projected, points.xyz, points.centers, w1, stats, gamma1, means, out,
        w1.stride(0), 1.0 / sizes.radius_m, sizes.eps, C1=sizes.channels[0], K=sizes.k, ROWS=8, num_warps=1,
    )  # fmt: skip
    return out


def _evaluate(points: Points, layers: Sequence[ConvNorm], sizes: Sizes) -> Tensor:
    """One pass with the running statistics."""
    c1, c2, c3 = sizes.channels
    device = points.xyz.device
    tiles, start = sizes.launch("evaluate", device)
    out = torch.empty(sizes.num_centers, c3, device=device, dtype=sizes.dtype)
    l1, l2, l3 = layers
    s1, s2, s3 = (torch.stack([layer.running_mean, layer.running_var]) for layer in layers)
    kernels.evaluate_kernel[(start["grid"],)](
        *points, l1.weight, s1, l1.gamma, l1.beta, l2.weight, s2, l2.gamma, l2.beta,
        l3.weight, s3, l3.gamma, l3.beta, out, sizes.num_centers, sizes.m, sizes.n, tiles,
        l1.weight.stride(0), 1.0 / sizes.radius_m, sizes.eps,
        C1=c1, C2=c2, C3=c3, DP="ieee", **sizes.first_layer(), **start["meta"],
    )  # fmt: skip
    return out


def unsupported(index: Tensor, layers: Sequence[ConvNorm]) -> str | None:
    """Why the kernels cannot take this shape, or None."""
    widths = [layer.weight.shape[0] for layer in layers]
    if len(layers) != 3:
        return f"the kernels have three layers, not {len(layers)}"
    if any(w & (w - 1) or not 16 <= w <= 256 for w in widths) or max(widths[:2]) > 128:
        return f"the kernels' widths are powers of two, 16 to 128 and at most 256 in the last layer, not {widths}"
    if index.shape[2] > 128:
        return f"the kernels take at most 128 neighbours, not {index.shape[2]}"
    return None


def grouped_mlp(
    xyz: Tensor, centers: Tensor, index: Tensor, features: Tensor | None, layers: Sequence[ConvNorm], *,
    radius_m: float, training: bool, momentum: float, eps: float, all_reduce: AllReduce | None, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """As `askscan.ops.grouped_mlp`, with activations stored as `dtype`. Evaluation has no gradient."""
    b, m, k = index.shape
    first = layers[0]
    raw = projected = None
    direct = first.weight[:, :3]
    if features is not None:
        c = features.shape[2]
        if c <= MAX_RAW_CHANNELS and not (features.requires_grad or xyz.requires_grad):
            raw, direct = features.float().contiguous(), first.weight
        else:
            projected = F.linear(features.to(dtype), first.weight[:, 3:].to(dtype))
    sizes = Sizes(
        num_centers=b * m, m=m, n=xyz.shape[1], k=k, channels=tuple(layer.weight.shape[0] for layer in layers),  # type: ignore[arg-type]
        num_raw=0 if raw is None else raw.shape[2], has_projected=projected is not None,
        radius_m=radius_m, eps=eps, dtype=dtype,
    )  # fmt: skip
    xyz, centers, index = xyz.float().contiguous(), centers.float().contiguous(), index.contiguous()
    if training:
        running = [(layer.running_mean, layer.running_var) for layer in layers]
        weights = [direct, layers[1].weight, layers[2].weight]
        parameters = [t for w, layer in zip(weights, layers, strict=True) for t in (w, layer.gamma, layer.beta)]
        out = GroupedMLP.apply(xyz, centers, projected, index, raw, sizes, running, momentum, all_reduce, *parameters)
    else:
        with torch.no_grad():
            out = _evaluate(Points(xyz, centers, index, raw, projected), layers, sizes)
    return out.view(b, m, -1)
