"""Baselines that keep a model honest, from files alone: no model, no GPU.

The question-only baseline, the most telling one, is a trained run of its own (`askscan train --question-only`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from askscan.data.annotations import Task, read_task
from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.errors import DataError
from askscan.evaluate.details import details as entries_of
from askscan.evaluate.prediction_file import MAX_ANSWERS
from askscan.evaluate.score import AGAIN, TYPES, Scores, Target, localization, questions_of, score, targets_of
from askscan.files import write_json
from askscan.metrics.intervals import share_intervals
from askscan.records import Prediction, Question


def most_frequent_answers(
    folder: DataFolder, split: str = "val", *, task: Task = "scanqa", details: Path | None = None
) -> Scores:
    """Scores of answering each question with what its type was most often answered with in training.

    Args:
        folder: Its questions.
        split: Which ones.
        task: Whose.
        details: Where to write what a report shows of each question; None: nowhere.

    Raises:
        DataError: Training questions or those of the split are missing.
    """
    training = read_task(folder, "train", task)
    questions = questions_of(folder, split, task)
    predictions = frequent_predictions(training, questions, task)
    if details is not None:
        targets = targets_of(questions, folder)
        known = None if isinstance(targets, str) else targets
        write_json(details, entries_of(predictions, questions, known, task=task), ensure_ascii=False)
    vocabulary = {answer for question in training for answer in question.answers}
    return score(predictions, questions, split=split, vocabulary=vocabulary, targets=None, task=task, java=False)


def frequent_predictions(
    training: Sequence[Question], questions: Sequence[Question], task: Task = "scanqa"
) -> tuple[Prediction, ...]:
    """The ten most frequent training answers of each question's type; of all types where training has none of it."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for question in training:
        for name in (TYPES[task](question.text), ""):
            counts[name].update(question.answers)
    if not counts[""]:
        raise DataError("the training questions have no answers, so none is the most frequent.")
    # Ties by the alphabet: the order of a file decides nothing.
    best = {
        name: tuple(sorted(found, key=lambda answer: (-found[answer], answer))[:MAX_ANSWERS])
        for name, found in counts.items()
    }
    return tuple(
        Prediction(
            scene_id=question.scene_id,
            question_id=question.question_id,
            answers=best.get(TYPES[task](question.text)) or best[""],
            corners=None,
        )
        for question in questions
    )


def proposal_baselines(details: Path, folder: DataFolder, split: str = "val") -> dict[str, Scores]:
    """How well the box of a run's proposals could be and would by chance be chosen.

    Args:
        details: `details.<split>.json` of the run.
        folder: Questions and prepared scenes.
        split: Which questions.

    Returns:
        `oracle box` (the one that overlaps the target most of those that the run could choose from) and `random
        proposal` (the mean over drawing any of them); empty for runs without boxes.

    Raises:
        DataError: The details are not those of this split.
    """
    questions = questions_of(folder, split)
    targets = targets_of(questions, folder)
    entries = read_json(details, expected=list, remedy=AGAIN)
    try:
        by_id = {str(entry["question_id"]): entry for entry in entries}
        known = [by_id[question.question_id]["proposal_ious"] for question in questions]
        reach = [[float(iou) for iou in ious or [0.0]] for ious in known]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{details}: is no details file of split {split} ({error!r}); {AGAIN}.") from error
    if isinstance(targets, str) or not any(known):
        return {}
    return {
        "oracle box": _of_overlaps([max(ious) for ious in reach], questions, targets, split),
        "random proposal": _of_overlaps(reach, questions, targets, split),
    }


def _of_overlaps(
    iou: Sequence[float | Sequence[float]], questions: Sequence[Question], targets: Sequence[Target], split: str
) -> Scores:
    overall, by_scene = localization(iou, questions, targets)
    return Scores(
        split=split,
        num_questions=len(questions),
        figures=overall.compute(),
        intervals=share_intervals(list(by_scene.values())),
        notes=("Boxes only: it answers nothing.",),
    )


def score_rows(systems: Mapping[str, Scores], names: Sequence[str]) -> list[list[str]]:
    """A table of systems by figures, header first: each cell the figure and, for shares, its 95 % interval.

    Figures that no system has are left out; a system without a figure has an empty cell.

    >>> one = Scores(split="val", num_questions=2, figures={"EM@1": 50.0}, intervals={"EM@1": (40.0, 61.25)}, notes=())
    >>> score_rows({"ours": one}, ["EM@1", "CIDEr"])
    [['system', 'EM@1'], ['ours', '50.0 [40.0, 61.2]']]
    """
    shown = [name for name in names if any(name in scores.figures for scores in systems.values())]
    return [["system", *shown]] + [
        [system, *(_cell(scores, name) for name in shown)] for system, scores in systems.items()
    ]


def _cell(scores: Scores, name: str) -> str:
    if name not in scores.figures:
        return ""
    if name not in scores.intervals:
        return f"{scores.figures[name]:.1f}"
    low, high = scores.intervals[name]
    return f"{scores.figures[name]:.1f} [{low:.1f}, {high:.1f}]"
