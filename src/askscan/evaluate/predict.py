"""From a question-answering run and a split to predictions, with what scoring and reports want to know beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.questions import EpochSampler, QuestionBank, RaggedTokens
from askscan.data.situations import views_of
from askscan.geometry.boxes import Boxes, box_corners
from askscan.geometry.nms import nms_3d
from askscan.metrics.detection import SceneDetections
from askscan.models.decoding import NMS_IOU, NUM_ANSWERS, decode_answers
from askscan.models.scan_qa import QuestionOnly, ScanQA
from askscan.records import AnswerOutput, Prediction, Question
from askscan.train.config import AnswerConfig

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
    """Answer every question from points sampled by a fixed seed.

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
    asked = QuestionBank.from_questions(questions, tokens, dict.fromkeys(vocabulary, 1), bank)
    views = asked.views if scene_of is None else views_of(questions, scene_of, bank.scan_frame)
    steps = EpochSampler(
        scene=views.of_question,
        scenes_per_step=config.loop.scenes_per_step,
        texts_per_scene=TEXTS_PER_SCENE,
        shuffle=False,
    ).epoch(0)
    found: dict[int, tuple[Prediction, Detail]] = {}
    detections: dict[str, SceneDetections] = {}
    device = bank.xyz.device
    for number in range(len(steps)):
        view, text, mask = steps.scene[number].to(device), steps.text[number], steps.mask[number].numpy()
        text_tokens = asked.tokens(text.to(device))
        if isinstance(module, QuestionOnly):
            logits = module(text_tokens)
            best = logits.answer_logits.float().topk(min(NUM_ANSWERS, len(vocabulary)), dim=-1)
            answers, confidence = best.indices.cpu().numpy(), best.values.sigmoid().cpu().numpy()
            corners, classes = None, logits.object_class_logits.argmax(-1).cpu().numpy()
        else:
            rows, generator = views.scene[view], torch.Generator(device).manual_seed(number)
            sample = bank.sample(rows, config.inputs, generator, frame=views.frame_of(view))
            output = module(sample.batch.points, text_tokens)
            decoded = decode_answers(output)
            answers, confidence = decoded.answer.cpu().numpy(), decoded.confidence.cpu().numpy()
            corners = box_corners(decoded.center, decoded.size).double().cpu().numpy()
            classes = decoded.object_class.cpu().numpy()
            if views.frame is None:
                of_scene = _detections(sample.batch.points, output, decoded.boxes)
                for row, found_boxes in zip(rows.tolist(), of_scene, strict=True):
                    detections.setdefault(bank.scene_ids[row], found_boxes)
            else:
                corners = None  # an agent's boxes are in the agent's axes, and SQA3D asks for none
        for i, j in np.argwhere(mask):
            q = int(text[i, j])
            found[q] = (
                Prediction(
                    scene_id=questions[q].scene_id,
                    question_id=questions[q].question_id,
                    answers=tuple(vocabulary[a] for a in answers[i, j]),
                    corners=None if corners is None else corners[i, j],
                ),
                Detail(confidence=tuple(map(float, confidence[i, j])), object_class=int(classes[i, j])),
            )
        if progress is not None:
            progress(number + 1, len(steps))
    ordered = [found[q] for q in range(len(questions))]
    return Predictions(
        predictions=tuple(prediction for prediction, _ in ordered),
        details=tuple(detail for _, detail in ordered),
        detections=detections,
    )


def _detections(points: Float[Tensor, "b n c"], output: AnswerOutput, boxes: Boxes) -> list[SceneDetections]:
    """Per scene the boxes that hold points and survive suppression, whatever their objectness."""
    size = boxes.size.clamp_min(0)
    low, high = boxes.center - size / 2, boxes.center + size / 2
    inside = torch.stack(
        [
            ((xyz[None] >= a[:, None]) & (xyz[None] <= b[:, None])).all(-1).sum(1)
            for xyz, a, b in zip(points[..., :3], low, high, strict=True)
        ]
    )
    kept = nms_3d(
        boxes.center, size, boxes.objectness, boxes.semantic_class, inside >= MIN_POINTS_IN_BOX, iou_threshold=NMS_IOU
    )
    probability = output.detector.semantic_scores.float().softmax(-1)
    arrays = (x.double().cpu().numpy() for x in (boxes.center, size, boxes.objectness, probability))
    center, sizes, objectness, classes = arrays
    return [
        SceneDetections(
            center=center[i][k], size=sizes[i][k], objectness=objectness[i][k], class_probability=classes[i][k]
        )
        for i, k in enumerate(kept.cpu().numpy())
    ]
