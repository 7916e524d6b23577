"""Every real question through reading, tokenizing, batching and writing, on stand-in scans under the real scene ids."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.test_teacher import write_clip
from tests.train.stand_ins import make_scene, small_answers

from askscan.data.annotations import answer_counts, read_questions, read_sqa3d
from askscan.data.folder import DataFolder
from askscan.data.prepared import save_prepared
from askscan.evaluate.evaluate import EvaluationFiles, evaluate, predict_submission
from askscan.evaluate.prediction_file import check_submission
from askscan.evaluate.runs import Run
from askscan.models.scan_qa import ScanQA
from askscan.models.teacher import Teacher
from askscan.records import Question
from askscan.train.checkpoint import RunFolder
from askscan.train.recipes import situated

NUM_QUESTIONS = {"val": 4675, "test_w_obj": 4976, "test_wo_obj": 6149}
NUM_ROOMS = 8
"""Distinct stand-in rooms; the real scenes share them."""


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    root = tmp_path_factory.mktemp("real")
    for place, target in (("qa", "scanqa"), ("sqa3d", "sqa3d")):
        (root / place).symlink_to((real_data / target).resolve(), target_is_directory=True)
    data = DataFolder(root)
    asked = [q for split in NUM_QUESTIONS for q in read_questions(data, split)] + list(read_sqa3d(data, "val"))
    rooms = [make_scene("room", seed)[0] for seed in range(NUM_ROOMS)]
    for number, scene_id in enumerate(sorted({question.scene_id for question in asked})):
        save_prepared(data.prepared(scene_id), replace(rooms[number % NUM_ROOMS], scene_id=scene_id))
    return data


@pytest.fixture(scope="module")
def teacher(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher.load(write_clip(tmp_path_factory.mktemp("clip"), real_data / "clip_tokenizer"))


def small_run(questions: tuple[Question, ...], teacher: Teacher, folder: Path, *, task: str) -> Run:
    """An untrained network with the vocabulary of these questions."""
    counts = answer_counts(questions)
    config = small_answers(1) if task == "scanqa" else situated(small_answers(1))
    model = replace(config.model, num_answers=len(counts), text_width=teacher.token_width)
    torch.manual_seed(0)
    return Run(
        name="small",
        folder=RunFolder(folder),
        config=replace(config, model=model, loop=replace(config.loop, scenes_per_step=8)),
        module=ScanQA(model).eval(),
        answer_counts=counts,
        object_names=frozenset(),
        teacher_identity=teacher.identity,
        teacher_name=teacher.name,
        weights=folder,
    )


@pytest.mark.slow
@pytest.mark.parametrize("split", NUM_QUESTIONS)
def test_every_scanqa_question_is_answered(folder: DataFolder, teacher: Teacher, tmp_path: Path, split: str) -> None:
    run = small_run(read_questions(folder, "val"), teacher, tmp_path, task="scanqa")
    path = predict_submission(run, folder, split, out=tmp_path, teacher=teacher)
    assert check_submission(path, folder, split) == NUM_QUESTIONS[split]
    # The benchmark's format, by plain JSON: each question once, ten answers, eight corners.
    entries = json.loads(path.read_text())
    asked = {entry["question_id"]: entry["scene_id"] for entry in json.loads(folder.scanqa(split).read_text())}
    assert {entry["question_id"]: entry["scene_id"] for entry in entries} == asked
    assert len(entries) == NUM_QUESTIONS[split]
    for entry in entries:
        assert set(entry) == {"scene_id", "question_id", "answer_top10", "bbox"}
        assert len(set(entry["answer_top10"])) == 10
        assert [len(corner) for corner in entry["bbox"]] == [3] * 8
    assert len({tuple(entry["answer_top10"]) for entry in entries}) > 100  # the questions were read, not skipped


@pytest.mark.slow
def test_every_situated_question_is_answered(folder: DataFolder, teacher: Teacher, tmp_path: Path) -> None:
    run = small_run(read_sqa3d(folder, "val"), teacher, tmp_path, task="sqa3d")
    scores = evaluate(run, folder, out=tmp_path, teacher=teacher, java=False)
    assert scores.num_questions == 3261
    assert {"EM@1", "EM@1 what", "EM@1 is", "EM@1 how", "EM@1 can", "EM@1 which"} <= scores.figures.keys()
    entries = json.loads(EvaluationFiles.of(tmp_path, "val").predictions.read_text())
    assert len({entry["question_id"] for entry in entries}) == 3261
