"""From a prediction file to scores: no model, no GPU."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from askscan.data.annotations import Task, answer_vocabulary, read_task, task_file
from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.data.prepared import load_prepared
from askscan.errors import DataError
from askscan.evaluate.prediction_file import center_and_size, read_predictions
from askscan.files import write_json
from askscan.geometry.iou import box_iou
from askscan.metrics.answers import ExactMatch, Share, first_word, question_type
from askscan.metrics.f1 import best_f1, find_lemmatizer
from askscan.metrics.intervals import share_intervals
from askscan.metrics.language import language_scores
from askscan.metrics.localization import Localization
from askscan.records import Prediction, PreparedScene, Question
from askscan.shapes import CLASS_NAMES

AGAIN = "delete it and run `askscan evaluate` again"
"""The remedy for a damaged file of an evaluation."""
TYPES = {"scanqa": question_type, "sqa3d": first_word}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of one system on one split."""

    split: str
    num_questions: int
    figures: dict[str, float]
    """x100, by the names of score files."""
    intervals: dict[str, tuple[float, float]]
    """95 % intervals x100 of the figures that are shares of questions, by bootstrap over scenes."""
    notes: tuple[str, ...]
    """What could not be computed, and why: one sentence each."""

    def to_plain(self) -> dict[str, Any]:
        """What a score file holds: the figures on top, then everything else."""
        intervals = {name: [round(low, 4), round(high, 4)] for name, (low, high) in self.intervals.items()}
        figures = {name: round(value, 4) for name, value in self.figures.items()}
        rest = {"num_questions": self.num_questions, "split": self.split, "intervals": intervals}
        return {**figures, **rest, "notes": list(self.notes)}

    def save(self, path: Path) -> None:
        """Replace a score file."""
        write_json(path, self.to_plain(), indent=2, ensure_ascii=False)

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Read a score file.

        Raises:
            DataError: It is missing or no score file.
        """
        remedy = "make it again with `askscan score`"
        plain = read_json(path, expected=dict, remedy=remedy)
        try:
            return cls(
                split=str(plain.pop("split")),
                num_questions=int(plain.pop("num_questions")),
                intervals={name: (float(low), float(high)) for name, (low, high) in plain.pop("intervals").items()},
                notes=tuple(map(str, plain.pop("notes"))),
                figures={name: float(value) for name, value in plain.items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(f"{path}: is no score file ({error!r:.160}); {remedy}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The object that a question is about: the first one it names."""

    box: Float[ndarray, "6"] | None
    """Centre and size; None where the object is not annotated with a box."""
    object_class: int
    """Of CLASS_NAMES; `others` where there is no box."""
    unique: bool | None
    """Whether its class occurs once among the scene's boxes; None where there is no box."""


def score_file(
    path: Path, folder: DataFolder, split: str = "val", *, task: Task = "scanqa", java: bool = True
) -> Scores:
    """Score any system's prediction file.

    Args:
        path: The predictions.
        folder: The questions; its training split makes `answerable`, its prepared scenes `Acc@0.25` and `Acc@0.5`.
        split: One that has answers.
        task: Whose questions.
        java: Compute METEOR and SPICE where they can be.

    Raises:
        DataError: Predictions or questions are missing or malformed.
    """
    questions = questions_of(folder, split, task)
    found = read_predictions(path, questions)
    known, without = vocabulary_of(folder, task)
    truth = targets_of(questions, folder) if found.predictions[0].corners is not None else None
    notes = [*found.notes, *without]
    if isinstance(truth, str):
        notes.append(truth)
        truth = None
    return score(
        found.predictions, questions, split=split, vocabulary=known, targets=truth, task=task, java=java, notes=notes
    )


def questions_of(folder: DataFolder, split: str, task: Task = "scanqa") -> tuple[Question, ...]:
    """The questions of a split that has answers.

    Raises:
        DataError: There are none.
    """
    questions = read_task(folder, split, task)
    if not any(question.answers for question in questions):
        raise DataError(
            f"{folder.root}: split {split} of {task} has no answers to score against; the benchmark's server has those "
            "of the test splits."
        )
    return questions


def vocabulary_of(folder: DataFolder, task: Task) -> tuple[frozenset[str] | None, list[str]]:
    """Answers of the training split; where there is none, None and a note."""
    path = task_file(folder, "train", task)
    if path.is_file():
        return frozenset(answer_vocabulary(read_task(folder, "train", task))), []
    return None, [f"No training questions ({path.name}): the answerable-only figures are left out."]


def targets_of(questions: Sequence[Question], folder: DataFolder) -> list[Target] | str:
    """What each question is about; a note where the questions name no objects or a scene is not prepared."""
    if not any(question.object_ids for question in questions):
        return "The questions name no objects: Acc@0.25 and Acc@0.5 are left out."
    scene_ids = sorted({question.scene_id for question in questions})
    missing = [scene_id for scene_id in scene_ids if not folder.prepared(scene_id).is_file()]
    if missing:
        return (
            f"{len(missing)} of {len(scene_ids)} scenes are not prepared (first {missing[0]}): Acc@0.25 and Acc@0.5 "
            "are left out; run `askscan prepare`."
        )
    scenes = {scene_id: load_prepared(folder.prepared(scene_id)) for scene_id in scene_ids}
    return [_target(question, scenes[question.scene_id]) for question in questions]


def _target(question: Question, scene: PreparedScene) -> Target:
    slots = np.flatnonzero(scene.object_id == question.object_ids[0]) if question.object_ids else np.zeros(0, int)
    if not len(slots):
        return Target(box=None, object_class=len(CLASS_NAMES) - 1, unique=None)
    object_class = int(scene.box_class[slots[0]])
    unique = int((scene.box_class == object_class).sum()) == 1
    return Target(box=scene.boxes[slots[0]].astype(np.float64), object_class=object_class, unique=unique)


def overlaps(predictions: Sequence[Prediction], targets: Sequence[Target]) -> Float[ndarray, "q"]:
    """IoU of each predicted box with its target's; 0 where either has none."""
    corners = np.stack([np.zeros((8, 3)) if p.corners is None else p.corners for p in predictions])
    return overlap(corners, np.stack([np.zeros(6) if target.box is None else target.box for target in targets]))


def overlap(corners: Float[ndarray, "k 8 3"], boxes: Float[ndarray, "k 6"]) -> Float[ndarray, "k"]:
    """IoU of each box given by its corners with the one of the same row, given by centre and size."""
    center, size = (torch.from_numpy(part) for part in center_and_size(corners))
    right = torch.from_numpy(boxes)
    return box_iou(center, size, right[:, :3], right[:, 3:]).numpy()


def ranks(predictions: Sequence[Prediction]) -> bool:
    """Whether a system gives several answers to any question: then EM@10 is of all questions."""
    return any(len(prediction.answers) > 1 for prediction in predictions)


def score(
    predictions: Sequence[Prediction],
    questions: Sequence[Question],
    *,
    split: str,
    vocabulary: Collection[str] | None,
    targets: Sequence[Target] | None,
    task: Task = "scanqa",
    java: bool = True,
    hits: Mapping[str, Sequence[bool]] | None = None,
    notes: Sequence[str] = (),
) -> Scores:
    """Scores of predictions in the order of their questions.

    Args:
        predictions: One per question.
        questions: With answers.
        split: Its name, for the record.
        vocabulary: Answers of the training split, for `answerable`.
        targets: What the questions are about, for `Acc@0.25` and `Acc@0.5`.
        task: Which kinds of questions are told apart.
        java: Compute METEOR and SPICE where they can be.
        hits: Further shares by name: whether each question is right.
        notes: What is known to be missing.
    """
    said = [*notes, *_about_ranks(predictions)]
    answers, by_scene = _exact_match(predictions, questions, vocabulary, task)
    figures = answers.compute()
    figures |= _language(predictions, questions, java, said) if task == "scanqa" else {}
    if targets is not None:
        places, places_by_scene = localization(overlaps(predictions, targets), questions, targets)
        figures |= places.compute()
        for scene_id, shares in places_by_scene.items():
            by_scene[scene_id] |= shares
        boxless = sum(target.box is None for target in targets)
        if boxless:
            said.append(f"Questions about objects without a box: {boxless}; they count as not found.")
    for name, right in (hits or {}).items():
        figures[name] = 100 * float(np.mean(right))
        for hit, question in zip(right, questions, strict=True):
            by_scene[question.scene_id].setdefault(name, Share()).add(hit)
    return Scores(
        split=split,
        num_questions=len(questions),
        figures=figures,
        intervals=share_intervals(list(by_scene.values())),
        notes=tuple(said),
    )


def _exact_match(
    predictions: Sequence[Prediction], questions: Sequence[Question], vocabulary: Collection[str] | None, task: Task
) -> tuple[ExactMatch, dict[str, dict[str, Share]]]:
    """Over all questions, and the shares of each scene."""
    empty = partial(ExactMatch, vocabulary=vocabulary, type_of=TYPES[task], ranked=ranks(predictions))
    overall, scenes = empty(), {question.scene_id: empty() for question in questions}
    for prediction, question in zip(predictions, questions, strict=True):
        scene = scenes[question.scene_id]
        for scores in (overall, scene):
            scores.add(question.text, prediction.answers, question.answers)
    return overall, {scene_id: scores.shares for scene_id, scores in scenes.items()}


def _about_ranks(predictions: Sequence[Prediction]) -> list[str]:
    single = sum(len(prediction.answers) == 1 for prediction in predictions)
    if single == len(predictions):
        return ["One answer per question: EM@10 is left out."]
    if single:
        return [f"Questions with a single answer: {single} of {len(predictions)}; for EM@10 that one counts."]
    return []


def localization(
    iou: Iterable[float | Sequence[float]], questions: Sequence[Question], targets: Sequence[Target]
) -> tuple[Localization, dict[str, dict[str, Share]]]:
    """Acc over all questions, and the shares of each scene; `iou` as `Localization.add` has it, per question."""
    overall, scenes = Localization(), {question.scene_id: Localization() for question in questions}
    for value, question, target in zip(iou, questions, targets, strict=True):
        for scores in (overall, scenes[question.scene_id]):
            scores.add(value, unique=target.unique)
    return overall, {scene_id: scores.shares for scene_id, scores in scenes.items()}


def _language(
    predictions: Sequence[Prediction], questions: Sequence[Question], java: bool, said: list[str]
) -> Mapping[str, float]:
    """F1 and the caption metrics; what is left out is added to `said`."""
    pairs = [(p.answers[0], list(q.answers)) for p, q in zip(predictions, questions, strict=True) if q.answers]
    if len(pairs) < len(questions):
        said.append(f"Questions without answers: {len(questions) - len(pairs)}; they count as wrong.")
    lemma, figures = find_lemmatizer(), {}
    if lemma is None:
        said.append("F1 is left out: it needs WordNet; `pip install nltk`, then `python -m nltk.downloader wordnet`.")
    else:
        figures["F1"] = 100 * float(np.mean([best_f1(answer, truth, lemma) for answer, truth in pairs]))
    language = language_scores([answer for answer, _ in pairs], [truth for _, truth in pairs], java=java)
    said.extend(language.notes)
    return figures | language.figures
