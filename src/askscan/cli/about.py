"""`doctor`, `export`, `bench`."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from askscan.cli.arguments import RunPosition
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


def doctor(*, as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> None:
    """Versions, device, and for every operation which implementation answers and why.

    Args:
        as_json: Print JSON.
    """
    found = _diagnosis()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table("versions", ("package", "version"), list(found["versions"].items()))
    table("device", ("what", "found"), list(found["device"].items()))
    rows = [(row["name"], row["device"], row["implementation"], row["reason"]) for row in found["operations"]]
    table("operations", ("operation", "device", "answered by", "reason"), rows)
    table("parts", ("what", "found"), list(found["parts"].items()))


def export(
    run: RunPosition,
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="Checkpoint to write.")],
    layout: Annotated[Literal["votenet", "depthcontrast", "3dvqa"], tyro.conf.arg(name="format")],
) -> None:
    """Write a run's weights under the names of another project.

    Args:
        layout: Whose names: VoteNet's detector, DepthContrast's backbone, or the published 3D-VQA code's models.
    """
    from askscan.evaluate.runs import load_run
    from askscan.models.scan_qa import QuestionOnly
    from askscan.models.weights import write_export

    module = load_run(run).module
    if isinstance(module, QuestionOnly):
        raise ConfigError(f"{run}: is the question-only baseline; it has no 3D network to export.")
    if out.exists():
        raise ConfigError(f"{out}: exists; give another name.")
    write_export(module, layout, out)
    say(f"{out}: written under the names of {layout}.")


def _diagnosis() -> dict[str, Any]:
    import shutil

    import torch

    from askscan import __version__, ops
    from askscan.evaluate.runs import DEFAULT_RUN
    from askscan.models.teacher import DEFAULT_TEACHER

    versions = {"askscan": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    device = {"processor": f"{platform.machine()}, {torch.get_num_threads()} threads"}
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
            "default model": "shipped" if (DEFAULT_RUN / "model.safetensors").is_file() else "missing",
            "default teacher": "shipped" if (DEFAULT_TEACHER / "model.safetensors").is_file() else "missing",
            "java (METEOR, SPICE)": "found" if shutil.which("java") else "none: METEOR and SPICE are left out",
        },
    }
