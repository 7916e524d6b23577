"""Sentences and questions about scans: ScanRefer, ScanQA and SQA3D, every field checked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from askscan.data.folder import SCANQA_SPLITS, SCANREFER_SPLITS, SQA3D_SPLITS, DataFolder, check_scene_id
from askscan.data.json_fields import Fields, read_json
from askscan.errors import ConfigError, DataError
from askscan.records import Description, Question, Situation

Task = Literal["scanqa", "sqa3d"]
"""Whose questions: ScanQA's, or SQA3D's with their situations."""


def read_descriptions(folder: DataFolder, split: str) -> tuple[Description, ...]:
    """ScanRefer's sentences of train or val (Chen et al. 2020), names with spaces for underscores.

    Raises:
        DataError: the file is missing or a field is; the message names the entry.
    """
    path = folder.scanrefer(_known(split, SCANREFER_SPLITS, "ScanRefer"))
    return tuple(
        Description(
            scene_id=_scene_id(entry),
            object_id=entry.count("object_id"),
            object_name=entry.text("object_name").replace("_", " "),
            ann_id=str(entry.count("ann_id")),
            text=_said(entry, "description"),
        )
        for entry in _entries(path, read_json(path, expected=list))
    )


def read_questions(folder: DataFolder, split: str) -> tuple[Question, ...]:
    """ScanQA's questions of train, val, test_w_obj or test_wo_obj (Azuma et al. 2022).

    The test splits have no answers and no objects. An empty answer list is read as it is: `check` reports it.

    Raises:
        DataError: the file is missing or a field is; the message names the entry.
    """
    path = folder.scanqa(_known(split, SCANQA_SPLITS, "ScanQA"))
    if split in ("train", "val"):
        return tuple(_question(entry) for entry in _entries(path, read_json(path, expected=list)))
    remedy = "put ScanQA's file there, or name a split that is there, such as val"
    return tuple(_bare_question(entry) for entry in _entries(path, read_json(path, expected=list, remedy=remedy)))


def read_sqa3d(folder: DataFolder, split: str) -> tuple[Question, ...]:
    """SQA3D's situated questions of train, val or test (Ma et al. 2023), joined with their annotations by id.

    Positions and headings stay as the file has them (see `Situation`). Alternative wordings of the situation are
    checked and left out.

    Raises:
        DataError: a file or a field is missing, or a question has no annotation; the message names the entry.
    """
    _known(split, SQA3D_SPLITS, "SQA3D")
    path, notes = folder.sqa3d_questions(split), folder.sqa3d_annotations(split)
    questions = Fields(path, "top", read_json(path, expected=dict)).items("questions")
    annotations = Fields(notes, "top", read_json(notes, expected=dict)).items("annotations")
    annotation_of = {entry.id("question_id"): entry for entry in _entries(notes, annotations)}
    result = []
    for entry in _entries(path, questions):
        question_id = entry.id("question_id")
        if question_id not in annotation_of:
            raise DataError(
                f"{path}: {entry.place}: question {question_id:.40} has no annotation in {notes}; download both again"
            )
        result.append(_situated(entry, annotation_of[question_id], question_id))
    return tuple(result)


def read_task(folder: DataFolder, split: str, task: Task) -> tuple[Question, ...]:
    """The questions of a task: `read_questions` or `read_sqa3d`."""
    return read_questions(folder, split) if task == "scanqa" else read_sqa3d(folder, split)


def task_file(folder: DataFolder, split: str, task: Task) -> Path:
    """Where the questions of a task are."""
    return folder.scanqa(split) if task == "scanqa" else folder.sqa3d_questions(split)


def answer_counts(questions: Iterable[Question]) -> dict[str, int]:
    """How often each distinct answer string occurs over all answer lists, duplicates counted; keys sorted.

    The keys are the answer vocabulary (raw strings, no normalisation); the counts set the soft targets.
    """
    counts = Counter(answer for question in questions for answer in question.answers)
    return {answer: counts[answer] for answer in sorted(counts)}


def answer_vocabulary(questions: Iterable[Question]) -> tuple[str, ...]:
    """The distinct answer strings, sorted."""
    return tuple(answer_counts(questions))


def _known(split: str, splits: tuple[str, ...], name: str) -> str:
    if split not in splits:
        raise ConfigError(f"{name} has no split `{split}`; choose one of {', '.join(splits)}")
    return split


def _entries(path: Path, values: list[Any]) -> Iterator[Fields]:
    return (Fields(path, f"entry {number}", value) for number, value in enumerate(values))


def _scene_id(entry: Fields) -> str:
    return check_scene_id(entry.text("scene_id"), f"{entry.path}: {entry.place}")


def _said(entry: Fields, key: str) -> str:
    text = entry.text(key)
    if not text.strip():
        raise entry.fault(key, "some words", text)
    return text


def _bare_question(entry: Fields) -> Question:
    return Question(scene_id=_scene_id(entry), question_id=_said(entry, "question_id"), text=_said(entry, "question"))


def _question(entry: Fields) -> Question:
    object_ids, object_names = entry.counts("object_ids"), entry.texts("object_names")
    if len(object_ids) != len(object_names):
        raise entry.fault("object_names", f"{len(object_ids)} names, one per object id", list(object_names))
    return Question(
        scene_id=_scene_id(entry),
        question_id=_said(entry, "question_id"),
        text=_said(entry, "question"),
        answers=entry.texts("answers"),
        object_ids=object_ids,
        object_names=object_names,
    )


def _situated(entry: Fields, annotation: Fields, question_id: str) -> Question:
    entry.texts("alternative_situation")
    scene_id = _scene_id(entry)
    if annotation.text("scene_id") != scene_id:
        about = f"{annotation.path}: {annotation.place} is about {annotation.text('scene_id')!r:.60}"
        raise DataError(f"{entry.path}: {entry.place} is about {scene_id!r}, {about}; download both again")
    answers = _entries(annotation.path, annotation.items("answers"))
    position = annotation.inner("position")
    return Question(
        scene_id=scene_id,
        question_id=question_id,
        text=_said(entry, "question"),
        answers=tuple(answer.text("answer") for answer in answers),
        situation=Situation(
            text=_said(entry, "situation"),
            position=(position.number("x"), position.number("y"), position.number("z")),
            heading_rad=_heading(annotation.inner("rotation")),
        ),
    )


def _heading(quaternion: Fields) -> float:
    """Rotation about z of a unit quaternion, in (-pi, pi]."""
    x, y, z, w = (quaternion.number(key) for key in ("_x", "_y", "_z", "_w"))
    if abs(math.hypot(x, y, z, w) - 1) > 0.01:
        raise DataError(
            f"{quaternion.path}: {quaternion.place} should be a unit quaternion, got {(x, y, z, w)}; download it again"
        )
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
