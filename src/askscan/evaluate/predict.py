"""From a question-answering run and a split to predictions, with what scoring and reports want to know beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.questions import QuestionBank, RaggedTokens
from askscan.data.situations import views_of
from askscan.geometry.boxes import Boxes, box_corners
from askscan.geometry.nms import nms_3d
from askscan.metrics.detection import SceneDetections
from askscan.models.decoding import NMS_IOU, DecodedAnswers, best_answers, decode_answers, referable
from askscan.models.scan_qa import QuestionOnly, ScanQA
from askscan.records import AnswerOutput, Prediction, Question
from askscan.train.answer import AskedScenes
from askscan.train.config import AnswerConfig
from askscan.train.devices import autocast
from askscan.train.graph import Recorded, mapped, on_host

TEXTS_PER_SCENE = 16
MIN_POINTS_IN_BOX = 5
"""Boxes that hold fewer of the sampled points are no detections (VoteNet's protocol)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What the prediction file does not hold about one answer."""

    confidence: tuple[float, ...]
    """Of each answer, best first."""
    object_class: int
    """Predicted class of the asked object."""
    choices: Float[ndarray, "_ 8 3"] | None
    """Corners of the boxes that the answer's is chosen from; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """All predictions of a split, in the order of its questions."""

    predictions: tuple[Prediction, ...]
    details: tuple[Detail, ...]
    detections: dict[str, SceneDetections]
    """Per scene; empty for the question-only baseline and for situated questions."""


@torch.no_grad()
def predict(
    module: ScanQA | QuestionOnly,
    config: AnswerConfig,
    vocabulary: Sequence[str],
    questions: Sequence[Question],
    tokens: RaggedTokens,
    bank: SceneBank,
    *,
    scene_of: Int[ndarray, "q"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Answer every question; a scene is shown by the same points to all of them.

    Args:
        module: In evaluation mode, on the bank's device.
        config: Of its run.
        vocabulary: The run's answers, in order.
        questions: At least one; answers and objects are not looked at.
        tokens: Their token features, in the same order.
        bank: Scenes.
        scene_of: Bank row to show with each question in place of its own scene (a control).
        progress: Gets (done, total) in steps.
    """
    texts = QuestionBank.from_questions(questions, tokens, dict.fromkeys(vocabulary, 1), bank)
    if scene_of is not None:
        texts = replace(texts, views=views_of(questions, scene_of, bank.scan_frame))
    asked = AskedScenes(bank=bank, questions=texts)
    most = int(np.bincount(texts.views.of_question).max())
    steps = asked.in_order(config.loop.scenes_per_step, min(TEXTS_PER_SCENE, most))
    found: dict[int, tuple[Prediction, Detail]] = {}
    detections: dict[str, SceneDetections] = {}
    device = bank.xyz.device
    view, text = steps.scene[0].to(device, copy=True), steps.text[0].to(device, copy=True)
    answer = Recorded(lambda: _answer(module, config, asked, view, text), device)
    for number in range(len(steps)):
        view.copy_(steps.scene[number])
        text.copy_(steps.text[number])
        step: _Answered = on_host(answer())
        answers, confidence, classes = step.answer.tolist(), step.confidence.tolist(), step.object_class.tolist()
        corners, choices = None, None
        if step.boxes is not None:
            corners, choices = step.boxes.referred.double().numpy(), _choices(step.boxes)
            for row, *boxes in zip(step.scene.tolist(), *step.boxes.detections, strict=True):
                detections.setdefault(bank.scene_ids[row], _survivors(*boxes))
        for i, j in steps.mask[number].nonzero().tolist():
            q = int(steps.text[number, i, j])
            found[q] = (
                Prediction(
                    scene_id=questions[q].scene_id,
                    question_id=questions[q].question_id,
                    answers=tuple(vocabulary[a] for a in answers[i][j]),
                    corners=None if corners is None else corners[i, j],
                ),
                Detail(
                    confidence=tuple(confidence[i][j]),
                    object_class=classes[i][j],
                    choices=None if choices is None else choices[i],
                ),
            )
        if progress is not None:
            progress(number + 1, len(steps))
    ordered = [found[q] for q in range(len(questions))]
    return Predictions(
        predictions=tuple(prediction for prediction, _ in ordered),
        details=tuple(detail for _, detail in ordered),
        detections=detections,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boxes:
    """Where a step points at, and what else it could have pointed at."""

    referred: Float[Tensor, "b q 8 3"]
    proposals: Float[Tensor, "b k 8 3"]
    choice: Bool[Tensor, "b k"]
    """Proposals that the referred one is chosen from."""
    detections: tuple[Tensor, ...]
    """Centre, size, objectness, class probability and whether it is kept, of each proposal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """What a step finds, as tensors on the device."""

    scene: Int[Tensor, "b"]
    """Bank rows that were shown."""
    answer: Int[Tensor, "b q r"]
    confidence: Float[Tensor, "b q r"]
    object_class: Int[Tensor, "b q"]
    boxes: _Boxes | None
    """None for the baseline, and for agents: their boxes are in their own axes, and SQA3D asks for none."""


def _answer(
    module: ScanQA | QuestionOnly,
    config: AnswerConfig,
    asked: AskedScenes,
    view: Int[Tensor, "b"],
    text: Int[Tensor, "b q"],
) -> _Answered:
    """Answer some questions about some views. Without host synchronisation."""
    views, tokens = asked.questions.views, asked.questions.tokens(text)
    if isinstance(module, QuestionOnly):
        guess = module(tokens)
        best, confidence = best_answers(guess.answer_logits)
        return _Answered(
            scene=views.scene[view],
            answer=best,
            confidence=confidence,
            object_class=guess.object_class_logits.argmax(-1),
            boxes=None,
        )
    points = asked.points(view, config.inputs)
    with autocast(config.loop.precision, points.device):
        output: AnswerOutput = module(points, tokens)
    output = mapped(output, lambda tensor: tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    decoded = decode_answers(output)
    return _Answered(
        scene=views.scene[view],
        answer=decoded.answer,
        confidence=decoded.confidence,
        object_class=decoded.object_class,
        boxes=None if views.frame is not None else _boxes(points, output, decoded),
    )


def _boxes(points: Float[Tensor, "b n c"], output: AnswerOutput, decoded: DecodedAnswers) -> _Boxes:
    boxes = decoded.boxes
    return _Boxes(
        referred=box_corners(decoded.center, decoded.size),
        proposals=box_corners(boxes.center, boxes.size.clamp_min(0)),
        choice=referable(decoded.kept, boxes.objectness),
        detections=_detections(points, output, boxes),
    )


def _detections(points: Float[Tensor, "b n c"], output: AnswerOutput, boxes: Boxes) -> tuple[Tensor, ...]:
    """See `_Boxes`: kept are boxes that hold points and survive suppression, whatever their objectness."""
    size = boxes.size.clamp_min(0)
    low, high = boxes.center - size / 2, boxes.center + size / 2
    inside = torch.stack([_num_inside(*scene) for scene in zip(points, low, high, strict=True)])
    kept = nms_3d(
        boxes.center, size, boxes.objectness, boxes.semantic_class, inside >= MIN_POINTS_IN_BOX, iou_threshold=NMS_IOU
    )
    return boxes.center, size, boxes.objectness, output.detector.semantic_scores.softmax(-1), kept


def _num_inside(points: Float[Tensor, "n c"], low: Float[Tensor, "k 3"], high: Float[Tensor, "k 3"]) -> Tensor:
    """Points in each box, one axis after the other: a last dimension of three is slow to reduce."""
    inside = torch.ones(len(low), len(points), dtype=torch.bool, device=points.device)
    for axis in range(3):
        inside &= (points[:, axis] >= low[:, axis, None]) & (points[:, axis] <= high[:, axis, None])
    return inside.sum(1)


def _choices(boxes: _Boxes) -> list[Float[ndarray, "_ 8 3"]]:
    """Of each scene, from the same encoding as the referred boxes."""
    pairs = zip(boxes.proposals.numpy(), boxes.choice.numpy(), strict=True)
    return [corners[choice].astype(np.float64) for corners, choice in pairs]


def _survivors(center: Tensor, size: Tensor, objectness: Tensor, probability: Tensor, kept: Tensor) -> SceneDetections:
    """On the host, in numpy: torch would start threads for a few rows."""

    def rest(values: Tensor) -> ndarray:
        return values.numpy()[kept.numpy()].astype(np.float64)

    return SceneDetections(
        center=rest(center), size=rest(size), objectness=rest(objectness), class_probability=rest(probability)
    )
