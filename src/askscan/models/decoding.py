"""From the model's output to answers and boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.geometry.boxes import Boxes, decode_boxes
from askscan.geometry.nms import nms_3d
from askscan.records import AnswerOutput

NUM_ANSWERS = 10
"""Answers of a prediction, best first."""
NMS_IOU = 0.25
"""Overlap above which a box of the same class is suppressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedAnswers:
    """Best answers and the referred box of q questions about each of b scenes."""

    answer: Int[Tensor, "b q r"]
    """Rows of the answer vocabulary, best first (at most NUM_ANSWERS)."""
    confidence: Float[Tensor, "b q r"]
    """Sigmoid of the answers' logits."""
    proposal: Int[Tensor, "b q"]
    """Proposal of the referred object."""
    center: Float[Tensor, "b q 3"]
    size: Float[Tensor, "b q 3"]
    object_class: Int[Tensor, "b q"]
    """Class of the asked object as the question's text token has it."""
    boxes: Boxes
    """Every proposal's box."""
    kept: Bool[Tensor, "b k"]
    """Proposals that are objects and survive suppression."""


def best_answers(logits: Float[Tensor, "*q a"]) -> tuple[Int[Tensor, "*q r"], Float[Tensor, "*q r"]]:
    """Rows of the answer vocabulary, best first (at most NUM_ANSWERS), and the sigmoid of their logits."""
    best = logits.float().topk(min(NUM_ANSWERS, logits.shape[-1]), dim=-1)
    return best.indices, best.values.sigmoid()


def referred_proposals(
    scores: Float[Tensor, "b q k"], kept: Bool[Tensor, "b k"], objectness: Float[Tensor, "b k"]
) -> Int[Tensor, "b q"]:
    """The one with the highest score among the proposals that can be referred to."""
    return scores.masked_fill(~referable(kept, objectness)[:, None], -torch.inf).argmax(-1)


def referable(kept: Bool[Tensor, "b k"], objectness: Float[Tensor, "b k"]) -> Bool[Tensor, "b k"]:
    """Proposals that the referred one is chosen from: the kept ones; where none is, the one of highest objectness."""
    likeliest = torch.arange(kept.shape[-1], device=kept.device) == objectness.argmax(-1, keepdim=True)
    return torch.where(kept.any(-1, keepdim=True), kept, likeliest)


def surviving(boxes: Boxes) -> Bool[Tensor, "b k"]:
    """Proposals that are objects and survive suppression (3D NMS, IoU 0.25, within the class)."""
    return nms_3d(
        boxes.center, boxes.size, boxes.objectness, boxes.semantic_class, boxes.is_object, iou_threshold=NMS_IOU
    )


def decode_answers(output: AnswerOutput) -> DecodedAnswers:
    """Best answers, and the referred object's box among those that survive suppression."""
    boxes = decode_boxes(output.detector)
    kept = surviving(boxes)
    proposal = referred_proposals(output.referred_scores.float(), kept, boxes.objectness)
    rows = proposal[..., None].expand(-1, -1, 3)
    answer, confidence = best_answers(output.answer_logits)
    return DecodedAnswers(
        answer=answer,
        confidence=confidence,
        proposal=proposal,
        center=boxes.center.gather(1, rows),
        size=boxes.size.gather(1, rows).clamp_min(0),
        object_class=output.object_class_logits.argmax(-1),
        boxes=boxes,
        kept=kept,
    )
