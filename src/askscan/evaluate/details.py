"""What is known of each question after an evaluation, for reports and for figures that are not in the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.data.annotations import Task
from askscan.data.questions import asked_text
from askscan.evaluate.prediction_file import MAX_ANSWERS, center_and_size
from askscan.evaluate.score import TYPES, Target, overlap, overlaps, ranks
from askscan.records import Prediction, Question


def details(
    predictions: Sequence[Prediction],
    questions: Sequence[Question],
    targets: Sequence[Target] | None,
    *,
    task: Task = "scanqa",
    confidence: Sequence[tuple[float, ...]] | None = None,
    choices: Sequence[Float[ndarray, "_ 8 3"] | None] | None = None,
) -> list[dict[str, Any]]:
    """One plain entry per question: what was asked, answered, meant and found, and which scores it counts for.

    `em`, `em10`, `acc25`, `acc50`: whether it is a hit of EM@1, EM@10, Acc@0.25 and Acc@0.5. `proposal_ious`: how far
    each box that the answer's could be chosen from overlaps the target; `best_iou` is the largest. None: not known.

    Args:
        predictions: One per question.
        questions: With answers.
        targets: What the questions are about, where known.
        task: Which kinds of questions are told apart.
        confidence: Of each answer, for systems that give it.
        choices: Of each question, the boxes that the answer's is chosen from, as corners.
    """
    ranked = ranks(predictions)
    located = targets is not None and predictions[0].corners is not None
    iou = overlaps(predictions, targets) if targets is not None and located else np.zeros(len(questions))
    entries = []
    for row, (prediction, question) in enumerate(zip(predictions, questions, strict=True)):
        target = None if targets is None else targets[row].box
        reach = None
        boxes = None if choices is None else choices[row]
        if located and target is not None and boxes is not None:
            reach = np.round(overlap(boxes, np.tile(target, (len(boxes), 1))), 5).tolist()
        entries.append(
            {
                "question_id": question.question_id,
                "scene_id": question.scene_id,
                "question": asked_text(question),
                "type": TYPES[task](question.text),
                "right_answers": list(question.answers),
                "answers": list(prediction.answers),
                "confidence": [] if confidence is None else [round(value, 5) for value in confidence[row]],
                "em": prediction.answers[0] in question.answers,
                "em10": not set(prediction.answers[:MAX_ANSWERS]).isdisjoint(question.answers) if ranked else None,
                "box": None
                if prediction.corners is None
                else _box(np.concatenate(center_and_size(prediction.corners))),
                "true_box": None if target is None else _box(target),
                "iou": round(float(iou[row]), 5) if located and target is not None else None,
                "acc25": bool(iou[row] >= 0.25) if located else None,
                "acc50": bool(iou[row] >= 0.5) if located else None,
                "best_iou": None if reach is None else max(reach),
                "proposal_ious": reach,
            }
        )
    return entries


def _box(center_size: Float[ndarray, "6"]) -> dict[str, list[float]]:
    rounded = np.round(center_size, 4).tolist()
    return {"center": rounded[:3], "size": rounded[3:]}
