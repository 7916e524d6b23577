"""Folders of the published 3D-VQA code are runs: they load, answer, are scored, and start other runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.stand_ins import published_tensors
from tests.models.test_published import published_folder
from tests.train.stand_ins import StandInTeacher, small_answers, write_data

from askscan.data.bank import InputConfig
from askscan.data.folder import DataFolder
from askscan.errors import ConfigError, WeightsError
from askscan.evaluate.evaluate import EvaluationFiles, evaluate
from askscan.evaluate.prediction_file import read_predictions
from askscan.evaluate.runs import PUBLISHED_TEACHER, load_run
from askscan.evaluate.score import questions_of
from askscan.models.scan_qa import ScanQA
from askscan.models.teacher import Teacher
from askscan.train.answer import train_answers
from askscan.train.config import AnswerConfig
from askscan.train.devices import Devices


class WideTeacher(StandInTeacher):
    token_width = 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_folder(tmp_path_factory.mktemp("published"), num_proposals=32, num_points=512)


def test_a_published_folder_is_evaluated(published: Path, folder: DataFolder, tmp_path: Path) -> None:
    run = load_run(published)
    assert isinstance(run.module, ScanQA) and isinstance(run.config, AnswerConfig)
    assert run.config.inputs == InputConfig(num_points=512)
    assert (run.task, run.teacher_identity, run.teacher_name) == ("scanqa", None, PUBLISHED_TEACHER)
    weight = run.module.state_dict()["answer_head.out.weight"]
    assert torch.equal(weight, published_tensors("qa")["answer_cls.3.weight"])
    small = replace(run, config=replace(run.config, loop=replace(run.config.loop, scenes_per_step=1)))
    scores = evaluate(small, folder, out=tmp_path, teacher=WideTeacher(), java=False)
    assert {"EM@1", "Acc@0.25", "mAP@0.25"} <= scores.figures.keys()
    found = read_predictions(EvaluationFiles.of(tmp_path, "val").predictions, questions_of(folder, "val"))
    assert set(found.predictions[0].answers) <= run.answer_counts.keys()


def test_the_teacher_must_fit_a_published_run(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = StandInTeacher()
    monkeypatch.setattr(Teacher, "load", lambda name, device: narrow)
    with pytest.raises(WeightsError, match=r"512 channels \(openai/clip-vit-base-patch32\).*--teacher"):
        load_run(published).teacher()


def test_a_published_folder_starts_a_run(published: Path, folder: DataFolder, tmp_path: Path) -> None:
    """All of it, in a network of its widths, one step on the CPU; its answers are found by name."""
    run, said = load_run(published), list[str]()
    assert isinstance(run.config, AnswerConfig)
    base = small_answers(1)
    config = replace(
        base,
        model=replace(run.config.model, num_answers=1),
        inputs=replace(base.inputs, color=False),
        augment=None,
        loop=replace(base.loop, num_steps=1, scenes_per_step=1),
    )
    options = {"teacher": WideTeacher(), "devices": Devices(accelerator="cpu"), "say": said.append}
    train_answers(folder, tmp_path / "run", config, init=published, **options)  # type: ignore[arg-type]
    loaded = "201 of 201 model tensors from published 3D-VQA question answering; it knows "
    assert any(loaded in text for text in said)
    (tmp_path / "alone").mkdir()
    torch.save(dict(published_tensors("qa")), tmp_path / "alone" / "model.pth")
    with pytest.raises(WeightsError, match=r"no answers\.json beside the weights"):
        train_answers(folder, tmp_path / "refused", config, init=tmp_path / "alone", **options)  # type: ignore[arg-type]


def test_other_folders_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run folder"):
        load_run(tmp_path)
