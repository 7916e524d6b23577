"""Checks every CUDA operation against the reference on one GPU and times it, with the design variants.

    PYTHONPATH=src python3 bench/ops/check_gpu.py [SECTION...]

Every section is a process of its own with a time limit: a failing or hanging kernel does not stop the rest.
"""

import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from clouds import KINDS, cloud

LIMIT_S = {"parity": 60, "large": 40, "graph": 30, "times": 40, "farthest": 40, "balls": 30}
GOALS_MS = {
    "farthest points 16 x 40,000 -> 2,048": 2.5,
    "ball query 16 x 2,048 in 40,000, r .2, 64": 0.5,
    "group 128 channels forward f32": 1.0,
    "group 128 channels backward f32": 2.0,
    "group 128 channels forward bf16": 1.0,
    "group 128 channels backward bf16": 2.0,
}
failures = 0


def attempt(name: str, check: Callable[[], str | None]) -> None:
    """Runs one check; prints what it returns (a problem), or its traceback."""
    global failures
    try:
        problem = check()
        torch.cuda.synchronize()
    except Exception:
        problem = traceback.format_exc(limit=4)
    if problem:
        failures += 1
        print(f"FAIL {name}: {problem}", flush=True)


def unequal(got: torch.Tensor, want: torch.Tensor) -> str | None:
    bad = (got != want).nonzero()
    if got.shape != want.shape or len(bad):
        at = tuple(bad[0].tolist())
        return f"{len(bad)} of {want.numel()} differ, first at {at}: got {got[at].item()}, want {want[at].item()}"
    return None


def far(got: torch.Tensor, want: torch.Tensor, tolerance: float) -> str | None:
    error = ((got.double() - want.double()).norm() / want.double().norm().clamp_min(1e-30)).item()
    return None if error <= tolerance else f"relative error {error:.3g} above {tolerance}"


def median_ms(run: Callable[[], object], repeats: int = 15) -> float:
    run(), run()
    times = []
    for _ in range(repeats):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
    return sorted(times)[len(times) // 2]


def report(name: str, run: Callable[[], object], repeats: int = 15) -> None:
    def timed() -> None:
        milliseconds, goal = median_ms(run, repeats), GOALS_MS.get(name)
        verdict = "" if goal is None else f"  goal {goal} {'met' if milliseconds <= goal else 'MISSED'}"
        print(f"{name:58s} {milliseconds:9.3f} ms{verdict}", flush=True)

    attempt(name, timed)


def gathered(points: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return points.gather(1, index[..., None].expand(-1, -1, 3)).contiguous()


# --- parity ---


def parity() -> None:
    from askscan import ops
    from askscan.ops.cuda import ball_query as cuda_ball
    from askscan.ops.reference import ball_query as plain_ball

    for kind in KINDS:
        for b, n, num in ((1, 1, 3), (2, 7, 12), (3, 1009, 257), (2, 5003, 300), (2, 40000, 300), (1, 70001, 64)):
            xyz = cloud(kind, b, n, seed=n).cuda()
            centers = xyz[:, : min(n, 211)].contiguous()

            def same_farthest(xyz: torch.Tensor = xyz, num: int = num) -> str | None:
                with ops.use("reference"):
                    want = ops.farthest_points(xyz, num)
                return unequal(ops.farthest_points(xyz, num), want)

            attempt(f"farthest points {kind} {b} x {n} -> {num}", same_farthest)
            for radius, k in ((0.2, 64), (1.0, 16), (0.003, 5), (100.0, 7)):

                def same_ball(scan: int, xyz=xyz, centers=centers, radius=radius, k=k) -> str | None:
                    squared = float(torch.tensor(radius) * torch.tensor(radius))
                    want = plain_ball.ball_query(centers, xyz, squared, k)
                    return unequal(cuda_ball.ball_query(centers, xyz, squared, k, max_scan=scan), want)

                attempt(f"ball query, boxes, {kind} {b} x {n}, r {radius}, {k}", lambda: same_ball(0))
                attempt(f"ball query, scan, {kind} {b} x {n}, r {radius}, {k}", lambda: same_ball(1 << 30))

            def same_three(xyz: torch.Tensor = xyz, centers: torch.Tensor = centers) -> str | None:
                with ops.use("reference"):
                    want = ops.three_nearest(centers + 0.01, xyz)
                got = ops.three_nearest(centers + 0.01, xyz)
                return unequal(got[1], want[1]) or far(got[0], want[0], 1e-6)

            attempt(f"three nearest {kind} {b} x {n}", same_three)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for c in (1, 3, 6, 20, 128, 131, 256, 1088):
            attempt(f"rows {dtype} {c} channels", lambda dtype=dtype, c=c: same_rows(dtype, c))
    print(f"parity: {failures} failures", flush=True)


def same_rows(dtype: torch.dtype, c: int) -> str | None:
    from askscan import ops

    torch.manual_seed(c)
    features = torch.randn(3, 501, c, device="cuda").to(dtype).requires_grad_()
    index = torch.randint(0, 501, (3, 97, 13), device="cuda")
    index[:, :, 5:] = index[:, :, :1]
    near, weight = index[:, :, 2:5].contiguous(), torch.rand(3, 97, 3, device="cuda", requires_grad=True)
    results = []
    for choice in ("reference", "cuda"):
        with ops.use(choice):
            rows, mixed = ops.group(features, index), ops.interpolate(features, near, weight)
            torch.manual_seed(1)
            one = torch.autograd.grad(rows, features, torch.randn_like(rows))
            two = torch.autograd.grad(mixed, (features, weight), torch.randn_like(mixed))
            results.append((rows, mixed, *one, *two))
    want, got = results
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2 if dtype == torch.bfloat16 else 1e-3
    problems = [unequal(got[0], want[0])] + [far(g, w, tolerance) for g, w in zip(got[1:], want[1:], strict=True)]
    return "; ".join(p for p in problems if p) or None


def large() -> None:
    from askscan import ops
    from askscan.ops.cuda import ball_query as cuda_ball

    for kind, b, n, num in (
        ("room", 1, 500_000, 512),
        ("room", 128, 40_000, 64),
        ("uniform", 3, 200_003, 256),
        ("room", 16, 40_000, 2048),
        ("room", 2, 900, 2048),
    ):
        xyz = cloud(kind, b, n, seed=1).cuda()

        def same(xyz: torch.Tensor = xyz, num: int = num) -> str | None:
            with ops.use("reference"):
                want = ops.farthest_points(xyz, num)
            got = ops.farthest_points(xyz, num)
            problem = unequal(got, want)
            centers = gathered(xyz, want)
            balls = ops.ball_query(centers, xyz, 0.2, 64)
            squared = float(torch.tensor(0.2) * torch.tensor(0.2))
            other = cuda_ball.ball_query(centers, xyz, squared, 64, max_scan=1 << 30)
            return problem or unequal(balls, other)

        attempt(f"large {kind} {b} x {n} -> {num}", same)
    print(f"large: {failures} failures", flush=True)


def graph() -> None:
    """All operations, forward and backward, in a CUDA graph, synchronisations forbidden; replayed on new inputs."""
    from askscan import ops

    def step(xyz: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        index = ops.farthest_points(xyz, 512)
        centers = gathered(xyz, index)
        balls = ops.ball_query(centers, xyz, 0.3, 32)
        pooled = ops.group(features, balls).amax(2)
        distances, near = ops.three_nearest(xyz[:, :1000].contiguous(), centers)
        out = ops.interpolate(pooled, near, ops.interpolation_weights(distances))
        (grad,) = torch.autograd.grad(out.square().sum(), features)
        return index, balls, out, grad

    def check() -> str | None:
        xyz, features = cloud("room", 4, 20000).cuda(), torch.randn(4, 20000, 32, device="cuda", requires_grad=True)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step(xyz, features)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.set_sync_debug_mode("error")
        step(xyz, features)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            results = step(xyz, features)
        torch.cuda.set_sync_debug_mode("default")
        with torch.no_grad():
            xyz.copy_(cloud("room", 4, 20000, seed=5))
        captured.replay()
        want = step(xyz, features)
        return unequal(results[0], want[0]) or unequal(results[1], want[1]) or far(results[3], want[3], 1e-5)

    attempt("graph", check)
    print(f"graph: {failures} failures", flush=True)


# --- times ---


def alternating(inputs: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    while True:
        yield from inputs


def times() -> None:
    from askscan import ops
    from askscan.ops.cuda import spatial

    clouds = [cloud("room", 16, 40_000, seed=s).cuda() for s in range(3)]
    turn = alternating(clouds)
    report("farthest points 16 x 40,000 -> 2,048", lambda: ops.farthest_points(next(turn), 2048))
    report("  ordering alone", lambda: spatial.sort_points(next(turn), max_buckets=1024))
    for num in (1, 128, 512, 1024):
        report(f"  -> {num}", lambda num=num: ops.farthest_points(next(turn), num))
    for kind in ("uniform", "grid", "duplicates", "cluster"):
        xyz = cloud(kind, 16, 40_000).cuda()
        report(f"  {kind}", lambda xyz=xyz: ops.farthest_points(xyz, 2048))
    index = ops.farthest_points(clouds[0], 2048)
    centers = gathered(clouds[0], index)
    votes = gathered(clouds[0], index[:, :1024])
    report("farthest points 16 x 1,024 -> 256 (votes)", lambda: ops.farthest_points(votes, 256))
    for b, n in ((1, 40_000), (128, 40_000), (1, 500_000), (16, 200_000)):
        xyz = cloud("room", b, n).cuda()
        report(f"farthest points {b} x {n:,} -> 2,048", lambda xyz=xyz: ops.farthest_points(xyz, 2048))
    report("ball query 16 x 2,048 in 40,000, r .2, 64", lambda: ops.ball_query(centers, clouds[0], 0.2, 64))
    for radius, m, n, k in ((0.4, 1024, 2048, 32), (0.8, 512, 1024, 16), (1.2, 256, 512, 16), (0.3, 256, 1024, 16)):
        few, many = centers[:, :m].contiguous(), centers[:, :n].contiguous()
        report(
            f"ball query 16 x {m} in {n}, r {radius}, {k}",
            lambda f=few, s=many, r=radius, k=k: ops.ball_query(f, s, r, k),
        )
    report("three nearest 16 x 1,024 in 512", lambda: ops.three_nearest(votes, centers[:, :512].contiguous()))
    balls = ops.ball_query(centers, clouds[0], 0.2, 64)
    for dtype, name in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        features = torch.randn(16, 40_000, 128, device="cuda", dtype=dtype, requires_grad=True)
        rows = ops.group(features, balls)
        grad = torch.randn_like(rows)
        report(f"group 128 channels forward {name}", lambda f=features: ops.group(f.detach(), balls))
        report(
            f"group 128 channels backward {name}",
            lambda r=rows, f=features, g=grad: torch.autograd.grad(r, f, g, retain_graph=True),
        )
        print(f"  ({rows.numel() * rows.element_size() / 1e9:.2f} GB of rows)", flush=True)
        del rows, grad
    seeds = torch.randn(16, 512, 512, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    distances, near = ops.three_nearest(votes, centers[:, :512].contiguous())
    mixed = ops.interpolate(seeds, near, ops.interpolation_weights(distances))
    weight = ops.interpolation_weights(distances)
    report("interpolate 16 x 512 -> 1,024, 512 channels bf16", lambda: ops.interpolate(seeds.detach(), near, weight))
    report("  backward", lambda: torch.autograd.grad(mixed, seeds, torch.ones_like(mixed), retain_graph=True))
    with ops.use("reference"):
        report("plain torch: farthest points 16 x 40,000 -> 2,048", lambda: ops.farthest_points(clouds[0], 2048), 3)
        report("plain torch: ball query 16 x 2,048", lambda: ops.ball_query(centers, clouds[0], 0.2, 64), 1)
        report("plain torch: group forward bf16", lambda: ops.group(features.detach(), balls), 5)


def farthest() -> None:
    """Design variants of farthest points: threads of a block, buckets of a thread."""
    from askscan.ops.cuda.farthest_points import farthest_points

    for b, n, num, variants in (
        (16, 40_000, 2048, ((1024, 1), (1024, 2), (512, 1), (512, 2), (512, 3), (256, 2), (256, 4))),
        (16, 20_000, 1024, ((1024, 1), (512, 1), (512, 2), (256, 2), (256, 4))),
        (16, 1024, 256, ((1024, 1), (512, 1), (256, 1), (128, 1), (64, 1))),
        (16, 4096, 1024, ((1024, 1), (512, 1), (256, 1), (128, 1), (128, 2))),
        (1, 500_000, 2048, ((1024, 1), (1024, 2), (1024, 3))),
    ):
        xyz = cloud("room", b, n).cuda()
        for threads, slots in variants:
            report(
                f"{b} x {n} -> {num}: {threads} threads, {slots} buckets each",
                lambda x=xyz, m=num, t=threads, s=slots: farthest_points(x, m, threads=t, slots=s),
            )


def balls() -> None:
    """Where ordering the cloud starts to pay for ball query."""
    from askscan.ops.cuda.ball_query import ball_query

    for n, m, k in ((1024, 256, 16), (2048, 1024, 32), (4096, 1024, 32), (8192, 2048, 64), (40_000, 2048, 64)):
        xyz = cloud("room", 16, n).cuda()
        centers = xyz[:, :m].contiguous()
        report(f"16 x {m} in {n}, {k}: boxes", lambda c=centers, x=xyz, k=k: ball_query(c, x, 0.04, k, max_scan=0))
        report(f"16 x {m} in {n}, {k}: scan", lambda c=centers, x=xyz, k=k: ball_query(c, x, 0.04, k, max_scan=1 << 30))


def main() -> int:
    if sys.argv[1:2] == ["--section"]:
        globals()[sys.argv[2]]()
        return int(failures > 0)
    worst = 0
    for section in sys.argv[1:] or LIMIT_S:
        start = time.time()
        print(f"== {section}", flush=True)
        try:
            code = subprocess.run([sys.executable, __file__, "--section", section], timeout=LIMIT_S[section]).returncode
        except subprocess.TimeoutExpired:
            code = 1
            print(f"FAIL {section}: stopped after {LIMIT_S[section]} s", flush=True)
        worst = max(worst, abs(code))
        print(f"== {section}: exit {code}, {time.time() - start:.0f} s", flush=True)
    return min(worst, 1)


if __name__ == "__main__":
    sys.exit(main())
