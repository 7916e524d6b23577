"""The loop where a GPU runs it: recorded steps, copies that nobody waits for, and what stops a run."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import stand_ins
import torch

from askscan.data.folder import DataFolder
from askscan.errors import ConfigError
from askscan.train.answer import AnswerTask, train_answers
from askscan.train.checkpoint import RunFolder
from askscan.train.devices import Devices
from askscan.train.loop import Trainer

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def train(data: DataFolder, out: Path, num_steps: int, device: str, *, cuda_graph: bool = True) -> list[float]:
    """The loss of every step."""
    config = stand_ins.small_answers(num_steps, 0.0)
    config = replace(config, loop=replace(config.loop, log_every=1))
    devices = Devices(accelerator=device, cuda_graph=cuda_graph)
    train_answers(data, out, config, teacher=stand_ins.StandInTeacher(), devices=devices)
    return losses(out)


def losses(out: Path) -> list[float]:
    with (out / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("device", DEVICES)
def test_every_step_asks_what_its_place_in_the_epoch_says(
    data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
):
    placed: list[tuple[int, torch.Tensor]] = []
    honest, samplers = Trainer._place, []

    def place(self: Trainer, step: int) -> None:
        honest(self, step)
        placed.append((step, self.inputs.text.clone()))
        samplers.append(self.task.sampler)

    monkeypatch.setattr(Trainer, "_place", place)
    train(data, tmp_path, 15, device)
    sampler = samplers[0]
    assert {step for step, _ in placed} == set(range(15))
    assert sampler.num_steps < 7  # several epochs
    for step, text in placed:
        epoch, row = divmod(step, sampler.num_steps)
        assert text.tolist() == sampler.epoch(epoch).text[row].tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graph", [True, False])
def test_no_step_waits_for_the_gpu(data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda_graph: bool):
    """Batch, epoch order, training and update, one kernel at a time and recorded."""
    honest, watched = Trainer.advance, []

    def advance(self: Trainer, step: int) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            honest(self, step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        watched.append(step)

    monkeypatch.setattr(Trainer, "advance", advance)
    train(data, tmp_path, 15, "cuda", cuda_graph=cuda_graph)
    assert len(watched) == 15


@pytest.mark.gpu
def test_recorded_steps_learn_what_steps_of_single_kernels_learn(data: DataFolder, tmp_path: Path):
    recorded = train(data, tmp_path / "recorded", 9, "cuda")
    single = train(data, tmp_path / "single", 9, "cuda", cuda_graph=False)
    assert recorded == pytest.approx(single, rel=0.02)  # sums in another order, amplified by nine steps


@pytest.mark.gpu
def test_an_interrupted_run_on_a_gpu_goes_on(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    whole = train(data, tmp_path / "whole", 9, "cuda")

    def stop(done: int, total: int) -> None:
        if total == 9 and done == 6:
            raise KeyboardInterrupt

    config = stand_ins.small_answers(9, 0.0)
    config = replace(config, loop=replace(config.loop, log_every=1))
    devices = Devices(accelerator="cuda")
    with pytest.raises(KeyboardInterrupt):
        train_answers(data, tmp_path / "parts", config, teacher=teacher, devices=devices, on_progress=stop)
    result = train_answers(data, tmp_path / "parts", config, teacher=teacher, devices=devices)
    assert result.resumed_at == 6
    assert losses(tmp_path / "parts") == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("device", DEVICES)
def test_poisoned_scenes_stop_a_run_and_leave_its_checkpoint(
    data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
):
    honest = Trainer._after

    def after(self: Trainer, done: int) -> None:
        if done == 6:
            assert isinstance(self.task, AnswerTask)
            self.task.train.bank.mean_rgb.fill_(torch.nan)  # in place: where a recording reads it
        honest(self, done)

    monkeypatch.setattr(Trainer, "_after", after)
    with pytest.raises(ConfigError, match=r"became nan before step [78].*checkpoint of step 6 is intact"):
        train(data, tmp_path, 15, device)
    tensors, progress = RunFolder(tmp_path).load_state()
    assert progress.step == 6
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
