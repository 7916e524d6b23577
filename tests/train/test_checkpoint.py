import json
import os
from pathlib import Path

import pytest
import torch

from askscan.errors import ConfigError, DataError, WeightsError
from askscan.train.checkpoint import Progress, RunFolder, load_weights, read_progress
from askscan.train.journal import MetricsFile, log_line

DESCRIPTION = {"version": "1", "stage": "answers", "config": {"loop": {"seed": 1}}}


def saved(path: Path, **progress: object) -> RunFolder:
    folder = RunFolder(path)
    assert folder.open(DESCRIPTION) == "new"
    folder.save_state(
        {"model/w": torch.arange(5.0), "n": torch.tensor(3)}, Progress(step=7, metrics_size=9, **progress)
    )
    return folder


def test_a_folder_goes_from_new_to_unfinished_to_finished(tmp_path: Path):
    folder = saved(tmp_path / "run")
    assert folder.open({**DESCRIPTION, "version": "2"}) == "unfinished"
    tensors, progress = folder.load_state()
    assert torch.equal(tensors["model/w"], torch.arange(5.0))
    assert progress == Progress(step=7, metrics_size=9)
    folder.save_state({"w": torch.zeros(1)}, Progress(step=8, metrics_size=9, best_scores=[1.5, 2.0], finished=True))
    assert folder.open(DESCRIPTION) == "finished"
    assert read_progress(folder.state).best_scores == [1.5, 2.0]


def test_killed_before_the_first_checkpoint_it_is_new_again(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.open(DESCRIPTION)
    (folder.path / ".model.safetensors.123.tmp").write_bytes(b"half")
    assert folder.open(DESCRIPTION) == "new"
    assert not list(folder.path.glob(".*"))


def test_another_configuration_is_refused_and_nothing_touched(tmp_path: Path):
    folder = saved(tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    other = {**DESCRIPTION, "config": {"loop": {"seed": 2}}}
    with pytest.raises(ConfigError, match=r"config.loop.seed: 1 there, 2 asked for"):
        folder.open(other)
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert folder.open(other, force=True) == "new"
    assert not folder.state.exists()


def test_a_refused_run_is_told_what_differs_and_where_to_go(tmp_path: Path):
    hashes = {"teacher": "ed57", "teacher_name": "clip", "init": "4aa0", "data": "8700", "collection": "9 texts"}
    folder = RunFolder(tmp_path / "run")
    folder.open({**DESCRIPTION, **hashes})
    for key, said in (("teacher", "clip"), ("init", r"log\.txt"), ("data", "9 texts")):
        with pytest.raises(ConfigError, match=rf"other.*{said}.*give another --out, or --force") as refused:
            folder.open({**DESCRIPTION, **hashes, key: "beef"})
        assert hashes[key] not in str(refused.value) and "beef" not in str(refused.value)
    folder.save_model({"w": torch.zeros(1)})
    with pytest.raises(ConfigError, match=rf"give another --out \(with --init {folder.path} "):
        folder.open({**DESCRIPTION, **hashes, "config": {"loop": {"seed": 2}}})


def test_foreign_files_are_refused_and_survive_force(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("precious")
    folder = RunFolder(tmp_path)
    with pytest.raises(ConfigError, match=r"thesis.tex"):
        folder.open(DESCRIPTION)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert folder.open(DESCRIPTION, force=True) == "new"
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    with pytest.raises(ConfigError, match="is a file"):
        RunFolder(tmp_path / "thesis.tex").open(DESCRIPTION)


@pytest.mark.parametrize("harm", ["truncated", "flipped", "empty", "text"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, harm: str):
    folder = saved(tmp_path / "run")
    content = folder.state.read_bytes()
    flipped = bytearray(content)
    flipped[-3] ^= 1
    harmed = {"truncated": content[:-4], "flipped": bytes(flipped), "empty": b"", "text": b"not tensors at all"}
    folder.state.write_bytes(harmed[harm])
    with pytest.raises(WeightsError, match=r"last.safetensors: this checkpoint is damaged"):
        folder.load_state()


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = saved(tmp_path / "run")
    before = folder.state.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"last.safetensors.*No space left"):
        folder.save_state({"w": torch.ones(3)}, Progress(step=9, metrics_size=0))
    assert folder.state.read_bytes() == before
    assert not list(folder.path.rglob(".*.tmp"))


def test_an_unwritable_place_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").open(DESCRIPTION)


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"model.safetensors"):
        load_weights(tmp_path / "model.safetensors")


def test_metrics_are_cut_to_what_the_checkpoint_knows(tmp_path: Path):
    metrics = MetricsFile(tmp_path / "metrics.csv", ("step", "loss", "EM"))
    metrics.start(None)
    metrics.append({"step": 1, "loss": 0.25})
    size = metrics.sync()
    metrics.append({"step": 2, "loss": 0.125, "EM": 50.0})
    assert metrics.path.read_text() == "step,loss,EM\n1,0.25,\n2,0.125,50\n"
    metrics.start(size)
    assert metrics.path.read_text() == "step,loss,EM\n1,0.25,\n"
    with pytest.raises(DataError, match="shorter"):
        metrics.start(size + 1)


def test_log_lines_have_a_time(tmp_path: Path):
    log_line(tmp_path / "log.txt", "began")
    log_line(tmp_path / "log.txt", "ended")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["began", "ended"]
    assert json.dumps(lines[0][:4]).strip('"').isdigit()
