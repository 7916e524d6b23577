"""Losses of question answering (ScanQA, Azuma et al., CVPR 2022): answer, object class, referred object."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.geometry.boxes import decode_boxes
from askscan.geometry.iou import pairwise_iou
from askscan.losses.detection import DetectionTerms, DetectionWeights
from askscan.losses.reduce import masked, ratios
from askscan.records import AnswerOutput, QuestionTargets, TextAnswerOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTerms:
    """Named terms, unweighted."""

    referred: Float[Tensor, ""]
    object_class: Float[Tensor, ""]
    answer: Float[Tensor, ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerWeights:
    """Weights of the question-answering loss; the defaults are the published ones."""

    detection: DetectionWeights = field(default_factory=DetectionWeights)
    """Detection terms."""
    referred: float = 0.1
    """Referred object."""
    object_class: float = 0.1
    """Class of the asked object."""
    answer: float = 0.1
    """Answer."""
    scale: float = 10.0
    """Factor of the sum."""

    def total(self, detection: DetectionTerms | None, terms: AnswerTerms) -> Float[Tensor, ""]:
        """The loss that training descends; without detection for the question-only baseline."""
        total = self.referred * terms.referred + self.object_class * terms.object_class + self.answer * terms.answer
        return self.scale * (total if detection is None else detection.total(self.detection) + total)


def referred_labels(output: AnswerOutput, targets: QuestionTargets) -> tuple[Int[Tensor, "b q"], Bool[Tensor, "b q"]]:
    """The proposal whose box overlaps the target box most, and whether any does."""
    boxes = decode_boxes(output.detector)
    overlap = pairwise_iou(
        targets.referred_center.float(), targets.referred_size.float(), boxes.center.detach(), boxes.size.detach()
    )
    best, label = overlap.max(-1)
    return label, (best > 0) & targets.referred_mask & targets.mask


def _text_terms(
    answer_logits: Float[Tensor, "b q a"], class_logits: Float[Tensor, "b q c"], targets: QuestionTargets
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(total, count) of the object-class and of the answer loss."""
    answer = F.binary_cross_entropy_with_logits(answer_logits.float(), targets.answers, reduction="none").sum(-1)
    object_class = F.cross_entropy(class_logits.float().flatten(0, 1), targets.object_class.flatten(), reduction="none")
    return masked(object_class.view(targets.mask.shape), targets.mask), masked(answer, targets.mask)


def answer_loss(output: AnswerOutput, targets: QuestionTargets) -> AnswerTerms:
    """Losses of the answers; a question whose target box no proposal overlaps has no referred-object term."""
    label, known = referred_labels(output, targets)
    probability = output.referred_scores.float().softmax(-1).gather(-1, label[..., None])[..., 0]
    referred = -(probability + 1e-8).log()
    object_class, answer = _text_terms(output.answer_logits, output.object_class_logits, targets)
    terms = ratios(masked(referred, known), object_class, answer)
    return AnswerTerms(referred=terms[0], object_class=terms[1], answer=terms[2])


def text_answer_loss(output: TextAnswerOutput, targets: QuestionTargets) -> AnswerTerms:
    """The same for the question-only baseline, which points at nothing."""
    object_class, answer = ratios(*_text_terms(output.answer_logits, output.object_class_logits, targets))
    return AnswerTerms(referred=torch.zeros_like(answer), object_class=object_class, answer=answer)
