"""Scores of prediction files against figures worked out by hand and by slow loops."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tests.metrics.fixed_predictions import fixed_predictions
from tests.train.stand_ins import make_scene, write_data

from askscan.data.annotations import read_questions
from askscan.data.folder import DataFolder
from askscan.errors import DataError
from askscan.evaluate.prediction_file import write_predictions
from askscan.evaluate.score import Scores, _target, localization, overlaps, questions_of, score_file, targets_of
from askscan.metrics.f1 import find_lemmatizer
from askscan.records import Prediction, Question


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return write_data(tmp_path)


def corners_of(box: np.ndarray) -> np.ndarray:
    signs = np.array(list(product((0.5, -0.5), repeat=3)))
    return np.asarray(box[:3] + signs * box[3:], np.float64)


def predicted(folder: DataFolder, *, shift_m: float = 0.0, wrong_every: int = 3) -> list[Prediction]:
    """Right answers but every third, and boxes shifted along x."""
    predictions = []
    for number, question in enumerate(read_questions(folder, "val")):
        scene, _ = make_scene(question.scene_id, int(question.scene_id[5:9]))
        box = scene.boxes[list(scene.object_id).index(question.object_ids[0])].astype(float)
        box[0] += shift_m
        right = question.answers[0]
        answers = ("purple", right) if number % wrong_every == 0 else (right, "purple")
        predictions.append(
            Prediction(
                scene_id=question.scene_id,
                question_id=question.question_id,
                answers=answers,
                corners=corners_of(box),
            )
        )
    return predictions


def score_of(folder: DataFolder, predictions: list[Prediction], split: str = "val") -> Scores:
    path = folder.root / "p.json"
    write_predictions(path, predictions)
    return score_file(path, folder, split, java=False)


def test_by_hand(folder: DataFolder) -> None:
    scores = score_of(folder, predicted(folder))
    assert scores.num_questions == 12
    expected = {"EM@1": 100 * 8 / 12, "EM@10": 100.0, "EM@1 color": 100 * 8 / 12, "Acc@0.25": 100.0, "Acc@0.5": 100.0}
    for name, value in expected.items():
        assert scores.figures[name] == pytest.approx(value), name
    assert scores.figures["Acc@0.5 unique"] == 100 and "Acc@0.5 multiple" not in scores.figures
    low, high = scores.intervals["EM@1"]
    assert low <= scores.figures["EM@1"] <= high
    plain = scores.to_plain()
    assert plain["num_questions"] == 12 and plain["EM@1"] == pytest.approx(66.6667)


def test_em10_counts_all_questions_of_a_system_that_ranks_any(folder: DataFolder) -> None:
    ranked = predicted(folder)
    mixed = [p if row % 2 else replace(p, answers=p.answers[:1]) for row, p in enumerate(ranked)]
    scores = score_of(folder, mixed)  # of every sixth question the only answer is wrong
    assert scores.figures["EM@10"] == pytest.approx(100 * 10 / 12)
    assert "Questions with a single answer: 6 of 12; for EM@10 that one counts." in scores.notes
    single = score_of(folder, [replace(p, answers=p.answers[:1]) for p in ranked])
    assert "EM@10" not in single.figures and "One answer per question: EM@10 is left out." in single.notes
    assert not any("EM@10" in note for note in score_of(folder, ranked).notes)


def test_overlap_of_shifted_boxes(folder: DataFolder) -> None:
    """A box shifted by d along an edge of length a overlaps by (a - d) / (a + d)."""
    predictions, questions = predicted(folder, shift_m=0.3), read_questions(folder, "val")
    targets = targets_of(questions, folder)
    assert not isinstance(targets, str)
    lengths = np.array([target.box[3] for target in targets if target.box is not None])
    np.testing.assert_allclose(overlaps(predictions, targets), (lengths - 0.3) / (lengths + 0.3), atol=1e-5)
    scores = score_of(folder, predictions)
    assert scores.figures["Acc@0.25"] == pytest.approx(100 * np.mean((lengths - 0.3) / (lengths + 0.3) >= 0.25))


def cells(low: np.ndarray, size: np.ndarray) -> set[tuple[int, ...]]:
    return set(product(*(range(start, start + length) for start, length in zip(low, size, strict=True))))


def test_unique_and_multiple_against_counting_cells_of_a_grid() -> None:
    rng = np.random.default_rng(0)
    predictions, questions, targets, wanted = [], [], [], []
    for number in range(12):
        low, size = rng.integers(0, 4, (3, 3)), rng.integers(1, 4, (3, 3))
        scene = replace(
            make_scene("room", number)[0],
            boxes=np.concatenate([low + size / 2, size], 1).astype(np.float32),
            box_class=np.array([2, 2 if number % 2 else 4, 7], np.int32),  # in odd rooms the first two are of a class
            object_id=np.array([10, 11, 12], np.int32),
        )
        for row in (0, 2):
            question = Question(scene_id="room", question_id="q", text="Where?", object_ids=(10 + row, 11))
            found = low[row] + rng.integers(-1, 2, 3)
            corners = corners_of(np.concatenate([found + size[row] / 2, size[row]]))
            predictions.append(Prediction(scene_id="room", question_id="q", answers=("a",), corners=corners))
            questions.append(question)
            targets.append(_target(question, scene))
            a, b = cells(found, size[row]), cells(low[row], size[row])
            wanted.append((len(a & b) / len(a | b), number % 2 == 0 or row == 2))
    figures = localization(overlaps(predictions, targets), questions, targets)[0].compute()
    for threshold in (0.25, 0.5):
        for name, chosen in (("", (True, False)), (" unique", (True,)), (" multiple", (False,))):
            hits = [iou >= threshold for iou, unique in wanted if unique in chosen]
            assert figures[f"Acc@{threshold}{name}"] == pytest.approx(100 * np.mean(hits)), (threshold, name)
    assert 0 < figures["Acc@0.5 unique"] < figures["Acc@0.25 unique"] < 100


def test_what_is_missing_is_left_out_and_said(folder: DataFolder) -> None:
    predictions = predicted(folder)
    folder.scanqa("train").unlink()
    folder.prepared("scene0006_00").unlink()
    scores = score_of(folder, predictions)
    assert not any(name.startswith("Acc") or "answerable" in name for name in scores.figures)
    assert any("scene0006_00" in note and "prepare" in note for note in scores.notes)
    assert any("answerable" in note for note in scores.notes)


def test_f1_where_wordnet_is(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("WordNet" in note for note in score_of(folder, predicted(folder)).notes) is (find_lemmatizer() is None)
    monkeypatch.setattr("askscan.evaluate.score.find_lemmatizer", lambda: str.lower)
    scores = score_of(folder, predicted(folder))  # one word each: right or wrong
    assert scores.figures["F1"] == pytest.approx(scores.figures["EM@1"]) and not any("F1" in n for n in scores.notes)


def test_answers_alone(folder: DataFolder) -> None:
    bare = [
        Prediction(scene_id=p.scene_id, question_id=p.question_id, answers=p.answers[:1], corners=None)
        for p in predicted(folder)
    ]
    scores = score_of(folder, bare)
    assert "EM@10" not in scores.figures and "Acc@0.25" not in scores.figures and "CIDEr" in scores.figures
    assert any("EM@10" in note for note in scores.notes)


def test_answerable_counts_only_answers_of_training(folder: DataFolder) -> None:
    path = folder.scanqa("val")
    questions = json.loads(path.read_text())
    questions[0]["answers"] = ["ultramarine"]
    path.write_text(json.dumps(questions))
    scores = score_of(folder, predicted(folder))
    assert scores.figures["EM@1"] == pytest.approx(100 * 8 / 12)
    assert scores.figures["EM@1 answerable"] == pytest.approx(100 * 8 / 11)


def test_an_object_without_a_box_is_not_found(folder: DataFolder) -> None:
    path, predictions = folder.scanqa("val"), predicted(folder)
    questions = json.loads(path.read_text())
    questions[0]["object_ids"] = [99]
    path.write_text(json.dumps(questions))
    scores = score_of(folder, predictions)
    assert scores.figures["Acc@0.25"] == pytest.approx(100 * 11 / 12) and scores.figures["Acc@0.25 unique"] == 100
    assert any("without a box" in note for note in scores.notes)


def test_splits_without_answers(folder: DataFolder) -> None:
    questions = json.loads(folder.scanqa("val").read_text())
    bare = [{key: q[key] for key in ("scene_id", "question_id", "question")} for q in questions]
    (folder.root / "qa" / "ScanQA_v1.0_test_w_obj.json").write_text(json.dumps(bare))
    with pytest.raises(DataError, match=r"test_w_obj.*no answers"):
        score_of(folder, predicted(folder), "test_w_obj")


def test_score_files_round_trip(folder: DataFolder) -> None:
    scores = score_of(folder, predicted(folder))
    path = folder.root / "scores.json"
    scores.save(path)
    back = Scores.load(path)
    assert back.figures == pytest.approx(scores.figures, abs=1e-4) and list(back.figures) == list(scores.figures)
    assert (back.split, back.num_questions, back.notes) == (scores.split, scores.num_questions, scores.notes)
    path.write_text("{}")
    with pytest.raises(DataError, match="no score file"):
        Scores.load(path)


def test_all_real_questions_in_under_ten_seconds(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "qa").symlink_to(real_data / "scanqa")
    folder = DataFolder(tmp_path)
    questions = questions_of(folder, "val")
    write_predictions(tmp_path / "p.json", fixed_predictions(questions))
    # As a user calls it: here every annotated call is checked, which takes three times as long.
    command = [sys.executable, "-m", "askscan", "score", str(tmp_path / "p.json"), str(tmp_path), "--json"]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PATH": ""})  # no java either
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 10
    scores = score_file(tmp_path / "p.json", folder, java=False)
    assert scores.num_questions == 4675
    types = [value for name, value in scores.figures.items() if name.startswith("EM@1 ") and "refined" not in name]
    assert len(types) == 6 and min(types) <= scores.figures["EM@1"] <= max(types)
    assert scores.figures["CIDEr"] == pytest.approx(118.9348, abs=5e-5)


def test_real_situated_questions_by_first_word(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "sqa3d").symlink_to(real_data / "sqa3d")
    folder = DataFolder(tmp_path)
    questions = questions_of(folder, "val", "sqa3d")
    predictions = [
        Prediction(scene_id=q.scene_id, question_id=q.question_id, answers=(q.answers[0], "x"), corners=None)
        for q in questions
    ]
    write_predictions(tmp_path / "p.json", predictions)
    scores = score_file(tmp_path / "p.json", folder, "val", task="sqa3d")
    names = {"EM@1", *(f"EM@1 {word}" for word in ("what", "is", "how", "can", "which", "other"))}
    assert names <= scores.figures.keys() and "CIDEr" not in scores.figures
    assert all(scores.figures[name] == 100 for name in names)
    assert scores.num_questions == 3261
