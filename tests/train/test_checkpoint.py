import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from askscan.errors import ConfigError, DataError, WeightsError
from askscan.models.tensor_file import save_tensors
from askscan.train.checkpoint import Progress, RunFolder, load_weights
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
    assert folder.load_state()[1].best_scores == [1.5, 2.0]


def test_killed_before_the_first_checkpoint_it_is_new_again(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.open(DESCRIPTION)
    folder.save_best(3, {"w": torch.zeros(1)})
    (folder.path / ".config.yaml.123.tmp").write_bytes(b"half")
    (folder.state.parent / ".last.safetensors.123.tmp").write_bytes(b"half")
    assert folder.open(DESCRIPTION) == "new"
    assert {path.name for path in folder.path.rglob("*")} == {"config.yaml", "state"}


def test_another_configuration_is_refused_and_nothing_touched(tmp_path: Path):
    folder = saved(tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    other = {**DESCRIPTION, "config": {"loop": {"seed": 2}}}
    with pytest.raises(ConfigError, match=r"config.loop.seed: 1 there, 2 asked for"):
        folder.open(other)
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert folder.open(other, force=True) == "new"
    assert not folder.state.exists()


def test_a_run_that_never_took_a_step_gives_way(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    assert folder.open(DESCRIPTION) == "new"
    folder.answers.write_text("{}")
    other = {**DESCRIPTION, "config": {"loop": {"seed": 2}}}
    assert folder.open(other) == "new"
    assert not folder.answers.exists()
    folder.metrics.write_text("step,loss\n50,1.0\n")
    with pytest.raises(ConfigError, match="another configuration"):
        folder.open(DESCRIPTION)
    notes = RunFolder(tmp_path / "notes")
    notes.path.mkdir()
    notes.config.write_text("mine: 1\n")
    with pytest.raises(ConfigError, match="another configuration"):
        notes.open(DESCRIPTION)
    assert notes.config.read_text() == "mine: 1\n"


def test_a_refused_run_is_told_what_differs_and_where_to_go(tmp_path: Path):
    hashes = {"teacher": "ed57", "teacher_name": "clip", "init": "4aa0", "data": "8700", "collection": "9 texts"}
    folder = RunFolder(tmp_path / "run")
    folder.open({**DESCRIPTION, **hashes})
    folder.metrics.write_text("step,loss\n50,1.0\n")
    for key, said in (("teacher", "clip"), ("init", r"log\.txt"), ("data", "9 texts")):
        with pytest.raises(ConfigError, match=rf"other.*{said}.*give another --out, or --force") as refused:
            folder.open({**DESCRIPTION, **hashes, key: "beef"})
        assert hashes[key] not in str(refused.value) and "beef" not in str(refused.value)
    folder.model.write_bytes(b"weights")
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
    for read in (folder.load_state, lambda: folder.open(DESCRIPTION)):
        with pytest.raises(WeightsError, match=r"last.safetensors: this checkpoint is damaged.*--force"):
            read()


def test_where_a_checkpoint_stands_is_covered_by_its_checksum(tmp_path: Path):
    folder = saved(tmp_path / "run")
    content = folder.state.read_bytes()
    folder.state.write_bytes(content.replace(rb"\"step\": 7", rb"\"step\": 5"))
    assert folder.state.read_bytes() != content
    with pytest.raises(WeightsError, match=r"last.safetensors: this checkpoint is damaged"):
        folder.load_state()


HARM = {
    "deleted": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-4]),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-3] + bytes([path.read_bytes()[-3] ^ 1, 0, 0])),
    "another": lambda path: save_tensors(path, weights(4)),
    "foreign": lambda path: save_file(weights(3), path),
}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("harm", HARM)
def test_a_run_goes_on_only_with_the_model_that_it_speaks_of(tmp_path: Path, harm: str, finished: bool):
    folder = RunFolder(tmp_path / "run")
    folder.open(DESCRIPTION)
    save(folder, 3, best=3, finished=finished)
    assert folder.open(DESCRIPTION) == ("finished" if finished else "unfinished")
    HARM[harm](folder.model)
    with pytest.raises(WeightsError, match=r"model\.safetensors: the model of step 3.*restore.*--force"):
        folder.open(DESCRIPTION)
    assert folder.open(DESCRIPTION, force=True) == "new"


def test_a_run_without_its_checkpoint_keeps_its_model(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.open(DESCRIPTION)
    save(folder, 3, best=3)
    folder.state.unlink()
    with pytest.raises(WeightsError, match=r"last\.safetensors: is missing.*restore.*--force"):
        folder.open(DESCRIPTION)


def weights(step: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((9,), float(step))}


def save(folder: RunFolder, step: int, *, best: int, finished: bool = False) -> None:
    """What the loop does: a best model first, then the checkpoint that knows of it."""
    checksum = folder.save_best(step, weights(step)) if best == step else folder.load_state()[1].best_checksum
    progress = Progress(step=step, metrics_size=0, best_step=best, best_checksum=checksum, finished=finished)
    folder.save_state(weights(step), progress)


class Killed(BaseException):
    """Stands for a signal."""


@pytest.mark.parametrize("repeats", [True, False])
def test_a_kill_at_any_point_of_saving_leaves_the_model_that_the_checkpoint_speaks_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeats: bool
):
    """Also where the repeated steps, as on a GPU, do not find the best model again."""
    calls = {"done": 0, "last": 0}

    def counted(owner: object, name: str) -> None:
        honest = getattr(owner, name)

        def call(*arguments: object, **keywords: object) -> object:
            calls["done"] += 1
            if calls["done"] == calls["last"]:
                raise Killed
            return honest(*arguments, **keywords)

        monkeypatch.setattr(owner, name, call)

    for owner, name in ((os, "fsync"), (os, "replace"), (Path, "replace"), (Path, "unlink"), (Path, "open")):
        counted(owner, name)
    outcomes = []
    for last in range(1, 100):
        folder = RunFolder(tmp_path / str(last))
        calls.update(last=0)
        folder.open(DESCRIPTION)
        save(folder, 3, best=3)
        calls.update(done=0, last=last)
        try:
            save(folder, 6, best=6)
            break
        except Killed:
            calls.update(last=0)
        assert folder.open(DESCRIPTION) == "unfinished"
        tensors, progress = folder.load_state()
        assert torch.equal(tensors["w"], weights(progress.step)["w"])
        assert torch.equal(load_weights(folder.model)["w"], weights(progress.best_step)["w"])
        outcomes.append(progress.best_step)
        if progress.step == 3:
            save(folder, 6, best=6 if repeats else 3)
        save(folder, 9, best=folder.load_state()[1].best_step, finished=True)
        assert folder.open(DESCRIPTION) == "finished"
        best = 6 if repeats or progress.step == 6 else 3
        assert torch.equal(load_weights(folder.model)["w"], weights(best)["w"])
        assert {path.name for path in folder.state.parent.iterdir()} == {"last.safetensors"}
    assert outcomes == sorted(outcomes) and set(outcomes) == {3, 6}
    assert len(outcomes) >= 7


def test_only_one_process_trains_into_a_folder(tmp_path: Path):
    folder = saved(tmp_path / "run")
    with folder.locked():
        with pytest.raises(ConfigError, match=r"run: another process is training into this folder.*--out"):
            folder.locked().__enter__()
        assert folder.open(DESCRIPTION, force=True) == "new"
        with pytest.raises(ConfigError, match="another process"):
            folder.locked().__enter__()
    with folder.locked():
        assert folder.open(DESCRIPTION) == "new"


def test_a_lock_alone_is_nobodys_run(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        assert folder.open(DESCRIPTION) == "new"
    folder.config.unlink()
    assert folder.open(DESCRIPTION) == "new"


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


@pytest.mark.parametrize("call", ["append", "sync"])
def test_metrics_that_cannot_be_written_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str):
    metrics = MetricsFile(tmp_path / "metrics.csv", ("step",))
    metrics.start(None)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    if call == "append":
        metrics.path.unlink()
        metrics.path.mkdir()
    with pytest.raises(DataError, match=r"metrics\.csv: cannot be written \((No space left|Is a directory)"):
        metrics.sync() if call == "sync" else metrics.append({"step": 1})


def test_log_lines_have_a_time(tmp_path: Path):
    log_line(tmp_path / "log.txt", "began")
    log_line(tmp_path / "log.txt", "ended")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["began", "ended"]
    assert json.dumps(lines[0][:4]).strip('"').isdigit()
