"""Runs as folders for the Hub: complete, loadable, described; pushed to and loaded from a folder in the Hub's place."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from tests.models.test_published import published_folder
from tests.models.test_teacher import write_clip
from tests.train.stand_ins import small_answers, small_pretrain, write_data

from askscan.data.folder import DataFolder
from askscan.errors import ConfigError, WeightsError
from askscan.evaluate.card import card, nearest_recipe
from askscan.evaluate.evaluate import evaluate
from askscan.evaluate.hub import push, write_hub_folder
from askscan.evaluate.runs import load_run
from askscan.models.teacher import Teacher
from askscan.train.answer import train_answers
from askscan.train.devices import Devices
from askscan.train.pretrain import pretrain

CPU = Devices(accelerator="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher.load(write_clip(tmp_path_factory.mktemp("clip"), real_data / "clip_tokenizer"))


@pytest.fixture(scope="module")
def run_path(folder: DataFolder, teacher: Teacher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "answers"
    train_answers(folder, out, small_answers(2), teacher=teacher, devices=CPU, say=lambda text: None)
    evaluate(load_run(out), folder, out=out, teacher=teacher, java=False)
    return out


def test_the_folder_is_a_run_and_finds_its_teacher_beside_it(run_path: Path, tmp_path: Path) -> None:
    run = load_run(run_path)
    write_hub_folder(run, tmp_path / "hub", licence="apache-2.0")
    names = {path.name for path in (tmp_path / "hub").iterdir()}
    expected = {"README.md", "config.yaml", "model.safetensors", "answers.json", "scores.val.json", "teacher"}
    assert names == expected
    assert not list(tmp_path.glob(".*partial"))
    moved = load_run(shutil.move(tmp_path / "hub", tmp_path / "elsewhere"))
    assert moved.teacher_name == str(tmp_path / "elsewhere" / "teacher")
    assert moved.teacher().identity == run.teacher_identity
    for name, tensor in run.module.state_dict().items():
        assert torch.equal(moved.module.state_dict()[name], tensor)
    assert str(run_path) not in (tmp_path / "elsewhere" / "config.yaml").read_text()
    assert run.teacher_name not in (tmp_path / "elsewhere" / "config.yaml").read_text()
    assert run.teacher_name not in (tmp_path / "elsewhere" / "README.md").read_text()
    with pytest.raises(ConfigError, match="exists; give a new folder"):
        write_hub_folder(run, tmp_path / "elsewhere", licence="other")


def test_another_teacher_is_not_passed_on(run_path: Path, tmp_path: Path) -> None:
    run = replace(load_run(run_path), teacher_identity="0" * 16)
    with pytest.raises(WeightsError, match="is not the teacher of"):
        write_hub_folder(run, tmp_path / "hub", licence="other")
    assert not list(tmp_path.iterdir())


def test_the_card_says_what_the_run_is(run_path: Path, tmp_path: Path) -> None:
    run = load_run(run_path)
    write_hub_folder(run, tmp_path / "hub", licence="cc-by-nc-sa-4.0", name="somebody/rooms")
    text = (tmp_path / "hub" / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "cc-by-nc-sa-4.0" and head["library_name"] == "askscan"
    assert 'askscan.load("somebody/rooms")' in text
    assert "scans that the user brought: 24 texts on 6 scenes (train), 12 texts on 3 scenes (val)" in text
    assert "recipe `tiny`, changed:" in text and "`loop.num_steps=2`" in text and "seed 3" in text
    assert run.teacher_identity is not None and run.teacher_identity in text
    scores = json.loads((run_path / "scores.val.json").read_text())
    assert f"| val | 12 | {scores['EM@1']:.1f} [" in text
    assert "none of its vocabulary" not in text and "The weights: cc-by-nc-sa-4.0" in text


def test_an_untouched_recipe_is_recognised(folder: DataFolder, teacher: Teacher, tmp_path: Path) -> None:
    pretrain(folder, tmp_path / "run", small_pretrain(1), teacher=teacher, devices=CPU, say=lambda text: None)
    run = load_run(tmp_path / "run")
    name, changes = nearest_recipe(run)
    assert name == "tiny" and changes["loop.num_steps"] == 1 and "model.embedding_width" not in changes
    assert "model.embed(scan)" in card(run, licence="other", name="x") and "None were computed" in card(
        run, licence="other", name="x"
    )


class LocalHub:
    """The Hub's client with a folder in the Hub's place."""

    root: Path

    def create_repo(self, repo: str, *, private: bool, exist_ok: bool) -> str:
        assert private and exist_ok
        (self.root / repo).mkdir(parents=True)
        return f"https://hub.example/{repo}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)


def test_what_was_pushed_is_loaded_by_its_name(run_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    def download(repo: str, allow_patterns: Sequence[str]) -> str:
        there = [str(path.relative_to(LocalHub.root / repo)) for path in (LocalHub.root / repo).rglob("*")]
        for name in filter_repo_objects(there, allow_patterns=list(allow_patterns)):
            (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
            if (LocalHub.root / repo / name).is_file():
                shutil.copy(LocalHub.root / repo / name, tmp_path / "cache" / name)
        return str(tmp_path / "cache")

    LocalHub.root = tmp_path / "remote"
    monkeypatch.setattr(huggingface_hub, "HfApi", LocalHub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    run = load_run(run_path)
    write_hub_folder(run, tmp_path / "hub", licence="apache-2.0", name="somebody/rooms")
    assert push(tmp_path / "hub", "somebody/rooms") == "https://hub.example/somebody/rooms"
    again = load_run("somebody/rooms")
    assert again.answer_counts == run.answer_counts
    assert again.teacher().identity == run.teacher_identity


def test_the_hub_is_not_there(run_path: Path, tmp_path: Path) -> None:
    """Tests run offline."""
    write_hub_folder(load_run(run_path), tmp_path / "hub", licence="other")
    with pytest.raises(ConfigError, match=r"somebody/rooms: cannot be pushed.*log in"):
        push(tmp_path / "hub", "somebody/rooms")


def test_a_lost_connection_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HTTPError

    def lost(*_: object, **__: object) -> None:
        raise HTTPError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lost)
    with pytest.raises(ConfigError, match=r"somebody/rooms: cannot be pushed.*not known.*log in"):
        push(tmp_path, "somebody/rooms")


def test_published_weights_are_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    run = load_run(published_folder(tmp_path / "theirs"))
    with pytest.raises(ConfigError, match="not ours to pass on"):
        write_hub_folder(run, tmp_path / "hub", licence="other")
