from dataclasses import replace

import pytest

from askscan.evaluate.cases import Case
from askscan.evaluate.report_runs import ReportRun
from askscan.evaluate.report_scores import scores_section
from askscan.evaluate.score import Scores


def run(name: str, right: list[bool], *, num_rooms: int = 10, first: int = 0) -> ReportRun:
    """Answers to questions from the `first` on, in turn about each room."""
    cases = tuple(
        Case(
            question_id=f"val-{row}",
            scene_id=f"scene{row % num_rooms:04}_00",
            question="What?",
            question_type="object",
            truth=("red",),
            answers=("red" if hit else "blue",),
            confidence=(),
            box=None,
            true_box=None,
            iou=None,
        )
        for row, hit in enumerate(right, start=first)
    )
    figures = {"EM@1": 100 * sum(right) / len(right)}
    scores = Scores(split="val", num_questions=len(right), figures=figures, intervals={}, notes=())
    return ReportRun(name=name, scores=scores, cases=cases, config={}, curves={}, scene_map=None)


HALF = [True, False] * 50


def test_clear_differences_are_bold_and_ties_are_not() -> None:
    ahead = [True] * 40 + HALF[40:]
    page = scores_section([run("base", HALF), run("same", HALF), run("ahead", ahead)])
    assert "Ahead of base" in page and "asked different questions" not in page
    row = page.split("Ahead of base")[1].split("<tr><td>EM@1</td>")[1].split("</tr>")[0]
    same, better = row.split("</td><td>")
    assert same == "<td>+0.0<small>+0.0 to +0.0</small>"
    assert better.startswith("<b>+20.0</b><small>+")
    assert page.split("Ahead of base")[0].count("<b>") == 0  # the better of two figures alone means nothing


@pytest.mark.parametrize(
    ("num_rooms", "cell"),
    [(1, "<td>+100.0</td>"), (5, "<td>+100.0<small>+100.0 to"), (6, "<td><b>+100.0</b><small>+100.0 to")],
)
def test_what_few_rooms_say_is_never_clear(num_rooms: int, cell: str) -> None:
    page = scores_section([run(name, [right] * 30, num_rooms=num_rooms) for name, right in (("a", False), ("b", True))])
    assert cell in page


def test_other_questions_are_said_and_only_shared_ones_compared() -> None:
    # The second run is worse on what both were asked, and was asked 60 easy ones more.
    page = scores_section([run("base", [True] * 40), run("other", [False] * 40 + [True] * 60)])
    assert "asked different questions</b> (base 40; other 100)" in page
    assert "<th>other: 40 shared questions</th>" in page and "<b>-100.0</b>" in page
    page = scores_section([run("base", HALF), run("apart", HALF, first=1000)])
    assert "asked different questions" in page and "<th>apart: 0 shared questions</th>" in page


def test_a_run_of_scores_alone_is_compared_by_the_number_of_questions() -> None:
    alone = replace(run("alone", HALF), cases=())
    assert "asked different questions" not in scores_section([run("base", HALF), alone])
    fewer = replace(run("fewer", HALF[:50]), cases=())
    assert "(base 100; fewer 50)" in scores_section([run("base", HALF), fewer])
    assert "Ahead of" not in scores_section([run("base", HALF), fewer])
