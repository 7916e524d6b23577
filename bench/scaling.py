"""Training steps on several GPUs: questions per second, and whether they compute what one GPU computes.

    python bench/scaling.py OUT.json && torchrun --nproc-per-node 4 bench/scaling.py OUT.json

Each call adds its rows to OUT.json. `weak` rows give every GPU 16 scenes, `strong` rows share 16 scenes. Equality: the
same 16 scenes, float32, no dropout, one step and twenty; the weights of one GPU lie beside OUT.json for later calls.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from askscan.bench.scenes import Size, make_bank, make_question_bank
from askscan.bench.timing import environment, timed, timing_of
from askscan.models.scan_qa import ScanQA
from askscan.train.answer import AnswerTask, AskedScenes
from askscan.train.checkpoint import RunFolder
from askscan.train.config import AnswerConfig
from askscan.train.devices import Devices, launch
from askscan.train.loop import Trainer
from askscan.train.recipes import recipe
from askscan.train.stage import build

CUDA = torch.cuda.is_available()
WORLD = int(os.environ.get("WORLD_SIZE", "1"))
SCENES, TEXTS = (16, 8) if CUDA else (4, 2)
WARM, TIMED = (10, 60) if CUDA else (1, 2)
CHECKED = (1, 20) if CUDA else (1, 3)


def config(name: str, scenes: int, precision: str, *, dropout: bool = True) -> AnswerConfig:
    found = recipe(name).answers
    loop = replace(found.loop, scenes_per_step=scenes, texts_per_scene=TEXTS, precision=precision)
    model = found.model
    if not dropout:
        fusion, encoder = (replace(part, dropout=0.0) for part in (model.fusion, model.scene.encoder))
        scene = replace(model.scene, encoder=encoder)
        model = replace(model, scene=scene, fusion=fusion, text_dropout=0.0, answer_dropout=0.0, head_dropout=0.0)
    return replace(found, loop=loop, model=model)


def trainer(chosen: AnswerConfig, size: Size) -> Trainer:
    """A training that has done no step."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    devices = Devices(accelerator="auto", num_devices=local, num_nodes=WORLD // local)
    fabric = launch(devices, chosen.loop.precision)
    bank = make_bank(size, fabric.device)
    asked = AskedScenes(bank=bank, questions=make_question_bank(bank, size))
    model = replace(chosen.model, num_answers=size.num_answers, text_width=size.width)
    module = build(ScanQA, model, 0).to(fabric.device)
    folder = RunFolder(Path(tempfile.gettempdir()))  # single steps write nothing
    return Trainer(AnswerTask(chosen, module, asked, None), chosen.loop, chosen.optim, folder, fabric, devices)


def pace(kind: str, name: str, scenes: int, precision: str, size: Size) -> dict[str, Any]:
    """Milliseconds of a step and questions per second."""
    run = trainer(config(name, scenes, precision), size)
    for step in range(WARM):
        run.advance(step)
    times = timed((partial(run.advance, step) for step in range(WARM, WARM + TIMED)), run.device)
    run.close()
    step = timing_of(times)
    return {
        "row": kind, "recipe": name, "precision": precision, "gpus": WORLD, "scenes": scenes, "texts": TEXTS,
        "ms": step.median_ms, "low": step.low_ms, "high": step.high_ms,
        "questions_per_s": scenes * TEXTS / step.median_ms * 1e3,
    }  # fmt: skip


def weights_after(name: str, steps: Sequence[int], size: Size) -> dict[str, torch.Tensor]:
    """Weights and mean loss after each number of steps."""
    run = trainer(config(name, SCENES, "32-true", dropout=False), size)
    found = {}
    for step in range(max(steps)):
        run.advance(step)
        if step + 1 in steps:
            found |= {f"{step + 1}/{key}": value.cpu().clone() for key, value in run.module.state_dict().items()}
            found[f"{step + 1}/loss"] = (run.sums[-3] / run.sums[-1]).cpu()
    run.close()
    return found


def compare(one: dict[str, torch.Tensor], several: dict[str, torch.Tensor], steps: int) -> dict[str, float]:
    """Relative distance of all weights, the worst of a running statistic, and of the mean loss so far."""
    chosen = [key for key in one if key.startswith(f"{steps}/") and one[key].is_floating_point()]
    gap = {key: (one[key] - several[key]).double().norm() for key in chosen}
    norm = {key: one[key].double().norm() for key in chosen}
    weights = [key for key in chosen if "running" not in key and not key.endswith("/loss")]
    worst = max(float(gap[key] / norm[key].clamp_min(1e-6)) for key in chosen if "running" in key)
    total = sum(gap[key] ** 2 for key in weights) ** 0.5 / sum(norm[key] ** 2 for key in weights) ** 0.5
    loss = f"{steps}/loss"
    return {"steps": steps, "weights": float(total), "statistics": worst, "loss": float(gap[loss] / norm[loss])}


def main(out: Path) -> None:
    size = Size() if CUDA else Size(num_scenes=8, num_points=3000, num_answers=50, width=32)
    name = "paper-fast" if CUDA else "tiny"
    base = Path(f"{out}.weights.pt")
    if WORLD == 1:
        torch.save(weights_after(name, CHECKED, size), base)
        rows = []
    else:
        several = weights_after(name, CHECKED, size)
        one = torch.load(base, weights_only=True)
        rows = [{"row": "equality", "gpus": WORLD, **compare(one, several, steps)} for steps in CHECKED]
    precision = "bf16-mixed" if CUDA else "32-true"
    rows.append(pace("weak", name, SCENES * WORLD, precision, size))
    if WORLD > 1:
        rows.append(pace("strong", name, SCENES, precision, size))
    if not dist.is_initialized() or dist.get_rank() == 0:
        before = (
            json.loads(out.read_text())
            if out.is_file()
            else {"environment": environment(torch.device("cuda" if CUDA else "cpu")), "rows": []}
        )
        before["rows"] += rows
        out.write_text(json.dumps(before, indent=1))
        for row in rows:
            print(row, flush=True)
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
