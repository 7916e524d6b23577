"""Figures of pycocoevalcap with its own (Java) tokenizer on fixed predictions for the real ScanQA val questions."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.metrics.fixed_predictions import fixed_predictions

from askscan.data.annotations import read_questions
from askscan.data.folder import DataFolder
from askscan.metrics.language import language_scores
from askscan.records import Question

EXPECTED = {
    "BLEU-1": 41.5447,
    "BLEU-2": 34.6230,
    "BLEU-3": 31.5546,
    "BLEU-4": 28.6472,
    "METEOR": 25.4096,
    "ROUGE-L": 44.7976,
    "CIDEr": 118.9348,
}


def asked(real_data: Path, tmp_path: Path) -> tuple[Question, ...]:
    (tmp_path / "qa").symlink_to(real_data / "scanqa")
    return read_questions(DataFolder(tmp_path), "val")


def with_java(questions: tuple[Question, ...]) -> dict[str, float]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def captions(texts: list[list[str]]) -> Any:
        return PTBTokenizer().tokenize({i: [{"caption": text} for text in row] for i, row in enumerate(texts)})

    right = captions([list(question.answers) for question in questions])
    found = captions([[prediction.answers[0]] for prediction in fixed_predictions(questions)])
    figures = {f"BLEU-{n}": v for n, v in enumerate(Bleu(4).compute_score(right, found, verbose=0)[0], 1)}
    for name, scorer in (("METEOR", Meteor()), ("ROUGE-L", Rouge()), ("CIDEr", Cider())):
        figures[name] = scorer.compute_score(right, found)[0]
    return {name: 100 * float(value) for name, value in figures.items()}


def test_as_with_java(real_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    questions = asked(real_data, tmp_path)
    answers = [prediction.answers[0] for prediction in fixed_predictions(questions)]
    scores = language_scores(answers, [question.answers for question in questions], java=False)
    assert scores.figures.keys() == EXPECTED.keys() - {"METEOR"}
    for name, value in scores.figures.items():
        assert value == pytest.approx(EXPECTED[name], abs=5e-5), name
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="needs java")
def test_the_expected_figures_are_those_of_java(real_data: Path, tmp_path: Path) -> None:
    questions = asked(real_data, tmp_path)
    assert with_java(questions) == pytest.approx(EXPECTED, abs=5e-5)
    answers = [prediction.answers[0] for prediction in fixed_predictions(questions)]
    scores = language_scores(answers, [question.answers for question in questions])
    assert scores.figures["METEOR"] == pytest.approx(EXPECTED["METEOR"], abs=5e-5)


def test_without_java_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    scores = language_scores(["brown"], [["brown", "dark brown"]])
    assert "METEOR" not in scores.figures and scores.figures["ROUGE-L"] == pytest.approx(100)
    assert [note.split()[0] for note in scores.notes] == ["METEOR", "SPICE"]
    assert "java" in scores.notes[0]


@pytest.mark.parametrize(("version", "why"), [(1, "fails"), (0, "stopped")], ids=["no Java", "Java that ends"])
def test_a_java_that_does_not_run_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, why: str
) -> None:
    java = tmp_path / "java"
    java.write_text(f'#!/bin/sh\n[ "$1" = -version ] && exit {version}\nexit 1\n')
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    scores = language_scores(["brown"], [["brown", "dark brown"]])
    assert "METEOR" not in scores.figures and "CIDEr" in scores.figures
    assert scores.notes[0].startswith("METEOR is left out: ") and why in scores.notes[0]


def test_odd_answers_have_scores() -> None:
    scores = language_scores(["", "?!", "\U0001fa91"], [["brown"], ["."], ["", "chair"]], java=False)
    assert all(0 <= value <= 100 for value in scores.figures.values())
