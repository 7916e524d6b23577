"""The benchmark's prediction file: a JSON list of {scene_id, question_id, answer_top10, bbox} (Azuma et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.data.annotations import read_questions
from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.errors import DataError
from askscan.files import write_json
from askscan.records import Prediction, Question

MAX_ANSWERS = 10
MAX_ANSWER_LENGTH = 1000
_SAME_M = 1e-3
"""How far the corners of a box may be from where a cuboid has them: files round."""
_REMEDY = "a prediction file is a list with one {question_id, answer_top10, bbox} for each question"
_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFile:
    """Predictions of a whole split, in the order of its questions."""

    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...]
    """What the file does not have: one sentence each."""


@dataclass(slots=True)
class _Faults:
    """Everything that is wrong with a file, by kind, with examples."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        self.found.setdefault(kind, []).append(example)

    def __str__(self) -> str:
        return "; ".join(
            f"{kind}: {len(examples)} ({', '.join(examples[:_EXAMPLES])}{', ...' if len(examples) > _EXAMPLES else ''})"
            for kind, examples in self.found.items()
        )


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Replace a prediction file. Predictions without a box have no `bbox`.

    Raises:
        DataError: The place cannot be written to.
    """
    entries = []
    for prediction in predictions:
        entry: dict[str, Any] = {
            "scene_id": prediction.scene_id,
            "question_id": prediction.question_id,
            "answer_top10": list(prediction.answers),
        }
        if prediction.corners is not None:
            entry["bbox"] = np.round(prediction.corners, 5).tolist()
        entries.append(entry)
    write_json(path, entries, ensure_ascii=False)


def read_predictions(path: Path, questions: Sequence[Question]) -> PredictionFile:
    """Read a system's predictions for exactly these questions.

    Answers stand under `answer_top10`, best first (at most ten), or a single one under `answer`. Boxes are the 8
    corners of an axis-aligned cuboid in any order; a file has them for all questions or for none.

    Raises:
        DataError: The file is no list of predictions; ids are missing, unknown or twice; scenes, answers or boxes are
            malformed. The message has counts and examples.
    """
    asked = {question.question_id: question for question in questions}
    faults = _Faults()
    entries = _entries_by_id(read_json(path, expected=list, remedy=_REMEDY), asked, faults)
    for question_id in asked:
        if question_id not in entries:
            faults.add("questions without a prediction", question_id)
    found = {key: _prediction(entries[key], question, faults) for key, question in asked.items() if key in entries}
    without = [key for key, prediction in found.items() if prediction.corners is None]
    if len(without) < len(found) and not faults.found:
        for question_id in without:
            faults.add("predictions without a bbox, while others have one", question_id)
    if faults.found:
        raise DataError(f"{path}: {faults}; a prediction is needed for each of the {len(asked)} questions, once.")
    notes = []
    if without:
        notes.append("No boxes in the predictions: Acc@0.25 and Acc@0.5 are left out.")
    flat = sum(p.corners is not None and not center_and_size(p.corners)[1].all() for p in found.values())
    if flat:  # a network may predict a size below 0, which becomes 0
        notes.append(f"Boxes without a volume: {flat}; they overlap nothing.")
    return PredictionFile(predictions=tuple(found.values()), notes=tuple(notes))


def _entries_by_id(entries: list[Any], asked: Collection[str], faults: _Faults) -> dict[str, dict[str, Any]]:
    """The first entry of each known question."""
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        question_id = entry.get("question_id") if isinstance(entry, dict) else None
        if isinstance(question_id, int) and not isinstance(question_id, bool):
            question_id = str(question_id)
        if not isinstance(question_id, str):
            faults.add("entries without a question_id", f"entry {number}")
        elif question_id not in asked:
            faults.add("unknown question ids", ascii(question_id)[:60])
        elif question_id in found:
            faults.add("question ids that occur more than once", question_id)
        else:
            found[question_id] = entry
    return found


def check_submission(path: Path, folder: DataFolder, split: str) -> int:
    """Check that a file can be submitted to the benchmark's server for a test split.

    Args:
        path: The prediction file.
        folder: With the split's questions.
        split: `test_w_obj` or `test_wo_obj`; `val` is checked in the same way.

    Returns:
        The number of predictions.

    Raises:
        DataError: As `read_predictions`, or a prediction has not ten answers and a box.
    """
    predictions = read_predictions(path, read_questions(folder, split)).predictions
    short = [p.question_id for p in predictions if len(p.answers) != MAX_ANSWERS]
    boxless = [p.question_id for p in predictions if p.corners is None]
    for lacking, what in ((short, f"{MAX_ANSWERS} answers"), (boxless, "a bbox")):
        if lacking:
            raise DataError(
                f"{path}: predictions without {what}, which the benchmark expects: {len(lacking)} (first {lacking[0]})."
            )
    return len(predictions)


def _prediction(entry: dict[str, Any], question: Question, faults: _Faults) -> Prediction:
    question_id = question.question_id
    if entry.get("scene_id", question.scene_id) != question.scene_id:
        faults.add(f"predictions about another scene than the question's {question.scene_id}", question_id)
    given = entry.get("answer_top10", entry.get("answer"))
    answers: Any = [given] if isinstance(given, str) else given
    if not _is_list(answers, 1, MAX_ANSWERS, lambda a: isinstance(a, str) and len(a) <= MAX_ANSWER_LENGTH):
        faults.add("malformed answers (expected one to ten strings in `answer_top10`)", question_id)
        answers = [""]
    corners = entry.get("bbox")
    if corners is not None and not _is_list(corners, 8, 8, lambda row: _is_list(row, 3, 3, _is_coordinate)):
        faults.add("malformed boxes (expected 8 corners of 3 finite numbers in `bbox`)", question_id)
        corners = None
    elif corners is not None and not _is_cuboid(np.array(corners, np.float64)):
        faults.add("boxes that are no cuboids (expected 8 corners of an axis-aligned one in `bbox`)", question_id)
    return Prediction(
        scene_id=question.scene_id,
        question_id=question_id,
        answers=tuple(answers),
        corners=None if corners is None else np.array(corners, np.float64),
    )


def _is_list(value: object, low: int, high: int, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and low <= len(value) <= high and all(map(check, value))


def _is_coordinate(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e6 and math.isfinite(value)


def _is_cuboid(corners: Float[ndarray, "8 3"]) -> bool:
    """Whether each corner of the box around the corners is one of them."""
    hull = np.array(list(product(*zip(corners.min(0), corners.max(0), strict=True))))
    apart = np.abs(hull[:, None] - corners).max(-1)
    return bool((apart.min(1) <= _SAME_M).all())


def center_and_size(corners: Float[ndarray, "*b 8 3"]) -> tuple[Float[ndarray, "*b 3"], Float[ndarray, "*b 3"]]:
    """The axis-aligned box around 8 corners, whatever their order."""
    low, high = corners.min(-2), corners.max(-2)
    return (low + high) / 2, high - low
