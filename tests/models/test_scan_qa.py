from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.models import tiny
from tests.models.test_pretrainer import without_gradient

from askscan.errors import ConfigError
from askscan.losses.answering import AnswerWeights, answer_loss, text_answer_loss
from askscan.losses.detection import detection_loss
from askscan.models.fusion import FusionConfig
from askscan.models.scan_qa import QuestionOnly, ScanQA
from askscan.records import AnswerOutput, TextTokens

FIELDS = ("answer_logits", "object_class_logits", "referred_scores")


def same(a: AnswerOutput, b: AnswerOutput) -> bool:
    return all(torch.allclose(getattr(a, name), getattr(b, name), atol=1e-5) for name in FIELDS)


def test_questions_do_not_see_batch_mates_nor_each_other(generator: torch.Generator) -> None:
    model = ScanQA(tiny.SCAN_QA).eval()
    points, texts = tiny.points(generator), tiny.texts(generator)
    together = model(points, texts)
    for i in range(3):
        for j in range(2):
            one = TextTokens(features=texts.features[i : i + 1, j : j + 1], mask=texts.mask[i : i + 1, j : j + 1])
            alone = model(points[i : i + 1], one)
            for name in FIELDS:
                assert torch.allclose(getattr(together, name)[i, j], getattr(alone, name)[0, 0], atol=1e-5), name


def test_padding_counts_for_nothing(generator: torch.Generator) -> None:
    model = ScanQA(tiny.SCAN_QA).eval()
    points, texts = tiny.points(generator), tiny.texts(generator)
    noise = torch.where(texts.mask[..., None], texts.features, torch.full_like(texts.features, 7.0))
    assert same(model(points, texts), model(points, replace(texts, features=noise)))


def test_answers_follow_scene_and_question(generator: torch.Generator) -> None:
    model = ScanQA(tiny.SCAN_QA).eval()
    points, texts = tiny.points(generator), tiny.texts(generator)
    answers = model(points, texts)
    assert not same(answers, model(points.flip(0), texts))
    assert not same(answers, model(points, replace(texts, features=texts.features.flip(1))))


def test_the_loss_trains_every_parameter(generator: torch.Generator) -> None:
    scene = replace(tiny.SCENE, encoder=replace(tiny.ENCODER, positions=True))
    model = ScanQA(replace(tiny.SCAN_QA, scene=scene))
    model.scene.detector.proposal.head.bias.data[1] = 1.0  # some proposals are objects
    output = model(tiny.points(generator), tiny.texts(generator))
    boxes = tiny.boxes(generator)
    near = replace(boxes, center=output.detector.proposal_vote_xyz.detach()[:, :6], mask=torch.ones_like(boxes.mask))
    detection = detection_loss(output.detector, near, tiny.votes(generator))
    loss = AnswerWeights().total(detection, answer_loss(output, tiny.questions(generator)))
    # The last bias of a softmax over proposals moves all of them alike.
    assert without_gradient(model, loss) in ([], ["referred_head.out.bias"])


def test_the_object_mask_hides_proposals(generator: torch.Generator) -> None:
    masked = ScanQA(replace(tiny.SCAN_QA, fusion=replace(tiny.SCAN_QA.fusion, object_mask=True))).eval()
    plain = ScanQA(tiny.SCAN_QA).eval()
    plain.load_state_dict(masked.state_dict())
    points, texts = tiny.points(generator), tiny.texts(generator)
    head = "scene.detector.proposal.head.bias"
    for model in (masked, plain):
        model.state_dict()[head][0] = 100.0  # nothing is an object
    nothing = masked(points, texts)
    assert not torch.allclose(nothing.answer_logits, plain(points, texts).answer_logits, atol=1e-5)
    assert bool((nothing.referred_scores == nothing.referred_scores[..., :1]).all())
    for model in (masked, plain):
        model.state_dict()[head][0] = -100.0  # everything is
    assert same(masked(points, texts), plain(points, texts))


@pytest.mark.parametrize(
    "change",
    [{"num_answers": 9}, {"fusion": FusionConfig(num_heads=4, feedforward=32, num_layers=3)}, {"text_width": 20}],
)
def test_options_change_what_is_built(change: dict[str, object]) -> None:
    plain, other = ScanQA(tiny.SCAN_QA), ScanQA(replace(tiny.SCAN_QA, **change))  # type: ignore[arg-type]
    assert sum(p.numel() for p in plain.parameters()) < sum(p.numel() for p in other.parameters())


@pytest.mark.parametrize(
    ("field", "of"), [("text_dropout", FIELDS), ("answer_dropout", FIELDS[:1]), ("head_dropout", FIELDS[1:])]
)
def test_dropouts_are_where_they_say(generator: torch.Generator, field: str, of: tuple[str, ...]) -> None:
    still = replace(tiny.SCENE, encoder=replace(tiny.ENCODER, dropout=0.0))
    quiet = {"text_dropout": 0.0, "answer_dropout": 0.0, "head_dropout": 0.0, field: 0.5}
    fusion = replace(tiny.SCAN_QA.fusion, dropout=0.0)
    model = ScanQA(replace(tiny.SCAN_QA, scene=still, fusion=fusion, **quiet))  # type: ignore[arg-type]
    model.scene.eval()
    model.scene.detector.proposal.head.bias.data[1] = 100.0
    points, texts = tiny.points(generator), tiny.texts(generator)
    one, two = model(points, texts), model(points, texts)
    assert {name for name in FIELDS if not torch.equal(getattr(one, name), getattr(two, name))} == set(of)


def test_padded_question_slots_stay_finite(generator: torch.Generator) -> None:
    texts = tiny.texts(generator)
    texts.mask[:, 1] = False
    answers = ScanQA(tiny.SCAN_QA)(tiny.points(generator), texts)
    assert bool(answers.answer_logits.isfinite().all())
    assert bool(QuestionOnly(tiny.SCAN_QA)(texts).answer_logits.isfinite().all())


def test_question_only_trains_every_parameter(generator: torch.Generator) -> None:
    model = QuestionOnly(tiny.SCAN_QA)
    terms = text_answer_loss(model(tiny.texts(generator)), tiny.questions(generator))
    assert without_gradient(model, AnswerWeights().total(None, terms)) == []
    names = set(ScanQA(tiny.SCAN_QA).state_dict())
    assert set(model.state_dict()) < names


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigError):
        replace(tiny.SCAN_QA, num_answers=0)
    with pytest.raises(ConfigError, match="fusion heads"):
        replace(tiny.SCAN_QA, fusion=FusionConfig(num_heads=5))
