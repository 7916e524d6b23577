from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.models import tiny

from askscan.geometry.boxes import decode_boxes
from askscan.geometry.iou import box_iou
from askscan.losses.answering import AnswerTerms, AnswerWeights, answer_loss, referred_labels, text_answer_loss
from askscan.models.scan_qa import ScanQA
from askscan.records import AnswerOutput, TextAnswerOutput


@pytest.fixture
def output(generator: torch.Generator) -> AnswerOutput:
    with torch.no_grad():
        return ScanQA(tiny.SCAN_QA)(tiny.points(generator), tiny.texts(generator))


def test_terms_match_loops(generator: torch.Generator, output: AnswerOutput) -> None:
    targets = tiny.questions(generator)
    targets = replace(targets, mask=torch.tensor([[True, True], [True, False], [True, True]]))
    boxes = decode_boxes(output.detector)
    answer, label, referred = [], [], []
    for i, j in ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1)):
        p = output.answer_logits[i, j].double().sigmoid()
        t = targets.answers[i, j].double()
        answer.append(float(-(t * p.log() + (1 - t) * (1 - p).log()).sum()))
        label.append(float(F.cross_entropy(output.object_class_logits[i, j], targets.object_class[i, j])))
        target = (targets.referred_center[i, j], targets.referred_size[i, j])
        overlaps = [float(box_iou(c, s, *target)) for c, s in zip(boxes.center[i], boxes.size[i], strict=True)]
        assert max(overlaps) > 0
        share = output.referred_scores[i, j].double().softmax(-1)[overlaps.index(max(overlaps))]
        referred.append(-math.log(float(share) + 1e-8))
    terms = answer_loss(output, targets)
    assert float(terms.answer) == pytest.approx(sum(answer) / 5, rel=1e-5)
    assert float(terms.object_class) == pytest.approx(sum(label) / 5, rel=1e-5)
    assert float(terms.referred) == pytest.approx(sum(referred) / 5, rel=1e-5)


def test_a_target_that_no_proposal_meets_has_no_term(generator: torch.Generator, output: AnswerOutput) -> None:
    targets = tiny.questions(generator)
    far = replace(targets, referred_center=targets.referred_center + 1000)
    assert not bool(referred_labels(output, far)[1].any())
    assert float(answer_loss(output, far).referred) == 0.0
    only_one = torch.tensor([[True, False], [False, False], [False, False]])
    some = replace(far, referred_center=torch.where(only_one[..., None], targets.referred_center, far.referred_center))
    alone = replace(targets, referred_mask=only_one)
    assert float(answer_loss(output, some).referred) == float(answer_loss(output, alone).referred) > 0


def test_padded_slots_take_part_in_nothing(generator: torch.Generator, output: AnswerOutput) -> None:
    targets = tiny.questions(generator)
    mask = torch.tensor([[True, False]]).expand(3, 2)
    other = replace(
        targets, mask=mask, answers=targets.answers * mask[..., None], object_class=targets.object_class * mask
    )
    cut = {name: getattr(output, name)[:, :1] for name in ("answer_logits", "object_class_logits", "referred_scores")}
    small = replace(
        targets,
        **{name: getattr(targets, name)[:, :1] for name in targets.__dataclass_fields__},  # type: ignore[arg-type]
    )
    expected = answer_loss(replace(output, **cut), small)
    for found in (answer_loss(output, other), answer_loss(output, replace(targets, mask=mask))):
        for name in ("referred", "object_class", "answer"):
            assert float(getattr(found, name)) == pytest.approx(float(getattr(expected, name)), rel=1e-5), name


def test_the_baseline_has_the_same_text_terms(generator: torch.Generator, output: AnswerOutput) -> None:
    targets = tiny.questions(generator)
    text = TextAnswerOutput(answer_logits=output.answer_logits, object_class_logits=output.object_class_logits)
    ours, whole = text_answer_loss(text, targets), answer_loss(output, targets)
    assert torch.equal(ours.answer, whole.answer) and torch.equal(ours.object_class, whole.object_class)
    assert float(ours.referred) == 0.0


@pytest.mark.parametrize("name", ["referred", "object_class", "answer"])
def test_each_weight_scales_its_term(name: str) -> None:
    terms = AnswerTerms(referred=torch.tensor(2.0), object_class=torch.tensor(3.0), answer=torch.tensor(5.0))
    none = AnswerWeights(referred=0.0, object_class=0.0, answer=0.0, scale=1.0)
    assert float(replace(none, **{name: 0.5}).total(None, terms)) == 0.5 * float(getattr(terms, name))
    assert float(AnswerWeights().total(None, terms)) == pytest.approx(10.0)
