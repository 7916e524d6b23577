"""A whole benchmark: what is measured on which device, in which order, and written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import torch

from askscan.bench import ops, steps
from askscan.bench.results import Report, Result
from askscan.bench.scenes import Size
from askscan.bench.timing import ceilings, environment

Suites = Literal["ops", "steps", "all"]
_QUICK = Size(num_scenes=4, num_points=1000, texts_per_scene=8, num_answers=50, width=32)
_CPU = Size(num_scenes=8)
_GROWTH_POINTS = (10_000, 20_000, 40_000, 100_000, 200_000, 500_000)


def run_bench(
    device: torch.device,
    *,
    suite: Suites = "all",
    quick: bool = False,
    kernels: bool = False,
    json: Path | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Measure and report.

    Args:
        device: A GPU gets the sizes of the published code; a CPU small ones, which the rows name.
        suite: Operations, steps, or both with how their cost grows.
        quick: Tiny sizes and few repeats: does it run at all?
        kernels: Also list the GPU time per kernel of the `paper-fast` steps.
        json: Written after every row, so that an interrupted run leaves what it has.
        on_result: Gets each row.
    """
    report = Report(environment=environment(device), ceilings=ceilings(device, quick=quick), quick=quick)
    for result in _rows(device, suite, quick, kernels, report):
        report.results.append(result)
        on_result(result)
        if json is not None:
            report.save(json)
    return report


def _rows(device: torch.device, suite: Suites, quick: bool, kernels: bool, report: Report) -> Iterator[Result]:
    cuda = device.type == "cuda"
    op_size = ops.QUICK_SIZE if quick else ops.OpSize() if cuda else ops.CPU_SIZE
    if suite != "ops":
        bench = steps.Bench(device, _QUICK if quick else Size() if cuda else _CPU, 2 if quick else 30 if cuda else 5)
        variants = steps.QUICK_VARIANTS if quick else steps.VARIANTS if cuda else steps.CPU_VARIANTS
        yield from steps.measure_steps(bench, variants, reference=True)
        if kernels and cuda:
            for variant in steps.VARIANTS[2:4]:
                report.kernels[variant.name] = bench.kernels(variant)
    if suite != "steps":
        yield from ops.measure_ops(op_size, device, report.ceilings)
    if suite == "all" and not quick:
        yield from ops.measure_growth(op_size, device, _GROWTH_POINTS)
        if cuda:
            yield from steps.measure_growth(bench, steps.GROWTH)
