import os
import subprocess
import sys
from pathlib import Path

import pytest
import stand_ins
import torch

from askscan.data.folder import DataFolder
from askscan.train.checkpoint import RunFolder, load_weights

SCRIPT = Path(stand_ins.__file__)


def script(*arguments: object, timeout: float = 120) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def same_runs(first: Path, second: Path) -> None:
    """Weights, optimizer, position, best score and metrics, bit by bit."""
    (tensors, progress), (others, other) = RunFolder(first).load_state(), RunFolder(second).load_state()
    assert progress == other
    assert progress.finished
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    best, other_best = load_weights(first / "model.safetensors"), load_weights(second / "model.safetensors")
    assert all(torch.equal(best[name], other_best[name]) for name in best)
    assert (first / "metrics.csv").read_bytes() == (second / "metrics.csv").read_bytes()
    assert not list(second.rglob(".*.tmp"))


def kill_and_compare(data: DataFolder, out: Path, stage: str, num_steps: int, num_kills: int) -> int:
    kills = int(script("kill", stage, data.root, out, num_steps, num_kills, 1, timeout=900))
    same_runs(out / "whole", out / "killed")
    return kills


def test_a_killed_run_ends_as_if_it_had_not_been(data: DataFolder, tmp_path: Path):
    assert kill_and_compare(data, tmp_path, "answers", 40, 4) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["pretrain", "answers"])
def test_fifty_kills(data: DataFolder, tmp_path: Path, stage: str):
    assert kill_and_compare(data, tmp_path, stage, 600, 50) >= 40


def test_two_processes_train_like_one(data: DataFolder, tmp_path: Path):
    """Same global batch, no dropout: equal up to the order of float32 sums, which Adam amplifies where gradients vanish.

    Seen: 1e-3 of the weights' norm after 12 steps, 1e-4 of the losses; without synchronised BatchNorm 0.3 and 0.1.
    """
    script("train", "answers", data.root, tmp_path / "2", 12, 2)
    stand_ins.train("answers", str(data.root), str(tmp_path / "1"), 12, 0.0)
    one, two = (load_weights(tmp_path / name / "model.safetensors") for name in "12")
    for name, weight in one.items():
        if weight.is_floating_point():
            difference = (weight - two[name]).norm() / weight.norm().clamp(min=1e-2)
            assert difference < 2e-2, f"{name}: {difference}"
    first, second = ((tmp_path / name / "metrics.csv").read_text().split("\n") for name in "12")
    assert len(first) == len(second)
    for row, other in zip(first[1:-1], second[1:-1], strict=True):
        losses = [torch.tensor([float(cell) for cell in line.split(",")[3:14]]) for line in (row, other)]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-2, atol=1e-3)
