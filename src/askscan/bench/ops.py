"""Each operation at the shapes that training gives it, beside the plain reference and libraries that do the same.

Bytes and operations are counted from the shapes: each input read once, each output written once, recomputation not
counted.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from askscan import ops
from askscan.bench.results import Result, guarded
from askscan.bench.scenes import ROOM_SIZE_M, clouds
from askscan.bench.timing import Ceilings, Run, Timing, measure
from askscan.geometry.nms import nms_3d
from askscan.models.pointnet2 import SetAbstraction, take
from askscan.train.devices import autocast

Variants = Callable[[], Sequence[Run]]
"""Makes functions that do the same with different inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpSize:
    """Shapes; the defaults are those of the recipe `paper`."""

    num_scenes: int = 16
    num_points: int = 40_000
    num_centers: tuple[int, int, int, int] = (2048, 1024, 512, 256)
    num_neighbors: tuple[int, int, int, int] = (64, 32, 16, 16)
    channels: int = 128
    inputs: int = 3
    """Input sets that are rotated."""
    repeats: int = 20


CPU_SIZE = OpSize(num_scenes=1, inputs=1, repeats=5)
QUICK_SIZE = OpSize(
    num_scenes=2,
    num_points=2000,
    num_centers=(128, 64, 32, 16),
    num_neighbors=(16, 16, 8, 8),
    channels=16,
    inputs=1,
    repeats=2,
)
_RADII_M = (0.2, 0.4, 0.8, 1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One operation at one shape."""

    name: str
    runs: Variants
    num_bytes: int = 0
    operations: int = 0
    dtype: str = "float32"
    goal: tuple[float, float] | None = None
    """(published, goal) in ms, at the default size on a GPU."""
    times_faster: float | None = None
    """The goal on a CPU: than the reference."""
    libraries: dict[str, Variants] = field(default_factory=dict)
    reference: bool = True


class Inputs:
    """Clouds and what grouping makes of them, on a device."""

    def __init__(self, size: OpSize, device: torch.device) -> None:
        self.size, self.device = size, device
        b, n = size.num_scenes, size.num_points
        self.xyz = [clouds(b, n, seed).to(device) for seed in range(size.inputs)]
        centers = [take(xyz, ops.farthest_points(xyz, size.num_centers[0])) for xyz in self.xyz]
        self.levels = [
            [xyz, *(first[:, :m].contiguous() for m in size.num_centers)]
            for xyz, first in zip(self.xyz, centers, strict=True)
        ]

    def balls(self, layer: int, which: int = 0) -> Tensor:
        """Neighbours of the centres of set abstraction `layer`."""
        levels, k = self.levels[which], self.size.num_neighbors[layer]
        return ops.ball_query(levels[layer + 1], levels[layer], _RADII_M[layer], k)

    def each(self, run: Callable[[int], object]) -> Variants:
        """The function on every input set."""
        return lambda: [partial(run, i) for i in range(self.size.inputs)]


def cases(inputs: Inputs) -> Iterator[Case]:
    """All operations."""
    yield from _neighbourhoods(inputs)
    yield from _rows(inputs)
    yield from _set_abstractions(inputs)
    yield _suppression(inputs)


def measure_case(case: Case, size: OpSize, device: torch.device, limits: Ceilings) -> Iterator[Result]:
    """The row of one operation."""
    times: dict[str, Timing] = {"askscan": measure(case.runs(), device, repeats=size.repeats)}
    if case.reference:
        with ops.use("reference"):
            times["reference"] = measure(case.runs(), device, repeats=3, record=False)
    for name, variants in case.libraries.items():
        times[name] = measure(variants(), device, repeats=3, record=False)
    seconds = times["askscan"].median_ms / 1e3
    published, goal = case.goal if case.goal and device.type == "cuda" and size == OpSize() else (None, None)
    if case.times_faster is not None and device.type == "cpu" and size == CPU_SIZE:
        goal = times["reference"].median_ms / case.times_faster
    yield Result(
        name=case.name,
        suite="ops",
        times=times,
        published_ms=published,
        goal_ms=goal,
        memory_share=case.num_bytes / seconds / limits.bytes_per_s if case.num_bytes else None,
        arithmetic_share=case.operations / seconds / limits.flops[case.dtype] if case.operations else None,
    )


def measure_ops(size: OpSize, device: torch.device, limits: Ceilings) -> Iterator[Result]:
    """All rows."""
    for case in cases(Inputs(size, device)):
        yield from guarded(case.name, "ops", partial(measure_case, case, size, device, limits))


def measure_growth(size: OpSize, device: torch.device, points: Sequence[int]) -> Iterator[Result]:
    """How neighbourhoods grow with the points of a scene."""
    for n in points:
        xyz = clouds(size.num_scenes, n).to(device)
        m = min(size.num_centers[0], n)
        centers = take(xyz, ops.farthest_points(xyz, m))
        runs: dict[str, Run] = {
            f"farthest points {size.num_scenes} x {n:,} -> {m:,}": partial(ops.farthest_points, xyz, m),
            f"ball query {size.num_scenes} x {m:,} in {n:,}": partial(ops.ball_query, centers, xyz, 0.2, 64),
        }
        for name, run in runs.items():
            times = {"askscan": measure([run], device, repeats=size.repeats)}
            yield Result(name=name, suite="growth", times=times)


def _neighbourhoods(inputs: Inputs) -> Iterator[Case]:
    size = inputs.size
    b, n = size.num_scenes, size.num_points
    (m1, m2, m3, _), (k1, *_) = size.num_centers, size.num_neighbors
    yield Case(
        name=f"farthest points {b} x {n:,} -> {m1:,}",
        runs=inputs.each(lambda i: ops.farthest_points(inputs.xyz[i], m1)),
        num_bytes=b * (12 * n + 8 * m1),
        goal=(27.6, 2.5),
        times_faster=10.0,
        libraries=_farthest_libraries(inputs),
    )
    yield Case(
        name=f"ball query {b} x {m1:,} in {n:,}, r 0.2, {k1}",
        runs=inputs.each(lambda i: inputs.balls(0, i)),
        num_bytes=b * (12 * (n + m1) + 8 * m1 * k1),
        goal=(20.4, 0.5),
        times_faster=20.0,
    )
    yield Case(
        name=f"three nearest {b} x {m2:,} in {m3:,}",
        runs=inputs.each(lambda i: ops.three_nearest(inputs.levels[i][2], inputs.levels[i][3])),
        num_bytes=b * (12 * (m2 + m3) + 36 * m2),
    )


def _rows(inputs: Inputs) -> Iterator[Case]:
    size, device = inputs.size, inputs.device
    b, n, c = size.num_scenes, size.num_points, size.channels
    (m, m2, m3, _), (k, *_) = size.num_centers, size.num_neighbors
    index = [inputs.balls(0, i) for i in range(size.inputs)]
    features = torch.randn(b, n, c, device=device)
    grad = torch.randn(b, m, k, c, device=device)
    moved = 4 * b * (n * c + m * k * c) + 8 * b * m * k
    label = f"group {c} channels by those balls"
    yield Case(
        name=f"{label}, forward",
        runs=inputs.each(lambda i: ops.group(features, index[i])),
        num_bytes=moved,
        goal=(28.8, 1.0),
    )
    yield Case(
        name=f"{label}, backward",
        runs=inputs.each(lambda i: torch.ops.askscan.group_backward(grad, index[i], n)),
        num_bytes=moved,
        goal=(26.9, 2.0),
    )
    del grad, features
    wide = 4 * c
    deep, seeds = (torch.randn(b, rows, wide, device=device) for rows in (m3, m2))
    near = [ops.three_nearest(levels[2], levels[3]) for levels in inputs.levels]
    weights = [ops.interpolation_weights(distances) for distances, _ in near]
    moved = 4 * b * wide * (m3 + m2) + 36 * b * m2
    label = f"interpolate {b} x {m3:,} -> {m2:,}, {wide} channels"
    yield Case(
        name=f"{label}, forward",
        runs=inputs.each(lambda i: ops.interpolate(deep, near[i][1], weights[i])),
        num_bytes=moved,
    )
    yield Case(
        name=f"{label}, backward",
        runs=inputs.each(lambda i: torch.ops.askscan.interpolate_backward(seeds, near[i][1], weights[i], m3)),
        num_bytes=moved,
    )


def _set_abstractions(inputs: Inputs) -> Iterator[Case]:
    """Shared MLPs of the four set abstractions in training, in 16 bits on a GPU."""
    size, device = inputs.size, inputs.device
    c = size.channels
    widths = (0, c, 2 * c, 2 * c, 2 * c)
    hidden = ((c // 2, c // 2, c), *[(c, c, 2 * c)] * 3)
    for layer in range(4):
        module = SetAbstraction(widths[layer], hidden[layer], radius_m=_RADII_M[layer]).to(device).train()
        rows = size.num_scenes * size.num_centers[layer] * size.num_neighbors[layer]
        points = size.num_scenes * inputs.levels[0][layer].shape[1]
        first = 3 * rows + widths[layer] * points
        operations = 2 * (first * hidden[layer][0] + rows * sum(a * b for a, b in pairwise(hidden[layer])))
        name = f"sa{layer + 1}: {rows:,} neighbours through {widths[layer] + 3}-" + "-".join(map(str, hidden[layer]))
        for backward in (False, True):
            yield Case(
                name=f"{name}, forward{' + backward' if backward else ''}",
                runs=_abstraction_runs(inputs, module, layer, widths[layer], backward),
                operations=operations * (3 if backward else 1),
                dtype="bfloat16" if device.type == "cuda" else "float32",
            )


def _abstraction_runs(inputs: Inputs, module: nn.Module, layer: int, width: int, backward: bool) -> Variants:
    device = inputs.device
    levels, index = inputs.levels[0], inputs.balls(layer)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    features = torch.randn(*levels[layer].shape[:2], width, device=device, dtype=dtype) if width else None
    if features is not None:
        features.requires_grad_()
    wanted = [*module.parameters(), *([] if features is None else [features])]

    def run() -> object:
        with torch.set_grad_enabled(backward), autocast("bf16-mixed", device):
            out = module(levels[layer], levels[layer + 1], index, features)
        return torch.autograd.grad(out.float().square().sum(), wanted) if backward else out

    return lambda: [run]


def _suppression(inputs: Inputs) -> Case:
    size, device = inputs.size, inputs.device
    b, k = size.num_scenes, size.num_centers[3]
    generator = torch.Generator(device).manual_seed(0)
    uniform = torch.rand(b, k, 7, generator=generator, device=device)
    center, extent = uniform[..., :3] * torch.tensor(ROOM_SIZE_M, device=device), 0.3 + uniform[..., 3:6]
    classes = torch.randint(0, 18, (b, k), generator=generator, device=device)
    valid = torch.ones_like(classes, dtype=torch.bool)
    return Case(
        name=f"3D non-maximum suppression {b} x {k}",
        runs=lambda: [lambda: nms_3d(center, extent, uniform[..., 6], classes, valid)],
        reference=False,
    )


def _farthest_libraries(inputs: Inputs) -> dict[str, Variants]:
    """Packages that sample farthest points, where they are installed; scenes one after the other where they do that."""
    found: dict[str, Variants] = {}
    m = inputs.size.num_centers[0]
    fpsample, quickfps = _import("fpsample"), _import("torch_quickfps")
    host: list[Float32[Tensor, "b n 3"]] = [xyz.cpu() for xyz in inputs.xyz]
    if fpsample is not None:
        arrays = [xyz.numpy() for xyz in host]
        found["fpsample, CPU"] = inputs.each(lambda i: [fpsample.fps_sampling(xyz, m, 0) for xyz in arrays[i]])
        found["fpsample buckets, CPU"] = inputs.each(
            lambda i: [fpsample.bucket_fps_kdline_sampling(xyz, m, h=7, start_idx=0) for xyz in arrays[i]]
        )
    if quickfps is not None:
        found["torch_quickfps, CPU"] = inputs.each(
            lambda i: quickfps.sample(host[i], m, start_idx=0, return_points=False)
        )
    return found


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
