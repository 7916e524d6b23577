"""From a run and a split to its predictions, scores and, per question, what a report wants to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from askscan.data.annotations import Task, read_task
from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.questions import asked_text, scene_rows
from askscan.errors import ConfigError
from askscan.evaluate.details import details
from askscan.evaluate.predict import Predictions, predict
from askscan.evaluate.prediction_file import (
    MAX_ANSWERS,
    check_submission,
    read_predictions,
    write_predictions,
)
from askscan.evaluate.runs import Run
from askscan.evaluate.score import Scores, Target, questions_of, score, targets_of
from askscan.files import write_json
from askscan.metrics.detection import Detection
from askscan.metrics.localization import IOU_THRESHOLDS
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import ScanQA
from askscan.records import Question
from askscan.shapes import NUM_CLASSES
from askscan.train.config import AnswerConfig
from askscan.train.embeddings import EmbeddingCache, OnProgress, TeacherLike
from askscan.train.stage import load_scenes


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFiles:
    """Where an evaluation writes."""

    predictions: Path
    scores: Path
    details: Path

    @classmethod
    def of(cls, out: Path, split: str, *, shuffled: bool = False) -> EvaluationFiles:
        """Paths of a split; those of the control with other rooms' scans have names of their own."""
        ending = f"{split}.shuffled.json" if shuffled else f"{split}.json"
        names = ("predictions", "scores", "details")
        return cls(**{name: Path(out) / f"{name}.{ending}" for name in names})


def evaluate(
    run: Run,
    folder: DataFolder,
    split: str = "val",
    *,
    out: Path,
    teacher: TeacherLike | None = None,
    task: Task | None = None,
    shuffle_scenes: bool = False,
    java: bool = True,
    progress: OnProgress | None = None,
) -> Scores:
    """Answer a split that has answers; write `predictions.<split>.json`, `scores.<split>.json`, `details.<split>.json`.

    Args:
        run: Of `askscan train`, on the device to compute on; the question-only baseline too.
        folder: Questions and prepared scenes.
        split: Which questions.
        out: Folder for the files.
        teacher: The run's teacher; found by its name where not given.
        task: Whose questions; default: those that the run was trained on.
        shuffle_scenes: A control: show each question another room's scan. Boxes are then left out, and the files are
            named `*.<split>.shuffled.json`.
        java: Compute METEOR and SPICE where they can be.
        progress: Gets (done, total) of the questions' embeddings, then of the steps.

    Raises:
        ConfigError: The run does not answer questions.
        DataError: Something is missing in the data folder, or `out` cannot be written to.
    """
    task = task or run.task
    questions = questions_of(folder, split, task)
    bank, found = _answer(run, folder, questions, teacher, shuffle_scenes, progress)
    predictions, truth = found.predictions, targets_of(questions, folder)
    targets, notes = (None, [truth]) if isinstance(truth, str) else (truth, [])
    if shuffle_scenes:
        notes.append("Each question was shown another room's scan: boxes are left out.")
    boxes_known = predictions[0].corners is not None
    hits = {} if targets is None else {"language accuracy": _class_hits(found, targets)}
    scores = score(
        predictions,
        questions,
        split=split,
        vocabulary=run.answer_counts.keys(),
        targets=targets if boxes_known else None,
        task=task,
        java=java,
        hits=hits,
        notes=notes,
    )
    if boxes_known:
        scores = _with_detection(scores, bank, found)
    files = EvaluationFiles.of(out, split, shuffled=shuffle_scenes)
    write_predictions(files.predictions, predictions)
    entries = details(
        predictions,
        questions,
        targets,
        task=task,
        confidence=[detail.confidence for detail in found.details],
        choices=[detail.choices for detail in found.details],
    )
    write_json(files.details, entries, ensure_ascii=False)
    scores.save(files.scores)
    return scores


def predict_submission(
    run: Run,
    folder: DataFolder,
    split: str,
    *,
    out: Path,
    teacher: TeacherLike | None = None,
    progress: OnProgress | None = None,
) -> Path:
    """Write `predictions.<split>.json`, and check it as the benchmark's server would where it is for that.

    Args:
        run: Of `askscan train`.
        folder: Questions and prepared scenes; neither answers nor objects are looked at.
        split: `test_w_obj` or `test_wo_obj`, or another of the task that the run was trained on.
        out: Folder for the file.
        teacher: The run's teacher; found by its name where not given.
        progress: As in `evaluate`.

    Raises:
        ConfigError: The run does not answer questions.
        DataError: Something is missing in the data folder, or `out` cannot be written to.
    """
    questions = read_task(folder, split, run.task)
    _, found = _answer(run, folder, questions, teacher, False, progress)
    path = EvaluationFiles.of(out, split).predictions
    write_predictions(path, found.predictions)
    if submittable(run):
        check_submission(path, folder, split)
    else:
        read_predictions(path, questions)
    return path


def submittable(run: Run) -> bool:
    """Whether a run gives what the benchmark's server wants for each question of ScanQA: ten answers and a box."""
    return run.task == "scanqa" and len(run.answer_counts) >= MAX_ANSWERS and isinstance(run.module, ScanQA)


def _answer(
    run: Run,
    folder: DataFolder,
    questions: Sequence[Question],
    teacher: TeacherLike | None,
    shuffle_scenes: bool,
    progress: OnProgress | None,
) -> tuple[SceneBank, Predictions]:
    module, config = run.module, run.config
    if isinstance(module, Pretrainer) or not isinstance(config, AnswerConfig):
        raise ConfigError(f"{run.name}: does not answer questions; give a run of `askscan train`.")
    device = next(module.parameters()).device
    bank = load_scenes(folder, [question.scene_id for question in questions], device)
    cache = EmbeddingCache(folder.root / "prepared" / "embeddings", teacher or run.teacher(device), progress)
    tokens = cache.tokens([asked_text(question) for question in questions])
    scene_of = _other_scenes(questions, bank) if shuffle_scenes else None
    found = predict(
        module, config, tuple(run.answer_counts), questions, tokens, bank, scene_of=scene_of, progress=progress
    )
    if shuffle_scenes:
        blind = tuple(replace(prediction, corners=None) for prediction in found.predictions)
        found = Predictions(predictions=blind, details=found.details, detections={})
    return bank, found


def _other_scenes(questions: Sequence[Question], bank: SceneBank) -> Int[ndarray, "q"]:
    """For each question the scan of another room, the same one for all questions of a room."""
    if len(bank) < 2:
        raise ConfigError("there is only one scene, so no other room's scan can be shown.")
    order = np.random.default_rng(0).permutation(len(bank))
    other = np.empty(len(bank), np.int64)
    other[order] = np.roll(order, 1)
    return other[scene_rows([question.scene_id for question in questions], bank)]


def _class_hits(found: Predictions, targets: Sequence[Target]) -> list[bool]:
    pairs = zip(found.details, targets, strict=True)
    return [detail.object_class == target.object_class for detail, target in pairs]


def _with_detection(scores: Scores, bank: SceneBank, found: Predictions) -> Scores:
    """The scores with mAP and AR over the split's scenes, each once."""
    detection = Detection()
    for row, scene_id in enumerate(bank.scene_ids):
        real = bank.boxes.mask[row].cpu().numpy()
        boxes = np.concatenate([bank.boxes.center[row].cpu().numpy(), bank.boxes.size[row].cpu().numpy()], axis=1)
        classes = bank.boxes.semantic_class[row].cpu().numpy()
        detection.add(found.detections[scene_id], boxes[real].astype(np.float64), classes[real])
    figures: dict[str, float] = {}
    for threshold in IOU_THRESHOLDS:
        figures |= detection.compute(threshold, per_class=True)
    means = {name: value for name, value in figures.items() if " " not in name}
    absent = detection.absent_classes
    said = f"{len(absent)} of {NUM_CLASSES} classes do not occur here ({', '.join(absent)}): "
    notes = [said + "by VoteNet's protocol mAP and AR count 0 for each."] if absent else []
    return replace(scores, figures=scores.figures | means | figures, notes=(*scores.notes, *notes))
