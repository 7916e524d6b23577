import json
from pathlib import Path

import numpy as np
import pytest

from askscan.errors import DataError
from askscan.evaluate.cases import Case, difference, read_cases, room_counts, share_of


def case(scene: str, answers: list[str], right: list[str], iou: float | None = None, row: int = 0) -> Case:
    return Case(
        question_id=f"val-{row}",
        scene_id=scene,
        question="What?",
        question_type="object",
        truth=tuple(right),
        answers=tuple(answers),
        confidence=(),
        box=None,
        true_box=None,
        iou=iou,
    )


def counts(*hits: int, of: int = 10) -> dict[str, dict[str, int]]:
    return {f"room {i}": {"questions": of, "EM@1": n} for i, n in enumerate(hits)}


def test_rooms_are_counted_as_scores_count_them() -> None:
    asked = [("b", ["red", "blue"], ["blue"]), ("a", ["red", "tall"], ["red", "blue"])]
    asked += [("a", ["one", *"abcdefghi", "two"], ["two"])]  # the eleventh of the answers
    located = [case(*each, iou) for each, iou in zip(asked, (0.6, 0.25, None), strict=True)]  # an object without a box
    found = room_counts(located)
    assert found == {
        "a": {"questions": 2, "EM@1": 1, "EM@10": 1, "Acc@0.25": 1, "Acc@0.5": 0},
        "b": {"questions": 1, "EM@1": 0, "EM@10": 1, "Acc@0.25": 1, "Acc@0.5": 1},
    }
    assert list(found) == ["a", "b"]
    assert room_counts([case(*each) for each in asked])["b"] == {"questions": 1, "EM@1": 0, "EM@10": 1}
    assert room_counts([case("b", ["red"], ["red"])]) == {"b": {"questions": 1, "EM@1": 1}}


def test_details_are_read_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "details.val.json"
    entry = {"question_id": 3, "scene_id": "a", "question": "What?", "type": "object", "right_answers": ["red"]}
    entry |= {"answers": ["red"], "confidence": [0.5], "iou": None, "box": {"center": [0, 0, 0], "size": [1, 2, 3]}}
    path.write_text(json.dumps([entry]))
    (found,) = read_cases(path)
    assert found.right and found.key == ("3", "a", "What?") and found.true_box is None
    assert found.box is not None and found.box.tolist() == [0, 0, 0, 1, 2, 3]
    path.write_text(json.dumps([{"question_id": 3}]))
    with pytest.raises(DataError, match=r"details\.val\.json"):
        read_cases(path)


def test_differences_are_paired_over_rooms() -> None:
    easy = np.random.default_rng(0).integers(0, 8, 40)
    ours, theirs = counts(*(easy + 2)), counts(*easy)
    share = share_of([ours], "EM@1")
    assert share is not None and share.low < share.value < share.high and share.high - share.low > 5
    gain = difference([ours], [theirs], "EM@1")
    assert gain is not None and gain.is_clear
    assert (gain.value, gain.low, gain.high) == pytest.approx((20, 20, 20))  # rooms differ, alike for both
    same = difference([ours], [ours], "EM@1")
    assert same is not None and not same.is_clear
    assert share_of([ours], "EM@10") is None and difference([ours], [theirs], "EM@10") is None


def test_an_interval_agrees_with_one_drawn_by_hand() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 11, (2, 30))
    gain = difference([counts(*a)], [counts(*b)], "EM@1")
    drawn = rng.integers(0, 30, (4000, 30))
    low, high = np.percentile((a - b)[drawn].mean(1) * 10, (2.5, 97.5))
    assert gain is not None and gain.value == pytest.approx((a - b).mean() * 10)
    assert (gain.low, gain.high) == pytest.approx((low, high), abs=1.5)
