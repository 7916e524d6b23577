import json
from collections import Counter
from pathlib import Path

import pytest

from askscan.metrics.answers import ExactMatch, question_type, refined_match


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where is the chair?", "place"),
        ("In the kitchen, Where What color?", "place"),
        ("How many chairs are there?", "number"),
        ("What color is it?", "color"),
        ("What is the color of it?", "color"),
        ("What kind of chair is it?", "object nature"),
        ("What is it?", "object"),
        ("what is it?", "other"),
    ],
)
def test_question_type(question: str, expected: str) -> None:
    assert question_type(question) == expected


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("Brown.", "brown", True),
        ("a chair", "the chair", True),
        ("two", "2", True),
        ("brown", "dark brown", True),
        ("own", "brown", False),
        ("left of desk", "right of desk", False),
        ("the", "chair", False),
    ],
)
def test_refined_match(answer: str, truth: str, expected: bool) -> None:
    assert refined_match(answer, truth) is expected
    assert refined_match(truth, answer) is expected


def test_all_questions_count_and_answerable_ones_apart() -> None:
    scores = ExactMatch(vocabulary={"a"})
    scores.add("What is it?", ["a"] + ["z"] * 9, ["a", "b"])
    scores.add("Where is it?", ["z"] * 9 + ["b"], ["b"])
    result = scores.compute()
    assert result["EM@1"] == 50.0 and result["EM@10"] == 100.0
    assert result["EM@1 answerable"] == 100.0
    assert result["EM@1 object"] == 100.0 and result["EM@1 place"] == 0.0
    assert "EM@1 color" not in result


def test_systems_that_do_not_rank_have_no_em10() -> None:
    scores = ExactMatch(ranked=False)
    scores.add("What is it?", ["a"], ["a"])
    assert "EM@10" not in scores.compute() and "EM@1 answerable" not in scores.compute()


def test_types_of_the_real_validation_questions(real_data: Path) -> None:
    questions = json.loads((real_data / "scanqa" / "ScanQA_v1.0_val.json").read_text())
    counts = Counter(question_type(q["question"]) for q in questions)
    assert sum(counts.values()) == 4675
    assert counts["place"] > 900 and counts["color"] > 500 and min(counts.values()) > 100
