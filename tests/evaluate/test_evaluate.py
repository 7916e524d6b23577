"""A small run evaluated, controlled with other rooms' scans, and asked for a submission."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.train.stand_ins import StandInTeacher, small_answers, train, write_data

from askscan.data.annotations import read_questions
from askscan.data.folder import DataFolder
from askscan.data.prepared import load_prepared
from askscan.errors import ConfigError, DataError
from askscan.evaluate import predict as predicting
from askscan.evaluate.evaluate import EvaluationFiles, evaluate, predict_submission
from askscan.evaluate.prediction_file import read_predictions
from askscan.evaluate.runs import Run, load_run
from askscan.evaluate.score import Scores, questions_of, score_file
from askscan.models.scan_qa import QuestionOnly
from askscan.train import graph
from askscan.train.answer import train_answers
from askscan.train.config import AnswerConfig
from askscan.train.devices import Devices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(folder: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    train("answers", str(folder.root), str(out), 2, 0.1)
    return load_run(out)


@pytest.fixture(scope="module")
def blind_run(folder: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "blind"
    config = replace(small_answers(2), question_only=True)
    devices = Devices(accelerator="cpu", num_devices=1)
    train_answers(folder, out, config, teacher=StandInTeacher(), devices=devices, say=lambda text: None)
    return load_run(out)


def evaluated(run: Run, folder: DataFolder, out: Path, **options: bool) -> Scores:
    return evaluate(run, folder, out=out, teacher=StandInTeacher(), java=False, **options)


def test_files_agree_with_scores(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    scores = evaluate(
        run, folder, out=tmp_path, teacher=StandInTeacher(), java=False, progress=lambda d, t: done.append((d, t))
    )
    files = EvaluationFiles.of(tmp_path, "val")
    assert Scores.load(files.scores).figures == pytest.approx(scores.figures, abs=1e-4)
    alone = score_file(files.predictions, folder, java=False)
    assert alone.figures == pytest.approx({name: scores.figures[name] for name in alone.figures})
    assert {"mAP@0.25", "AR@0.5", "AP@0.25 chair", "language accuracy"} <= scores.figures.keys()
    assert done[-1][0] == done[-1][1]
    assert any("classes do not occur here" in note for note in scores.notes)
    entries = json.loads(files.details.read_text())
    assert [entry["question_id"] for entry in entries] == [q.question_id for q in read_questions(folder, "val")]
    right = [entry["answers"][0] in entry["right_answers"] for entry in entries]
    assert scores.figures["EM@1"] == pytest.approx(100 * np.mean(right))
    near = [entry["iou"] >= 0.25 for entry in entries]
    assert scores.figures["Acc@0.25"] == pytest.approx(100 * np.mean(near))
    for entry in entries:
        assert entry["confidence"] == sorted(entry["confidence"], reverse=True)
        assert len(entry["confidence"]) == len(entry["answers"])
        assert entry["em"] == (entry["answers"][0] in entry["right_answers"])
        assert entry["em10"] == bool(set(entry["answers"]) & set(entry["right_answers"]))
        assert (entry["acc25"], entry["acc50"]) == (entry["iou"] >= 0.25, entry["iou"] >= 0.5)
        assert entry["best_iou"] == max(entry["proposal_ious"]) and entry["iou"] in entry["proposal_ious"]
        scene = load_prepared(folder.prepared(entry["scene_id"]))
        slot = list(scene.object_id).index(int(entry["question_id"][-1]) + 10)
        np.testing.assert_allclose(
            entry["true_box"]["center"] + entry["true_box"]["size"], scene.boxes[slot], atol=1e-4
        )


def test_the_same_twice(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    first, second = (evaluated(run, folder, tmp_path / name) for name in "ab")
    assert first == second
    read = [EvaluationFiles.of(tmp_path / name, "val").predictions.read_bytes() for name in "ab"]
    assert read[0] == read[1]


def test_answers_depend_neither_on_the_other_scenes_of_a_step_nor_on_how_many_questions_it_holds(
    run: Run, folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(run.config, AnswerConfig)
    found = []
    for scenes_per_step, texts in ((2, 16), (1, 1), (3, 2)):
        monkeypatch.setattr(predicting, "TEXTS_PER_SCENE", texts)
        config = replace(run.config, loop=replace(run.config.loop, scenes_per_step=scenes_per_step))
        out = tmp_path / f"{scenes_per_step}-{texts}"
        evaluate(replace(run, config=config), folder, "train", out=out, teacher=StandInTeacher(), java=False)
        found.append(json.loads(EvaluationFiles.of(out, "train").details.read_text()))
    assert max(Counter(entry["scene_id"] for entry in found[0]).values()) > 2
    for other in found[1:]:
        for mine, entry in zip(found[0], other, strict=True):
            assert entry["iou"] in entry["proposal_ious"]
            assert entry["answers"] == mine["answers"]
            for key in ("confidence", "proposal_ious", "iou"):
                assert entry[key] == pytest.approx(mine[key], abs=1e-4)


def test_another_rooms_scan_changes_confidence_and_has_no_boxes(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    evaluated(run, folder, tmp_path)
    shuffled = evaluated(run, folder, tmp_path, shuffle_scenes=True)
    assert not any(name.startswith(("Acc", "mAP")) for name in shuffled.figures)
    own, other = (
        json.loads(EvaluationFiles.of(tmp_path, "val", shuffled=flag).details.read_text()) for flag in (False, True)
    )
    assert any(a["confidence"] != b["confidence"] for a, b in zip(own, other, strict=True))
    assert all(entry["box"] is None for entry in other)


def test_question_only(blind_run: Run, folder: DataFolder, tmp_path: Path) -> None:
    assert isinstance(blind_run.module, QuestionOnly)
    scores = evaluated(blind_run, folder, tmp_path)
    assert "Acc@0.25" not in scores.figures and "mAP@0.25" not in scores.figures
    assert {"EM@1", "language accuracy"} <= scores.figures.keys()
    shuffled = evaluated(blind_run, folder, tmp_path, shuffle_scenes=True)
    assert shuffled.figures == scores.figures


def test_submission_of_a_split_without_answers(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    questions = json.loads(folder.scanqa("val").read_text())
    bare = [{key: q[key] for key in ("scene_id", "question_id", "question")} for q in questions]
    (folder.root / "qa" / "ScanQA_v1.0_test_w_obj.json").write_text(json.dumps(bare))
    path = predict_submission(run, folder, "test_w_obj", out=tmp_path, teacher=StandInTeacher())
    evaluated(run, folder, tmp_path)
    assert path.read_bytes() == EvaluationFiles.of(tmp_path, "val").predictions.read_bytes()
    assert len(read_predictions(path, read_questions(folder, "test_w_obj")).predictions) == len(bare)
    with pytest.raises(DataError, match="no answers"):
        evaluate(run, folder, "test_w_obj", out=tmp_path, teacher=StandInTeacher())


def test_situated_questions(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    (folder.root / "sqa3d").mkdir(exist_ok=True)
    ids = {"scene_id": "scene0006_00", "question_id": 1}
    question = ids | {"situation": "I face the bed.", "alternative_situation": ["", ""], "question": "What is left?"}
    turn, place = {"_x": 0, "_y": 0, "_z": 0, "_w": 1}, {"x": 0, "y": 0, "z": 0}
    answer = {"answer": "red", "answer_confidence": "yes", "answer_id": 1}
    annotation = ids | {"answers": [answer], "rotation": turn, "position": place}
    annotation |= {"question_type": "N/A", "answer_type": "other"}
    folder.sqa3d_questions("val").write_text(json.dumps({"questions": [question]}))
    folder.sqa3d_annotations("val").write_text(json.dumps({"annotations": [annotation]}))
    scores = evaluate(run, folder, out=tmp_path, teacher=StandInTeacher(), task="sqa3d", java=False)
    assert {"EM@1", "EM@1 what"} <= scores.figures.keys() and "Acc@0.25" not in scores.figures
    assert json.loads((tmp_path / "details.val.json").read_text())[0]["question"] == "I face the bed. What is left?"


def test_faults(run: Run, folder: DataFolder, tmp_path: Path) -> None:
    pretrained = tmp_path / "pretrained"
    train("pretrain", str(folder.root), str(pretrained), 1, 0.1)
    with pytest.raises(ConfigError, match="does not answer questions"):
        evaluated(load_run(pretrained), folder, tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="file"):
        evaluated(run, folder, blocked)
    assert next(run.module.parameters()).device == torch.device("cpu")


@pytest.mark.gpu
def test_a_recorded_evaluation_answers_as_one_kernel_at_a_time(
    run: Run, folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run.config
    assert isinstance(config, AnswerConfig)
    config = replace(config, loop=replace(config.loop, scenes_per_step=1))
    files = []
    for name, eager_calls in (("recorded", 3), ("eager", 10**6)):
        monkeypatch.setattr(graph, "_EAGER_CALLS", eager_calls)
        on_gpu = replace(load_run(run.folder.path, "cuda"), config=config)
        calls: list[int] = []
        evaluate(
            on_gpu, folder, "train", out=tmp_path / name, teacher=StandInTeacher(), java=False,
            progress=lambda done, total, calls=calls: calls.append(total),
        )  # fmt: skip
        assert max(calls) > 4  # steps enough to come to the recording
        files.append(EvaluationFiles.of(tmp_path / name, "train").predictions)
    wanted = questions_of(folder, "train")
    recorded, eager = (read_predictions(path, wanted).predictions for path in files)
    assert [p.answers for p in recorded] == [p.answers for p in eager]
    np.testing.assert_allclose([p.corners for p in recorded], [p.corners for p in eager], atol=1e-4)
