"""`doctor`, `export`, `bench`."""

from __future__ import annotations

import colorsys
import json as jsonlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from askscan.cli.arguments import AsJson, Device, RunPosition
from askscan.cli.asking import ScanData, place, read_told
from askscan.cli.console import say, table
from askscan.errors import ConfigError

_PACKAGES = (
    "torch",
    "triton",
    "numpy",
    "transformers",
    "lightning-fabric",
    "safetensors",
    "numba",
    "scipy",
    "trimesh",
    "embreex",
    "pycocoevalcap",
    "tyro",
)
_KERNELS_SHOWN = 25


def doctor(*, as_json: AsJson = False) -> None:
    """Versions, device, and for every operation which implementation answers and why."""
    found = _diagnosis()
    if as_json:
        print(jsonlib.dumps(found, indent=2))
        return
    table("versions", ("package", "version"), list(found["versions"].items()))
    table("device", ("what", "found"), list(found["device"].items()))
    rows = [(row["name"], row["device"], row["implementation"], row["reason"]) for row in found["operations"]]
    table("operations", ("operation", "device", "answered by", "reason"), rows)
    table("parts", ("what", "found"), list(found["parts"].items()))


def export(
    run: RunPosition,
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="PLACE", help="File, or with `hub` a folder, to write.")],
    layout: Annotated[Literal["votenet", "depthcontrast", "3dvqa", "hub", "ply"], tyro.conf.arg(name="format")],
    scan: Annotated[str | None, tyro.conf.arg(metavar="SCAN", help="With `ply`: whose objects; as for `ask`.")] = None,
    data: ScanData = None,
    push: Annotated[str | None, tyro.conf.arg(metavar="OWNER/NAME", help="With `hub`: also upload it there.")] = None,
    licence: Annotated[str, tyro.conf.arg(metavar="NAME")] = "other",
    public: bool = False,
) -> None:
    """Write a run's weights for other projects or the Hub, or a scan's objects.

    Args:
        layout: Whose names: VoteNet's detector, DepthContrast's backbone, the published 3D-VQA code's models; `hub`:
            configuration, weights, vocabulary, scores, teacher and a model card; `ply`: the objects' boxes, to open
            beside the scan, coloured by class; classes and sizes are in the file's comments.
        licence: Of the weights, by its name on the Hub; what is trained on ScanNet is not for commercial use.
        public: Everybody may see a repository that is created; otherwise you alone.
    """
    from askscan.evaluate.runs import load_run
    from askscan.models.scan_qa import QuestionOnly
    from askscan.models.weights import write_export

    if layout == "hub":
        from askscan.evaluate.hub import push as push_folder
        from askscan.evaluate.hub import write_hub_folder

        write_hub_folder(load_run(run), out, licence=licence, name=push)
        say(f"{out}: written; `askscan.load` takes it, and so does the Hub.")
        if push is not None:
            say(f"pushed to {push_folder(out, push, private=not public)}")
        return
    if push is not None:
        raise ConfigError("--push goes with --format hub.")
    if (scan is not None) != (layout == "ply"):
        raise ConfigError("--format ply writes the objects of a scan: give both --format ply and --scan SCAN.")
    if out.exists():
        raise ConfigError(f"{out}: exists; give another name.")
    if layout == "ply":
        assert scan is not None
        _write_objects(run, scan, data, out)
        return
    module = load_run(run).module
    if isinstance(module, QuestionOnly):
        raise ConfigError(f"{run}: is the question-only baseline; it has no 3D network to export.")
    write_export(module, layout, out)
    say(f"{out}: written under the names of {layout}.")


def _write_objects(run: str, scan: str, data: Path | None, out: Path) -> None:
    """The boxes of a scan's objects as a PLY in the axes and units of its file."""
    import numpy as np

    from askscan.data.ply import write_ply
    from askscan.evaluate.answerer import load
    from askscan.geometry.meshes import wireframes
    from askscan.shapes import CLASS_NAMES

    read = read_told(scan, data, "auto", "auto", align_walls=True)
    found = load(run).detect(read)
    hues = [colorsys.hsv_to_rgb(0.618 * CLASS_NAMES.index(one.label) % 1, 0.85, 0.9) for one in found]
    metre = 1 / np.cbrt(np.linalg.det(read.from_file[:3, :3]))  # in the file's unit
    corners = np.stack([one.corners for one in found]) if found else np.zeros((0, 8, 3))
    boxes = wireframes(corners, (255 * np.array(hues).reshape(-1, 3)).astype(np.uint8), 0.02 * float(metre))
    comments = [f"{one.label}, {one.objectness:.2f}: {place(one.center, one.size)}" for one in found]
    write_ply(out, boxes, comments)
    say(f"{out}: {len(found)} objects of {scan}.")


def bench(
    *,
    suite: Literal["ops", "steps", "all"] = "all",
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    render: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    quick: bool = False,
    kernels: bool = False,
    device: Device = "auto",
) -> None:
    """Measure speed beside the plain reference and libraries that do the same.

    Args:
        suite: Operations, steps, or both with how their cost grows.
        json: File for the figures; with --render, where they are read from.
        render: Write the figures of --json as a Markdown page and measure nothing.
        quick: Tiny sizes and few repeats: does it run at all?
        kernels: Also list the GPU time per kernel of two training steps.
    """
    from askscan.bench.report import COLUMNS, cells, line, write_page
    from askscan.bench.results import Report
    from askscan.bench.run import run_bench
    from askscan.evaluate.runs import pick_device

    if render is not None:
        if json is None:
            raise ConfigError("bench --render writes the figures of a file; name it with --json.")
        write_page(Report.load(json), json.name, render)
        say(f"{render}: written from {json}.")
        return
    say(line(COLUMNS))
    found = run_bench(
        pick_device(device),
        suite=suite,
        quick=quick,
        kernels=kernels,
        json=json,
        on_result=lambda result: say(line(cells(result))),
    )
    say(", ".join(f"{name} {value}" for name, value in found.environment.items()))
    for name, rows in found.kernels.items():
        say(f"{name}: {sum(row.microseconds for row in rows) / 1e3:.1f} ms of kernels")
        for row in rows[:_KERNELS_SHOWN]:
            say(f"{row.microseconds:9.0f} us {row.calls:5d} x  {row.name[:110]}")


def _diagnosis() -> dict[str, Any]:
    import torch

    from askscan import __version__, ops
    from askscan.evaluate.runs import DEFAULT_RUN, shipped_runs
    from askscan.metrics.language import java_problem
    from askscan.models.teacher import DEFAULT_TEACHER

    versions = {"askscan": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    device = {"processor": f"{platform.machine()}, {torch.get_num_threads()} thread(s)"}
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        memory = properties.total_memory / 2**30
        device[f"cuda:{i}"] = f"{properties.name}, {memory:.0f} GiB, capability {properties.major}.{properties.minor}"
    if not torch.cuda.is_available():
        device["cuda"] = "none: everything runs on the processor"
    return {
        "versions": versions,
        "device": device,
        "operations": [
            {"name": s.name, "device": s.device, "implementation": s.implementation, "reason": s.reason}
            for s in ops.status()
        ],
        "parts": {
            **{f"run {name}": _purpose(folder) for name, folder in {"default": DEFAULT_RUN, **shipped_runs()}.items()},
            "default teacher": "shipped" if (DEFAULT_TEACHER / "model.safetensors").is_file() else "missing",
            "java (METEOR, SPICE)": java_problem() or "found",
        },
    }


def _purpose(folder: Path) -> str:
    """What a run of the package is for."""
    from askscan.evaluate.runs import stage_of

    if not (folder / "model.safetensors").is_file():
        return "missing"
    return "answers questions" if stage_of(folder) == "answers" else "a pre-trained encoder: for map, embed, --init"
