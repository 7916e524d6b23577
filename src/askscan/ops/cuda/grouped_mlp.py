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
from askscan.ops.cuda.grouped_mlp_fit import why_not
from askscan.ops.cuda.grouped_mlp_launches import LAUNCHES as LAUNCHES
from askscan.ops.cuda.grouped_mlp_launches import WEIGHT_APART, Sizes, shared_memory
from askscan.ops.cuda.grouped_mlp_launches import Launch as Launch
from askscan.ops.reference.grouped_mlp import AllReduce, ConvNorm, RowsByPoint, rows_by_point

MAX_RAW_CHANNELS = 6
"""Input features up to this width are read as they are; wider ones, or ones with a gradient, are projected first."""


class Points(NamedTuple):
    """What the first layer reads: flat positions, flat centres, neighbours, raw and projected features."""

    xyz: Tensor
    centers: Tensor
    neighbours: Tensor
    raw: Tensor | None
    projected: Tensor | None


class Saved(NamedTuple):
    """What the backward needs of the forward; rows are those of (b m k)."""

    num_rows: Tensor
    """(1,): rows of all ranks."""
    direct: Tensor
    """(rows, 16): direct input of the first layer, see `_direct_input`."""
    y1: Tensor | None
    """(rows, c1) where projected features enter it."""
    y2: Tensor
    """(rows, c2)"""
    top: Tensor
    """(b m, c3): y3 of the winners."""
    winner: Tensor
    """(b m, c3): their slots."""
    stats1: Tensor
    """(2, c1): mean and biased variance."""
    stats2: Tensor
    stats3: Tensor


def _statistics(
    partial: Tensor, num_rows: Tensor, layer: ConvNorm, momentum: float, all_reduce: AllReduce | None
) -> Tensor:
    """Mean and biased variance (2, c) of one layer over all ranks; updates the running statistics."""
    if all_reduce is not None:
        partial = all_reduce(partial.sum(0))[None]
    c = partial.shape[2]
    stats = partial.new_empty(2, c)
    kernels.finalise_kernel[(c // 8,)](
        partial, num_rows, stats, layer.running_mean, layer.running_var, len(partial), momentum,
        C=c, BLOCK=8, CHUNK=512, num_warps=4,
    )  # fmt: skip
    return stats


def _gather(points: Points, w1: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor | None, Tensor]:
    """Direct input, y1 (where projected features enter it), and the partial sums for its statistics."""
    c1 = sizes.channels[0]
    grid, tiles, meta = sizes.launch("first", w1.device)
    direct = torch.empty(sizes.num_rows, 16, device=w1.device, dtype=sizes.dtype)
    y1 = direct.new_empty(sizes.num_rows, c1) if sizes.projected else None
    partial = torch.empty(grid, 2, c1, device=w1.device)
    kernels.first_kernel[(grid,)](
        *points, w1, direct, y1, partial, sizes.num_centers, sizes.m, sizes.n, tiles,
        w1.stride(0), 1.0 / sizes.radius_m, **sizes.first_layer, **meta,
    )  # fmt: skip
    return direct, y1, partial


def _forward(
    points: Points, layers: Sequence[ConvNorm], sizes: Sizes, momentum: float, all_reduce: AllReduce | None
) -> tuple[Tensor, Saved]:
    """Training mode: output (b m, c3) and what the backward needs."""
    l1, l2, l3 = layers
    _, c2, c3 = sizes.channels
    direct, y1, partial = _gather(points, l1.weight, sizes)
    device = direct.device
    num_rows = partial.new_full((1,), sizes.num_rows)
    if all_reduce is not None:
        num_rows = all_reduce(num_rows)
    stats1 = _statistics(partial, num_rows, l1, momentum, all_reduce)

    grid, tiles, meta = sizes.launch("second", device)
    partial = partial.new_empty(grid, 2, c2)
    y2 = direct.new_empty(sizes.num_rows, c2)
    kernels.second_kernel[(grid,)](
        direct, y1, l1.weight, stats1, l1.gamma, l1.beta, l2.weight, y2, partial, sizes.num_centers, tiles,
        l1.weight.stride(0), sizes.eps, C2=c2, **sizes.first_layer, **meta,
    )  # fmt: skip
    stats2 = _statistics(partial, num_rows, l2, momentum, all_reduce)

    grid, tiles, meta = sizes.launch("third", device)
    partial = partial.new_empty(grid, 2, c3)
    top = partial.new_empty(sizes.num_centers, c3)
    winner = torch.empty(sizes.num_centers, c3, device=device, dtype=torch.uint8)
    kernels.third_kernel[(grid,)](
        y2, stats2, l2.gamma, l2.beta, l3.weight, l3.gamma, top, winner, partial, sizes.num_centers, tiles, sizes.eps,
        C2=c2, C3=c3, **meta,
    )  # fmt: skip
    stats3 = _statistics(partial, num_rows, l3, momentum, all_reduce)

    out = direct.new_empty(sizes.num_centers, c3)
    kernels.output_kernel[(triton.cdiv(sizes.num_centers, 32),)](
        top, stats3, l3.gamma, l3.beta, out, sizes.num_centers, sizes.eps, C=c3, ROWS=32
    )
    return out, Saved(num_rows, direct, y1, y2, top, winner, stats1, stats2, stats3)


class GroupedMLP(torch.autograd.Function):
    """Training mode. Tensor arguments with gradients first; see `grouped_mlp` below for the rest."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, xyz: Tensor, centers: Tensor, projected: Tensor | None, index: Tensor, raw: Tensor | None,
        by_point: RowsByPoint | None, sizes: Sizes, running: Sequence[tuple[Tensor, Tensor]],
        momentum: float, all_reduce: AllReduce | None, *parameters: Tensor,
    ) -> Tensor:  # fmt: skip
        """Output (b m, c3)."""
        layers = [
            ConvNorm(weight=w, gamma=g, beta=b, running_mean=mean, running_var=var)
            for (w, g, b), (mean, var) in zip(_triples(parameters), running, strict=True)
        ]
        out, saved = _forward(Points(xyz, centers, index, raw, projected), layers, sizes, momentum, all_reduce)
        ctx.sizes, ctx.all_reduce, ctx.by_point = sizes, all_reduce, by_point
        ctx.save_for_backward(index, *parameters, *saved)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Any, ...]:
        """Gradients of xyz, centers, the projected features and the parameters."""
        index, *parameters = ctx.saved_tensors[:10]
        back = _Backward(
            parameters=parameters, saved=Saved(*ctx.saved_tensors[10:]), sizes=ctx.sizes, all_reduce=ctx.all_reduce
        )
        d_points, d_parameters = back.run(grad_out.contiguous(), index, ctx.by_point, ctx.needs_input_grad[:3])
        return (*d_points, *[None] * 7, *d_parameters)


def _triples(parameters: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    w1, g1, b1, w2, g2, b2, w3, g3, b3 = parameters
    return [(w1, g1, b1), (w2, g2, b2), (w3, g3, b3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backward:
    parameters: Sequence[Tensor]
    saved: Saved
    sizes: Sizes
    all_reduce: AllReduce | None

    def run(
        self, grad_out: Tensor, index: Tensor, by_point: RowsByPoint | None, needs: Sequence[bool]
    ) -> tuple[tuple[Tensor | None, ...], tuple[Tensor, ...]]:
        """Gradients of (xyz, centers, projected) and of the nine parameters."""
        sizes, stats1 = self.sizes, self.saved.stats1
        w1, gamma1 = self.parameters[:2]
        g, total3, means3 = self.output(grad_out)
        g2, d_w3, total2, means2 = self.third(g, means3)
        g1, center_sums, d_w2, total1, means1, moments = self.second(g2, means2, needs[2] or needs[0], needs[1])
        del g2
        scale = gamma1 * torch.rsqrt(stats1[1] + sizes.eps)
        gx, hx, sx = moments.split([len(scale), len(scale), 1])
        d_direct = (gx - means1[0][:, None] * sx - means1[1][:, None] * hx) * scale[:, None]
        # The input's rounding and what it lost stand side by side; see `_direct_input`.
        d_w1 = torch.cat([d_direct[:, :3] + d_direct[:, 3:6], d_direct[:, 9 : 9 + sizes.num_raw]], 1)
        d_xyz = d_centers = d_projected = None
        if center_sums is not None:
            summed = center_sums[0] - sizes.k * means1[0] - center_sums[1] * means1[1]
            d_centers = (summed * scale) @ w1[:, :3] * (-1.0 / sizes.radius_m)
            d_centers = d_centers.view(-1, sizes.m, 3)
        if g1 is not None:
            d_projected = self.points(g1, means1, by_point or rows_by_point(index, sizes.n))
            if needs[0]:
                d_xyz = d_projected.float() @ w1[:, :3] * (1.0 / sizes.radius_m)
        d_parameters = (d_w1, total1[1], total1[0], d_w2, total2[1], total2[0], d_w3, total3[1], total3[0])
        return (d_xyz, d_centers, d_projected if needs[2] else None), d_parameters

    def means(self, partial: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over programs (this rank's), and the means over the rows of all ranks."""
        total = partial.sum(0)
        return total, (total if self.all_reduce is None else self.all_reduce(total)) / self.saved.num_rows

    def output(self, grad_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Per centre: gradient of normalised y3 at the winner; its sums and batch means."""
        saved, c = self.saved, self.sizes.channels[2]
        tiles = triton.cdiv(self.sizes.num_centers, 32)
        grid = min(tiles, 512)
        g = torch.empty_like(saved.top)
        partial = g.new_empty(grid, 2, c)
        kernels.back_output_kernel[(grid,)](
            grad_out, saved.top, saved.stats3, *self.parameters[7:], g, partial, self.sizes.num_centers, tiles,
            self.sizes.eps, C=c, ROWS=32,
        )  # fmt: skip
        return g, *self.means(partial)

    def third(self, g: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradient of normalised y2 per row, dW3, and the sums and means of that gradient."""
        saved, sizes = self.saved, self.sizes
        _, (_, gamma2, beta2), (w3, gamma3, _) = _triples(self.parameters)
        _, c2, c3 = sizes.channels
        g2 = torch.empty_like(saved.y2)
        block = sizes.block("back_third")
        apart = WEIGHT_APART[sizes.width] or block < c3

        def launch(name: str, block: int, weight: bool, gradient: bool) -> tuple[Tensor, Tensor]:
            grid, tiles, meta = sizes.launch(name, g.device)
            partial_w = g.new_empty(grid if weight else 1, c3, c2)
            partial = g.new_empty(grid, 2, c2)
            kernels.back_third_kernel[(grid, c3 // block)](
                saved.y2, g, saved.winner, w3, saved.stats2, gamma2, beta2, saved.stats3, gamma3, means, g2,
                partial_w, partial, sizes.num_centers, tiles, sizes.eps, C2=c2, C3=c3, BLOCK=block, WEIGHT=weight,
                INPUT=gradient, **meta,
            )  # fmt: skip
            return partial_w, partial

        if block < c3:
            partial = self.third_in_blocks(g, means, g2, block)
        else:
            partial_w, partial = launch("back_third", c3, not apart, True)
        if apart:
            partial_w, _ = launch("back_weight", min(c3, 128), True, False)
        return g2, partial_w.sum(0), *self.means(partial)

    def third_in_blocks(self, g: Tensor, means: Tensor, g2: Tensor, block: int) -> Tensor:
        """Writes the gradient of normalised y2 to `g2`; its programs' sums. W3 is taken in blocks of channels."""
        saved, sizes = self.saved, self.sizes
        _, (_, gamma2, beta2), (w3, gamma3, _) = _triples(self.parameters)
        _, c2, c3 = sizes.channels
        grid, tiles, meta = sizes.launch("back_third", g.device)
        partial = g.new_empty(grid, 2, c2)
        kernels.back_third_blocks_kernel[(grid,)](
            saved.y2, g, saved.winner, w3, saved.stats2, gamma2, beta2, saved.stats3, gamma3, means, g2, partial,
            sizes.num_centers, tiles, sizes.eps, C2=c2, C3=c3, BLOCK=block, **meta,
        )  # fmt: skip
        return partial

    def second(
        self, g2: Tensor, means: Tensor, per_row: bool, per_center: bool
    ) -> tuple[Tensor | None, Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        """Gradient of normalised y1 per row and its sums per centre (where asked), dW2, sums, means, sums by input."""
        saved, sizes = self.saved, self.sizes
        (w1, gamma1, beta1), (w2, gamma2, _), _ = _triples(self.parameters)
        c1, c2, _ = sizes.channels
        grid, tiles, meta = sizes.launch("back_second", g2.device)
        partial_w = means.new_empty(grid, c2, c1)
        partial = means.new_empty(grid, 2, c1)
        moments = means.new_empty(grid, 2 * c1 + 1, 16)
        g1 = g2.new_empty(sizes.num_rows, c1) if per_row else None
        center_sums = means.new_empty(2, sizes.num_centers, c1) if per_center else None
        kernels.back_second_kernel[(grid,)](
            saved.direct, saved.y1, w1, saved.stats1, gamma1, beta1, saved.y2, g2, w2, saved.stats2, gamma2, means,
            g1, center_sums, partial_w, partial, moments, sizes.num_centers, tiles, w1.stride(0), sizes.eps,
            C2=c2, STORE=per_row, CENTER_SUMS=per_center, **sizes.first_layer, **meta,
        )  # fmt: skip
        return g1, center_sums, partial_w.sum(0), *self.means(partial), moments.sum(0)

    def points(self, g1: Tensor, means: Tensor, by_point: RowsByPoint) -> Tensor:
        """Gradient of the projected features (b, n, c1)."""
        order, starts = by_point
        c1 = self.sizes.channels[0]
        out = g1.new_empty(len(starts) - 1, c1)
        kernels.back_points_kernel[(len(out),)](
            g1, self.saved.y1, order, starts, self.saved.stats1, self.parameters[1], means, out, self.sizes.eps,
            C1=c1, ROWS=8, num_warps=1,
        )  # fmt: skip
        return out.view(-1, self.sizes.n, c1)


def _evaluate(points: Points, layers: Sequence[ConvNorm], sizes: Sizes) -> Tensor:
    """With the running statistics: gather, then one pass, or one for each block of the third layer's channels."""
    _, c2, c3 = sizes.channels
    l1, l2, l3 = layers
    direct, y1, _ = _gather(points, l1.weight, sizes)
    grid, tiles, meta = sizes.launch("evaluate", direct.device)
    block = sizes.block("evaluate")
    s1, s2, s3 = (torch.stack([layer.running_mean, layer.running_var]) for layer in layers)
    parts = []
    for start in range(0, c3, block):
        c = slice(start, start + block)
        parts.append(direct.new_empty(sizes.num_centers, block))
        kernels.evaluate_kernel[(grid,)](
            direct, y1, l1.weight, s1, l1.gamma, l1.beta, l2.weight, s2, l2.gamma, l2.beta,
            l3.weight[c], s3[:, c].contiguous(), l3.gamma[c], l3.beta[c], parts[-1], sizes.num_centers, tiles,
            l1.weight.stride(0), sizes.eps, C2=c2, C3=block, **sizes.first_layer, **meta,
        )  # fmt: skip
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def unsupported(
    xyz: Tensor, index: Tensor, features: Tensor | None, layers: Sequence[ConvNorm], training: bool, dtype: torch.dtype
) -> str | None:
    """Why the kernels cannot take this call on its GPU, or None."""
    widths = [layer.weight.shape[0] for layer in layers]
    if len(layers) != 3:
        return f"the kernels have three layers, not {len(layers)}"
    if any(w & (w - 1) or not 16 <= w <= 256 for w in widths) or max(widths[:2]) > 128:
        return f"the kernels' widths are powers of two, 16 to 128 and at most 256 in the last layer, not {widths}"
    if index.shape[2] > 128:
        return f"the kernels take at most 128 neighbours, not {index.shape[2]}"
    return why_not(_sizes(xyz, index, features, layers, 1.0, 0.0, dtype), training, xyz.device)


def _read_as_they_are(xyz: Tensor, features: Tensor) -> bool:
    return features.shape[2] <= MAX_RAW_CHANNELS and not (features.requires_grad or xyz.requires_grad)


def _sizes(
    xyz: Tensor, index: Tensor, features: Tensor | None, layers: Sequence[ConvNorm],
    radius_m: float, eps: float, dtype: torch.dtype,
) -> Sizes:  # fmt: skip
    b, m, k = index.shape
    raw = features is not None and _read_as_they_are(xyz, features)
    return Sizes(
        num_centers=b * m, m=m, n=xyz.shape[1], k=k, channels=tuple(layer.weight.shape[0] for layer in layers),  # type: ignore[arg-type]
        num_raw=features.shape[2] if features is not None and raw else 0, projected=features is not None and not raw,
        radius_m=radius_m, eps=eps, dtype=dtype, shared=shared_memory(xyz.device),
    )  # fmt: skip


def grouped_mlp(
    xyz: Tensor, centers: Tensor, index: Tensor, features: Tensor | None, layers: Sequence[ConvNorm], *,
    radius_m: float, training: bool, momentum: float, eps: float, all_reduce: AllReduce | None, dtype: torch.dtype,
    by_point: RowsByPoint | None = None,
) -> Tensor:  # fmt: skip
    """As `askscan.ops.grouped_mlp`, with activations stored as `dtype`. Evaluation has no gradient."""
    b, m, _ = index.shape
    sizes = _sizes(xyz, index, features, layers, radius_m, eps, dtype)
    first = layers[0]
    raw = projected = None
    direct = first.weight[:, :3]
    if features is not None:
        if _read_as_they_are(xyz, features):
            raw, direct = features.float().contiguous(), first.weight
        else:
            projected = F.linear(features.to(dtype), first.weight[:, 3:].to(dtype))
    xyz, centers, index = xyz.float().contiguous(), centers.float().contiguous(), index.contiguous()
    if training:
        running = [(layer.running_mean, layer.running_var) for layer in layers]
        weights = [direct, layers[1].weight, layers[2].weight]
        parameters = [t for w, layer in zip(weights, layers, strict=True) for t in (w, layer.gamma, layer.beta)]
        out = GroupedMLP.apply(
            xyz, centers, projected, index, raw, by_point, sizes, running, momentum, all_reduce, *parameters
        )
    else:
        with torch.no_grad():
            out = _evaluate(Points(xyz, centers, index, raw, projected), layers, sizes)
    return out.view(b, m, -1)
