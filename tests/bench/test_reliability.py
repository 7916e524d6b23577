from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.reliability import main

from askscan.evaluate.score import Scores


def test_the_figure_is_drawn_from_the_details_of_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # Four answers, 0.9 sure: three are right; two, 0.1 sure: none is.
    cases = [(0.9, True)] * 3 + [(0.9, False)] + [(0.1, False)] * 2
    entries = [
        {
            "question_id": str(number),
            "scene_id": f"scene000{number % 2}_00",
            "question": "What is it?",
            "type": "object",
            "right_answers": ["bed"],
            "answers": ["bed" if right else "desk"],
            "confidence": [confidence],
        }
        for number, (confidence, right) in enumerate(cases)
    ]
    details = tmp_path / "details.test.json"
    details.write_text(json.dumps(entries))
    Scores(split="test", num_questions=6, figures={}, intervals={}, notes=()).save(tmp_path / "scores.test.json")
    figures = [tmp_path / name for name in ("one.svg", "two.svg")]
    for path in figures:
        main(details, path)
    lines = capsys.readouterr().out.splitlines()[:3]
    assert [line.split() for line in lines[:2]] == [
        f"{said} % said, {right} % right, {count} questions".split()
        for said, right, count in ((10.0, 0.0, 2), (90.0, 75.0, 4))
    ]
    assert lines[2].startswith("expected calibration error 13.3 % [")  # (4 x 15 + 2 x 10) / 6
    plain = json.loads((tmp_path / "one.json").read_text())
    assert plain["num_questions"] == 6 and [b["count"] for b in plain["bins"]] == [2, 4]
    assert plain["ece_interval"][0] <= plain["ece"] <= plain["ece_interval"][1]
    assert "<svg" in figures[0].read_text() and figures[0].read_bytes() == figures[1].read_bytes()
