import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stand_ins
import torch

from askscan.data.folder import DataFolder
from askscan.train.answer import train_answers
from askscan.train.checkpoint import RunFolder, load_weights
from askscan.train.devices import Devices

SCRIPT = Path(stand_ins.__file__)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the processes of `stand_ins` compute, two at a time."""
    if request.param == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    monkeypatch.setenv("STAND_INS_DEVICE", request.param)
    return request.param


def run_script(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


def script(*arguments: object, timeout: float = 120) -> str:
    done = run_script(*arguments, timeout=timeout)
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
    assert {path.relative_to(first) for path in first.rglob("*")} == {p.relative_to(second) for p in second.rglob("*")}


def kill_and_compare(data: DataFolder, out: Path, stage: str, num_steps: int, num_kills: int) -> tuple[list[int], int]:
    """Steps above 0 that the killed run went on from; and how many kills left a file half-written."""
    half_written = int(script("kill", stage, data.root, out, num_steps, num_kills, 1, timeout=1800))
    same_runs(out / "whole", out / "killed")
    starts = [int(step) for step in re.findall(r"training from step (\d+)", (out / "killed" / "log.txt").read_text())]
    assert starts == sorted(starts) and len(starts) <= num_kills + 1
    return [step for step in starts if step], half_written


def test_a_killed_run_ends_as_if_it_had_not_been(data: DataFolder, tmp_path: Path):
    resumed, _ = kill_and_compare(data, tmp_path, "answers", 48, 4)
    assert len(set(resumed)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["pretrain", "answers"])
def test_fifty_kills(data: DataFolder, tmp_path: Path, stage: str):
    resumed, half_written = kill_and_compare(data, tmp_path, stage, 600, 50)
    assert len(resumed) >= 45 and len(set(resumed)) >= 40
    assert half_written >= 3


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_two_processes_train_like_one(data: DataFolder, tmp_path: Path, device: str):
    """Same global batch, no dropout, one step: loss terms, BatchNorm statistics and gradients of the global batch.

    Seen: 1e-5 of the losses, 2e-5 of the statistics, 4e-2 of the worst gradient (float32 sums in another order, which
    the first layers amplify); where BatchNorm is not synchronised 0.1, 0.2 and 2.
    """
    script("train", "answers", data.root, tmp_path / "2", 1, 2)
    stand_ins.train("answers", str(data.root), str(tmp_path / "1"), 1, 0.0)
    one, two = (RunFolder(tmp_path / name).load_state()[0] for name in "12")
    for name, tensor in one.items():
        limit = 1e-3 if "running" in name else 0.15 if name.endswith("exp_avg") else None
        if limit is not None and tensor.norm() > 1e-7:
            difference = (tensor - two[name]).norm() / tensor.norm()
            assert difference < limit, f"{name}: {difference}"
    rows = [(tmp_path / name / "metrics.csv").read_text().split("\n")[1].split(",")[3:15] for name in "12"]
    losses = [torch.tensor([float(cell) for cell in row]) for row in rows]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_what_one_process_cannot_write_stops_them_all(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, device: str
):
    """Each with the sentence of the first, none with what becomes of messages that nobody answers."""

    def stop(done: int, total: int) -> None:
        if total == 8 and done == 6:
            raise KeyboardInterrupt

    config, devices = stand_ins.small_answers(8, 0.0), Devices(accelerator=device)
    with pytest.raises(KeyboardInterrupt):
        train_answers(data, tmp_path, config, teacher=teacher, devices=devices, on_progress=stop)
    (tmp_path / "metrics.csv").unlink()
    done = run_script("train", "answers", data.root, tmp_path, 8, 2)
    assert done.returncode != 0
    assert len(re.findall(r"DataError: .*metrics\.csv: missing", done.stderr)) == 2, done.stderr[-3000:]
    assert "onnection" not in done.stderr


def end_of(training: subprocess.Popen[bytes], limit_s: float) -> int:
    """The exit code of the first of a group of processes; none of the others is left."""
    try:
        code = training.wait(timeout=limit_s)
        time.sleep(6)  # the launcher looks after its processes every few seconds
        with pytest.raises(ProcessLookupError):
            os.killpg(training.pid, 0)
        return code
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(training.pid, signal.SIGABRT)  # a process that hangs says where
            time.sleep(1)
            os.killpg(training.pid, signal.SIGKILL)


def start(data: DataFolder, out: Path, num_steps: int) -> subprocess.Popen[bytes]:
    """A training of two processes, in a group of their own that hears Ctrl-C whoever started this."""
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), "train", "answers", str(data.root), str(out)]
    return subprocess.Popen(
        [*command, str(num_steps), "2"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_ctrl_c_ends_all_processes(data: DataFolder, tmp_path: Path, device: str):
    """Also where one of them is many steps ahead of the other's messages."""
    training = start(data, tmp_path, 100_000)
    until = time.monotonic() + 120
    while not RunFolder(tmp_path).state.exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(training.pid, signal.SIGINT)
    assert end_of(training, 60) != 0
    RunFolder(tmp_path).load_state()


@pytest.mark.parametrize("failing", ["0", "1"])
@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_a_process_that_fails_alone_ends_all(
    data: DataFolder, tmp_path: Path, device: str, failing: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STAND_INS_FAILING", failing)
    assert end_of(start(data, tmp_path, 100_000), 120) != 0
    RunFolder(tmp_path).load_state()
