import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askscan.data.annotations import read_questions
from askscan.data.folder import DataFolder
from askscan.errors import DataError
from askscan.evaluate.prediction_file import center_and_size, check_submission, read_predictions, write_predictions
from askscan.records import Prediction, Question

QUESTIONS = tuple(
    Question(scene_id=f"scene000{i // 2}_00", question_id=f"val-{i}", text="What?", answers=("chair",))
    for i in range(4)
)
BOX = [[x, y, z] for z in (1.0, 0.0) for x, y in ((2.0, 1.0), (2.0, 0.0), (0.0, 0.0), (0.0, 1.0))]


def entry(i: int, **changes: Any) -> dict[str, Any]:
    question = QUESTIONS[i]
    ids = {"scene_id": question.scene_id, "question_id": question.question_id}
    return {**ids, "answer_top10": ["chair", "bed"], "bbox": BOX, **changes}


def written(path: Path, entries: object) -> Path:
    path.write_text(json.dumps(entries))
    return path


def fault(path: Path, entries: object) -> str:
    with pytest.raises(DataError) as error:
        read_predictions(written(path / "p.json", entries), QUESTIONS)
    message = str(error.value)
    assert message.startswith(str(path / "p.json")) and "\n" not in message
    return message


def test_round_trip_in_the_order_of_the_questions(tmp_path: Path) -> None:
    predictions = tuple(
        Prediction(scene_id=q.scene_id, question_id=q.question_id, answers=("brown", "été"), corners=np.array(BOX) + i)
        for i, q in enumerate(QUESTIONS)
    )
    write_predictions(tmp_path / "p.json", reversed(predictions))
    found = read_predictions(tmp_path / "p.json", QUESTIONS)
    assert found.notes == ()
    for mine, back in zip(predictions, found.predictions, strict=True):
        assert (mine.question_id, mine.answers) == (back.question_id, back.answers)
        assert back.corners is not None and mine.corners is not None
        np.testing.assert_allclose(back.corners, mine.corners, atol=1e-5)


def test_single_answers_and_no_boxes_are_said(tmp_path: Path) -> None:
    entries = [{"question_id": q.question_id, "answer": "chair"} for q in QUESTIONS]
    found = read_predictions(written(tmp_path / "p.json", entries), QUESTIONS)
    assert [p.answers for p in found.predictions] == [("chair",)] * 4
    assert len(found.notes) == 1 and "Acc" in found.notes[0]


def test_boxes_without_a_volume_are_counted(tmp_path: Path) -> None:
    flat = [[x, y, 0.5] for x, y, _ in BOX]
    entries = [entry(0), entry(1, bbox=flat), entry(2, bbox=[[1, 2, 3]] * 8), entry(3)]
    found = read_predictions(written(tmp_path / "p.json", entries), QUESTIONS)
    assert found.notes == ("Boxes without a volume: 2; they overlap nothing.",)


def test_boxes_may_be_rounded(tmp_path: Path) -> None:
    noisy = (np.array(BOX) + np.random.default_rng(0).uniform(-4e-4, 4e-4, (8, 3))).tolist()
    entries = [entry(i, bbox=noisy) for i in range(4)]
    assert read_predictions(written(tmp_path / "p.json", entries), QUESTIONS).notes == ()


def test_an_object_in_place_of_a_list_is_told_what_a_prediction_file_is(tmp_path: Path) -> None:
    message = fault(tmp_path, {"predictions": [entry(0)]})
    assert "expected a list" in message and "{question_id, answer_top10, bbox}" in message


def test_all_faults_at_once_with_counts_and_examples(tmp_path: Path) -> None:
    entries = [entry(0), entry(0), entry(1, question_id="test-7"), entry(2, bbox=BOX[:7]), 5, {"answer": "x"}]
    message = fault(tmp_path, entries)
    for part in (
        "question ids that occur more than once: 1 (val-0)",
        "unknown question ids: 1 ('test-7')",
        "questions without a prediction: 2 (val-1, val-3)",
        "malformed boxes (expected 8 corners of 3 finite numbers in `bbox`): 1 (val-2)",
        "entries without a question_id: 2 (entry 4, entry 5)",
    ):
        assert part in message


def test_many_examples_are_cut(tmp_path: Path) -> None:
    assert "questions without a prediction: 4 (val-0, val-1, val-2, ...)" in fault(tmp_path, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": "box"},
        {"bbox": [[0, 0, "1"]] * 8},
        {"bbox": [[0, 0, None]] * 8},
        {"bbox": [[0, 0, float("nan")]] * 8},
        {"bbox": [[0, 0, 1e300]] * 8},
        {"bbox": [[0, 0, True]] * 8},
        {"bbox": [[0, 0, 0]] * 7 + [[1, 1, 1]]},
        {"bbox": [*BOX[:7], BOX[0]]},
        {"bbox": [[0.6 * x - 0.8 * y, 0.8 * x + 0.6 * y, z] for x, y, z in BOX]},
        {"answer_top10": []},
        {"answer_top10": ["a"] * 11},
        {"answer_top10": [1]},
        {"answer_top10": None},
        {"answer_top10": ["a" * 1001]},
        {"scene_id": "scene0009_00"},
        {"bbox": None},
    ],
)
def test_one_bad_entry_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "val-3" in fault(tmp_path, [entry(0), entry(1), entry(2), entry(3, **changes)])


@pytest.mark.parametrize("content", ["", "{}", "[", "5", "\x00", '"[]"'])
def test_files_that_are_no_list(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"p\.json"):
        read_predictions(path, QUESTIONS)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json"):
        read_predictions(tmp_path / "nothing.json", QUESTIONS)


def test_a_box_is_the_same_in_any_order_of_corners() -> None:
    corners = np.array(BOX)
    for order in (np.arange(8), np.random.default_rng(0).permutation(8)):
        center, size = center_and_size(corners[order])
        np.testing.assert_allclose(center, [1, 0.5, 0.5])
        np.testing.assert_allclose(size, [2, 1, 1])


@pytest.mark.parametrize(("split", "num"), [("test_w_obj", 4976), ("test_wo_obj", 6149)])
def test_submissions_of_the_real_test_splits(real_data: Path, tmp_path: Path, split: str, num: int) -> None:
    (tmp_path / "qa").symlink_to(real_data / "scanqa")
    folder, path = DataFolder(tmp_path), tmp_path / "p.json"
    answers = tuple(f"answer {i}" for i in range(10))
    predictions = [
        Prediction(scene_id=q.scene_id, question_id=q.question_id, answers=answers, corners=np.array(BOX))
        for q in read_questions(folder, split)
    ]
    write_predictions(path, predictions)
    assert check_submission(path, folder, split) == num
    other = {"test_w_obj": "test_wo_obj", "test_wo_obj": "test_w_obj"}[split]
    with pytest.raises(DataError, match="unknown question ids"):
        check_submission(path, folder, other)


def test_submissions_need_ten_answers_a_box_and_every_question(tmp_path: Path) -> None:
    (tmp_path / "qa").mkdir()
    asked = [{"scene_id": q.scene_id, "question_id": q.question_id, "question": q.text} for q in QUESTIONS]
    (tmp_path / "qa" / "ScanQA_v1.0_test_w_obj.json").write_text(json.dumps(asked))
    folder, path = DataFolder(tmp_path), tmp_path / "p.json"
    ten = [f"answer {i}" for i in range(10)]
    whole = [entry(i, answer_top10=ten) for i in range(4)]
    assert check_submission(written(path, whole), folder, "test_w_obj") == 4
    without_box = [{key: value for key, value in one.items() if key != "bbox"} for one in whole]
    for entries, message in (
        (whole[:-1], "questions without a prediction: 1"),
        ([*whole[:-1], entry(3)], r"without 10 answers.*: 1 \(first val-3\)"),
        (without_box, "without a bbox.*: 4"),
    ):
        with pytest.raises(DataError, match=message):
            check_submission(written(path, entries), folder, "test_w_obj")
