"""Parity and time of the grouped-MLP kernels on this GPU: `PYTHONPATH=src python bench/ops/check_grouped_mlp_gpu.py`.

Errors are ||out - ref|| / ||ref|| against float64, beside those of the reference under bfloat16 autocast. Kernel times
are medians between events, queued behind a sleeping kernel so that launch gaps stay out; step times are graph replays.
`--sweep SHAPE...` times other launches of each kernel and compares their results with the default's, in processes of
their own: one that faults (ptxas before CUDA 13.3 miscompiles some Hopper kernels; see TRITON_PTXAS_PATH) ends there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

import torch

from askscan.ops.grouped_mlp import ConvNorm, grouped_mlp, rows_by_point
from askscan.ops.reference import grouped_mlp as reference

SHAPES = {  # b, n, m, k, channels of the features, widths
    "sa1": (16, 40_000, 2048, 64, 0, (64, 64, 128)),
    "sa1+rgb": (16, 40_000, 2048, 64, 3, (64, 64, 128)),
    "sa2": (16, 2048, 1024, 32, 128, (128, 128, 256)),
    "sa3": (16, 1024, 512, 16, 256, (128, 128, 256)),
    "sa4": (16, 512, 256, 16, 256, (128, 128, 256)),
    "votes": (16, 1024, 256, 16, 512, (128, 128, 128)),
}
KERNELS = ("first", "second", "third", "back_third", "back_weight", "back_second", "evaluate")
TILES = {  # rows, warps, stages, by width of the hidden layers
    64: ((64, 4, 2), (64, 4, 3), (128, 4, 2), (128, 8, 2), (128, 8, 3), (256, 8, 2)),
    128: ((32, 4, 2), (64, 4, 2), (32, 8, 2), (64, 8, 2), (64, 8, 3), (128, 8, 2)),
}
PROGRAMS = (1, 2, 3, 4, 6)
TOLERANCE = 0.05
"""Of a swept launch's results relative to the default's: other orders of summation move a few bfloat16 roundings."""

Case = dict[str, Any]
Job = tuple[str, int, int, int]
"""Kernel, rows, warps, stages."""


def make_case(shape: str, batch: int | None = None, dtype: torch.dtype = torch.float32) -> Case:
    """Random points in a room; neighbours near each other in index, as in a ball query."""
    b, n, m, k, c, widths = SHAPES[shape]
    b = batch or b
    g = torch.Generator("cuda").manual_seed(1)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=g, device="cuda", dtype=torch.float32).to(dtype)

    index = torch.randint(0, n, (b, m, k), generator=g, device="cuda")
    layers, width = [], 3 + c
    for w in widths:
        layers.append(
            ConvNorm(
                weight=(normal(w, width) * (2 / width) ** 0.5).requires_grad_(),
                gamma=(1 + 0.3 * normal(w)).requires_grad_(),
                beta=(0.2 * normal(w)).requires_grad_(),
                running_mean=normal(w) * 0.1,
                running_var=1 + normal(w).square(),
            )
        )
        width = w
    xyz = normal(b, n, 3).requires_grad_(shape == "votes")
    centers = normal(b, m, 3).requires_grad_(shape == "votes")
    features = normal(b, n, c).requires_grad_(c > 12) if c else None
    return {"xyz": xyz, "centers": centers, "index": index, "features": features, "layers": layers}


def leaves(case: Case) -> dict[str, torch.Tensor]:
    named = {name: case[name] for name in ("xyz", "centers", "features") if case[name] is not None}
    for i, layer in enumerate(case["layers"], 1):
        named |= {f"{name}{i}": getattr(layer, name) for name in ("weight", "gamma", "beta")}
    return {name: t for name, t in named.items() if t.requires_grad}


def convert(case: Case, dtype: torch.dtype) -> Case:
    def one(t: torch.Tensor) -> torch.Tensor:
        return t.detach().to(dtype).clone().requires_grad_(t.requires_grad)

    new: Case = {key: one(case[key]) for key in ("xyz", "centers")} | {"index": case["index"]}
    new["features"] = None if case["features"] is None else one(case["features"])
    new["layers"] = [ConvNorm(**{f.name: one(getattr(lay, f.name)) for f in fields(lay)}) for lay in case["layers"]]
    return new


def results(case: Case, function: Any, autocast: bool, **extra: Any) -> dict[str, torch.Tensor]:
    """Output, gradients, running statistics, and the output of evaluation after that."""
    options: dict[str, Any] = {"radius_m": 1.5, "momentum": 0.1} | extra
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        out = function(**case, training=True, **options)
    grad = torch.randn(out.shape, generator=torch.Generator("cuda").manual_seed(7), device="cuda").to(out.dtype)
    named = leaves(case)
    gradients = torch.autograd.grad(out, list(named.values()), grad)
    found = {"out": out.detach(), **{f"d_{k}": v for k, v in zip(named, gradients, strict=True)}}
    for i, layer in enumerate(case["layers"], 1):
        found |= {f"mean{i}": layer.running_mean, f"var{i}": layer.running_var}
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        found["eval"] = function(**case, training=False, **options)
    return found


def relative(found: Case, truth: Case) -> dict[str, float]:
    return {k: float((found[k].double() - truth[k].double()).norm() / truth[k].double().norm()) for k in truth}


def check_parity(shape: str, lines: list[str]) -> None:
    base = make_case(shape)
    truth = results(convert(base, torch.float64), reference.grouped_mlp, False)
    ours = relative(results(convert(base, torch.float32), grouped_mlp, True), truth)
    again = results(convert(base, torch.float32), grouped_mlp, True)
    third = results(convert(base, torch.float32), grouped_mlp, True)
    torch16 = relative(results(convert(base, torch.float32), reference.grouped_mlp, True), truth)
    lines.append(f"parity {shape}: kernels (reference in bfloat16 autocast); same twice: "
                 f"{all(torch.equal(again[k], third[k]) for k in again)}")  # fmt: skip
    text = [f"{k} {ours[k]:.1e} ({torch16[k]:.1e})" for k in truth]
    lines.extend("   " + "  ".join(text[i : i + 5]) for i in range(0, len(text), 5))


def check_half(shape: str) -> str:
    """In a worker process: the same kernels with float16 activations, whose rounding is eight times finer."""
    from askscan.ops.cuda import grouped_mlp as cuda

    try:
        base = make_case(shape, batch=2)
        truth = results(convert(base, torch.float64), reference.grouped_mlp, False)
        extra: dict[str, Any] = {"eps": 1e-5, "all_reduce": None, "dtype": torch.float16}
        errors = relative(results(convert(base, torch.float32), cuda.grouped_mlp, False, **extra), truth)
    except Exception as error:
        return f"FAILED float16 {shape}: {type(error).__name__}: {str(error)[:300]}"
    worst = sorted(errors, key=errors.__getitem__)[:-5:-1]
    return f"float16 {shape} b=2: out {errors['out']:.1e}, " + ", ".join(f"{k} {errors[k]:.1e}" for k in worst)


class Timed:
    """Stands in for a kernel; records events around each launch."""

    def __init__(self, kernel: Any, name: str, log: dict[str, list[Any]]) -> None:
        self.kernel, self.name, self.log = kernel, name, log

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*args: Any, **kwargs: Any) -> None:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            self.kernel[grid](*args, **kwargs)
            end.record()
            weight = self.name == "back_third" and not kwargs["INPUT"]
            self.log["back_weight" if weight else self.name].append((start, end))

        return launch


class Compiled:
    """Stands in for a kernel; compiles it and launches nothing."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*args: Any, **kwargs: Any) -> None:
            self.kernel.warmup(*args, grid=grid, **kwargs)

        return launch


@contextmanager
def stand_in(make: Callable[[Any, str], Any]) -> Iterator[None]:
    """Every kernel replaced by what `make` makes of it and its name."""
    from askscan.ops.cuda import grouped_mlp_kernels as kernels

    originals = {name: kernel for name, kernel in vars(kernels).items() if name.endswith("_kernel")}
    try:
        for name, kernel in originals.items():
            setattr(kernels, name, make(kernel, name.removesuffix("_kernel")))
        yield
    finally:
        for name, kernel in originals.items():
            setattr(kernels, name, kernel)


@contextmanager
def launched(shape: str, job: Job | None, programs: int) -> Iterator[None]:
    """One kernel launched otherwise; dW3 has a pass of its own where that pass is looked at."""
    from askscan.ops.cuda import grouped_mlp as cuda

    width = max(SHAPES[shape][5][:2])
    launches, apart = dict(cuda.LAUNCHES), cuda.WEIGHT_APART[width]
    if job:
        cuda.LAUNCHES[job[0], width] = cuda.Launch(*job[1:], programs)
        cuda.WEIGHT_APART[width] |= job[0] == "back_weight"
    try:
        yield
    finally:
        cuda.LAUNCHES.update(launches)
        cuda.WEIGHT_APART[width] = apart


def compile_one(task: tuple[str, Job | None]) -> None:
    """In a worker process: fill the compiler's disk cache."""
    shape, job = task
    with launched(shape, job, 1), stand_in(lambda kernel, _: Compiled(kernel)):
        results(make_case(shape), grouped_mlp, True)
    torch.cuda.empty_cache()


def kernel_times(case: Case, repeats: int = 5) -> dict[str, float]:
    """Median microseconds of each kernel in a training step and an evaluation."""
    log: dict[str, list[Any]] = defaultdict(list)
    results(case, grouped_mlp, True)
    with stand_in(lambda kernel, name: Timed(kernel, name, log)):
        for _ in range(repeats):
            torch.cuda._sleep(12_000_000)
            results(case, grouped_mlp, True)
        torch.cuda.synchronize()
    return {name: 1e3 * statistics.median(a.elapsed_time(b) for a, b in pairs) for name, pairs in log.items()}


def graph_ms(step: Callable[[], Any]) -> float:
    """Median time of a replayed graph of `step`."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for _ in range(15):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def step_times(case: Case, autocast: bool = True, function: Any = grouped_mlp) -> tuple[float, float, float]:
    """Milliseconds of training forward, forward + backward, and evaluation."""
    named = list(leaves(case).values())
    b, m, _ = case["index"].shape
    grad = torch.randn(b, m, case["layers"][-1].weight.shape[0], device="cuda")

    def forward(training: bool) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast, cache_enabled=False):
            return function(**case, radius_m=1.5, momentum=0.1, training=training)

    def both() -> None:
        out = forward(True)
        torch.autograd.grad(out, named, grad.to(out.dtype))

    def evaluate() -> None:
        with torch.no_grad():
            forward(False)

    with torch.no_grad():
        forward_ms = graph_ms(lambda: forward(True))
    return forward_ms, graph_ms(both), graph_ms(evaluate)


def step_row(shape: str, lines: list[str]) -> None:
    case = make_case(shape)
    forward_ms, both_ms, eval_ms = step_times(case)
    lines.append(f"{shape:8s} forward {forward_ms:6.3f}  forward+backward {both_ms:6.3f}  evaluate {eval_ms:6.3f} ms")
    times = kernel_times(case)
    index, n = case["index"], case["xyz"].shape[1]
    times["rows_by_point (not in the kernels)"] = 1e3 * graph_ms(lambda: rows_by_point(index, n))
    lines.append("         us: " + "  ".join(f"{k} {v:.0f}" for k, v in sorted(times.items(), key=lambda kv: -kv[1])))


def reference_row(case: Case, lines: list[str]) -> None:
    times = step_times(case, True, reference.grouped_mlp)
    lines.append("reference in bfloat16 autocast, sa1: " + "  ".join(f"{t:.3f}" for t in times) + " ms")


def sweep_in_child(shape: str, jobs: list[Job], pipe: Connection) -> None:
    """Sends (microseconds or infinity, remark) of every launch of each job, then None; ends at the first fault."""
    torch.backends.cuda.matmul.allow_tf32 = False
    base = make_case(shape)
    default = results(convert(base, torch.float32), grouped_mlp, True)
    for job in jobs:
        for programs in PROGRAMS:
            with launched(shape, job, programs):
                try:
                    errors = relative(results(convert(base, torch.float32), grouped_mlp, True), default)
                    times = kernel_times(base, 3)
                except Exception as problem:
                    if type(problem).__name__ != "OutOfResources":
                        raise
                    pipe.send((float("inf"), "not runnable"))
                    break
            wrong = [name for name, error in errors.items() if not error < TOLERANCE]
            us = times[job[0]] + (times["back_third"] if job[0] == "back_weight" else 0.0)
            pipe.send((float("inf"), f"{programs}p wrong {wrong}") if wrong else (us, f"{programs}p"))
        pipe.send(None)


def sweep(shape: str, lines: list[str], deadline: float) -> None:
    """Best launches of each kernel at one shape, everything else left as it is; with dW3 apart, both its passes."""
    todo: list[Job] = [(kernel, *tile) for kernel in KERNELS for tile in TILES[max(SHAPES[shape][5][:2])]]
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    context = multiprocessing.get_context("spawn")
    while todo and time.monotonic() < deadline:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=sweep_in_child, args=(shape, todo, theirs), daemon=True)
        child.start()
        theirs.close()
        while todo and ours.poll(max(0.0, deadline - time.monotonic())):
            kernel, rows, warps, stages = todo[0]
            try:
                answer = ours.recv()
            except EOFError:
                answer = (float("inf"), "fault")
            if answer is None or answer[1] == "fault":
                todo.pop(0)
            if answer is not None:
                found[kernel].append((answer[0], f"({rows}r {warps}w s{stages} {answer[1]})"))
                if answer[1] == "fault":
                    break
        child.kill()
        child.join()
    for kernel, launches in found.items():
        ranked = sorted(launches)
        shown = ranked[:5] + [launch for launch in ranked[5:] if launch[0] == float("inf")]
        lines.append(f"{shape} {kernel}: " + "  ".join(f"{us:.0f} {launch}" for us, launch in shown))
    if todo:
        lines.append(f"{shape}: no time for {len(todo)} tiles from {todo[0]}")


def guarded(lines: list[str], what: Callable[..., None], *args: Any) -> None:
    try:
        what(*args)
        torch.cuda.empty_cache()
    except Exception as error:
        lines.append(f"FAILED {what.__name__} {[a for a in args if isinstance(a, str)]}: "
                     f"{type(error).__name__}: {str(error)[:300]}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweep", nargs="*", default=[], choices=SHAPES, help="shapes whose launches are searched")
    parser.add_argument("--seconds", type=float, default=95, help="the sweep ends by then")
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    began = time.monotonic()
    lines: list[str] = []
    with multiprocessing.get_context("spawn").Pool(12) as pool:
        pool.map(compile_one, [(shape, None) for shape in SHAPES], chunksize=1)
        print(f"defaults compiled after {time.monotonic() - began:.0f} s", flush=True)
        half = pool.map_async(check_half, SHAPES, chunksize=1)
        tasks = [(s, (k, *tile)) for s in arguments.sweep for k in KERNELS for tile in TILES[max(SHAPES[s][5][:2])]]
        pending = pool.map_async(compile_one, tasks, chunksize=1)
        for shape in SHAPES:
            guarded(lines, check_parity, shape, lines)
        lines += half.get(60)
        pending.get(60)
    print("\n".join(lines), f"\nall compiled after {time.monotonic() - began:.0f} s", flush=True)
    lines = []
    for shape in SHAPES:
        guarded(lines, step_row, shape, lines)
    guarded(lines, reference_row, make_case("sa1"), lines)
    for i, shape in enumerate(arguments.sweep):
        left = arguments.seconds - (time.monotonic() - began)
        guarded(lines, sweep, shape, lines, time.monotonic() + left / (len(arguments.sweep) - i))
    print("\n".join(lines))
    print(f"{time.monotonic() - began:.0f} s on {torch.cuda.get_device_name()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
