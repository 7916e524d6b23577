"""Models and losses equal the published modules' on fixed weights and inputs; the figures are in the data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.stand_ins import published_tensors
from torch import Tensor

from askscan.geometry.boxes import box_corners, decode_boxes, mean_sizes
from askscan.losses.alignment import PretrainWeights, cosine_alignment
from askscan.losses.answering import AnswerWeights, answer_loss, referred_labels
from askscan.losses.detection import assign, detection_loss
from askscan.models.pointnet2 import Backbone, BackboneConfig, BackboneIndices
from askscan.models.pretrainer import Pretrainer, PretrainerConfig
from askscan.models.scan_qa import ScanQA, ScanQAConfig
from askscan.models.weights import Foreign, load_into
from askscan.ops import ball_query
from askscan.records import AnswerOutput, BoxTargets, PretrainOutput, QuestionTargets, TextTokens, VoteTargets

TOLERANCE = 1e-4
"""Relative to the largest value of each tensor."""

Figures = dict[str, Tensor]


def close(ours: Tensor, theirs: Tensor) -> bool:
    return float((ours - theirs).abs().max()) <= TOLERANCE * float(theirs.abs().max().clamp_min(1e-3))


@pytest.fixture(scope="module")
def figures(real_data: Path) -> Figures:
    with np.load(real_data / "parity" / "parity_open.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


@pytest.fixture(scope="module")
def boxes(figures: Figures) -> BoxTargets:
    label = figures["label/sem_cls_label"]
    return BoxTargets(
        center=figures["label/center_label"],
        size=mean_sizes(torch.device("cpu"))[label] + figures["label/size_residual_label"],
        semantic_class=label,
        mask=figures["label/box_label_mask"] > 0,
    )


@pytest.fixture(scope="module")
def votes(figures: Figures) -> VoteTargets:
    return VoteTargets(offset=figures["label/vote_label"][..., :3], mask=figures["label/vote_label_mask"] > 0)


@pytest.fixture(scope="module")
def indices(figures: Figures) -> BackboneIndices:
    return Backbone(BackboneConfig()).indices(figures["points"])


@pytest.fixture(scope="module")
def pretrainer() -> Pretrainer:
    model = Pretrainer(PretrainerConfig()).eval()
    load_into(model, Foreign(path=Path("published"), kind="3dvqa-pretrain", tensors=published_tensors("pretrain")))
    return model


@pytest.fixture(scope="module")
def pretrained(figures: Figures, pretrainer: Pretrainer, indices: BackboneIndices) -> PretrainOutput:
    with torch.no_grad():
        return pretrainer(figures["points"], indices)


@pytest.fixture(scope="module")
def answered(figures: Figures, indices: BackboneIndices) -> AnswerOutput:
    model = ScanQA(ScanQAConfig(num_answers=50)).eval()
    load_into(model, Foreign(path=Path("published"), kind="3dvqa-qa", tensors=published_tensors("qa")))
    texts = TextTokens(features=figures["tokens"][:, None], mask=~figures["token_mask"][:, None])
    with torch.no_grad():
        return model(figures["points"], texts, indices)


@pytest.fixture(scope="module")
def questions(figures: Figures) -> QuestionTargets:
    size = mean_sizes(torch.device("cpu"))[figures["label/ref_size_class_label"]]
    return QuestionTargets(
        answers=figures["label/answer_cat_scores"][:, None],
        object_class=figures["label/object_cat"][:, None],
        referred_center=figures["label/ref_center_label"][:, None],
        referred_size=(size + figures["label/ref_size_residual_label"])[:, None],
        referred_mask=torch.ones(2, 1, dtype=torch.bool),
        mask=torch.ones(2, 1, dtype=torch.bool),
    )


def test_first_balls(figures: Figures) -> None:
    points = figures["points"]
    centers = points.gather(1, figures["pre/sa1_inds"].long()[:, ::8, None].expand(-1, -1, 3))
    assert torch.equal(ball_query(centers, points, 0.2, 64), figures["ops/ball_sa1"].long())


def test_detector(figures: Figures, pretrained: PretrainOutput) -> None:
    found = pretrained.detector
    assert torch.equal(found.seed_index, figures["pre/sa1_inds"].long()[:, :1024])
    for name, ours in (
        ("vote_xyz", found.vote_xyz),
        ("aggregated_vote_xyz", found.proposal_vote_xyz),
        ("aggregated_vote_features", found.features),
        ("objectness_scores", found.objectness),
        ("center", found.center),
        ("heading_scores", found.heading_scores),
        ("size_scores", found.size_scores),
        ("size_residuals", found.size_residuals * mean_sizes(torch.device("cpu"))),
        ("sem_cls_scores", found.semantic_scores),
    ):
        assert close(ours, figures[f"pre/{name}"]), name


def test_features_of_seeds_and_votes(figures: Figures, pretrainer: Pretrainer, indices: BackboneIndices) -> None:
    detector = pretrainer.scene.detector
    with torch.no_grad():
        _, xyz, features = detector.backbone(figures["points"], indices)
        _, vote_features = detector.voting(xyz, features)
    assert close(features[:, ::8].mT, figures["pre/fp2_features"])
    assert close(vote_features[:, ::8].mT, figures["pre/vote_features"])


def test_boxes(figures: Figures, pretrained: PretrainOutput) -> None:
    decoded = decode_boxes(pretrained.detector)
    assert close(box_corners(decoded.center, decoded.size), figures["pre/bbox_corner"])


def test_scene_embedding(figures: Figures, pretrained: PretrainOutput) -> None:
    assert close(pretrained.scene_embedding, figures["pre/scene_rep"])


def test_pretraining_losses(
    figures: Figures, pretrained: PretrainOutput, boxes: BoxTargets, votes: VoteTargets
) -> None:
    terms = detection_loss(pretrained.detector, boxes, votes)
    one = torch.ones(2, 1, dtype=torch.bool)
    aligned = cosine_alignment(
        pretrained.scene_embedding, figures["text"][:, None], one, figures["image"][:, None], one
    )
    weights = PretrainWeights()
    for name, ours in (
        ("vote_loss", terms.vote),
        ("objectness_loss", terms.objectness),
        ("center_loss", terms.center),
        ("heading_cls_loss", terms.heading_class),
        ("heading_reg_loss", terms.heading_residual),
        ("size_cls_loss", terms.size_class),
        ("size_reg_loss", terms.size_residual),
        ("sem_cls_loss", terms.semantic),
        ("box_loss", terms.box),
        ("clip_loss", aligned.total(weights.alignment)),
        ("loss", weights.total(terms, aligned)),
    ):
        assert float(ours) == pytest.approx(float(figures[f"pre/{name}"]), rel=TOLERANCE), name


def test_assignment(figures: Figures, pretrained: PretrainOutput, boxes: BoxTargets) -> None:
    found = assign(pretrained.detector.proposal_vote_xyz, boxes)
    assert torch.equal(found.positive, figures["pre/objectness_label"] > 0)
    # Where a proposal is not positive, the published code may assign a padded slot.
    assert torch.equal(found.object_index[found.positive], figures["pre/object_assignment"][found.positive])


def test_answers(figures: Figures, answered: AnswerOutput) -> None:
    assert close(answered.answer_logits[:, 0], figures["qa/answer_scores"])
    assert close(answered.object_class_logits[:, 0], figures["qa/lang_scores"])
    assert close(answered.referred_scores[:, 0], figures["qa/cluster_ref"])


def test_answering_losses(
    figures: Figures, answered: AnswerOutput, boxes: BoxTargets, votes: VoteTargets, questions: QuestionTargets
) -> None:
    label, known = referred_labels(answered, questions)
    assert bool(known.all())
    assert torch.equal(label[:, 0], figures["qa/cluster_labels"].argmax(-1))
    detection = detection_loss(answered.detector, boxes, votes)
    terms = answer_loss(answered, questions)
    for name, ours in (
        ("vote_loss", detection.vote),
        ("objectness_loss", detection.objectness),
        ("box_loss", detection.box),
        ("sem_cls_loss", detection.semantic),
        ("ref_loss", terms.referred),
        ("lang_loss", terms.object_class),
        ("answer_loss", terms.answer),
        ("loss", AnswerWeights().total(detection, terms)),
    ):
        assert float(ours) == pytest.approx(float(figures[f"qa/{name}"]), rel=TOLERANCE), name
