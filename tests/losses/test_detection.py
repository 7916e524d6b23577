from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from tests.models import tiny
from torch import Tensor

from askscan.losses.detection import DetectionTerms, DetectionWeights, assign, detection_loss
from askscan.models.votenet import Detector
from askscan.records import BoxTargets, DetectorOutput, VoteTargets
from askscan.shapes import MEAN_SIZES


def mean(values: list[Tensor], count: int | None = None) -> float:
    return float(sum(values, torch.zeros(()))) / ((len(values) if count is None else count) + 1e-6)


def slow(output: DetectorOutput, boxes: BoxTargets, votes: VoteTargets) -> dict[str, float]:
    """The losses as loops over scenes, proposals and objects."""
    vote, objectness, to_object, to_proposal, heading, size_class, size, semantic = ([] for _ in range(8))
    num_known = 0
    for i in range(len(output.center)):
        real = [o for o in range(boxes.mask.shape[1]) if boxes.mask[i, o]]
        for s, point in enumerate(output.seed_index[i].tolist()):
            if votes.mask[i, point]:
                target = output.seed_xyz[i, s] + votes.offset[i, point]
                num_votes = output.vote_xyz.shape[1] // output.seed_xyz.shape[1]
                own = output.vote_xyz[i, s * num_votes : (s + 1) * num_votes]
                vote.append(min((v - target).abs().sum() for v in own))
        for k in range(output.center.shape[1]):
            apart = [(output.proposal_vote_xyz[i, k] - boxes.center[i, o]).square().sum() for o in real]
            nearest = min(apart, default=torch.tensor(1e6))
            distance = (nearest + 1e-6).sqrt()
            logits = output.objectness[i, k]
            if distance > 0.6:
                objectness.append(0.2 * F.cross_entropy(logits, torch.tensor(0)))
            if distance >= 0.3:
                num_known += int(distance > 0.6)
                continue
            num_known += 1
            objectness.append(0.8 * F.cross_entropy(logits, torch.tensor(1)))
            o = real[[float(d) for d in apart].index(float(nearest))]
            c = int(boxes.semantic_class[i, o])
            to_object.append(min((output.center[i, k] - boxes.center[i, p]).square().sum() for p in real))
            heading.append(F.huber_loss(output.heading_residuals[i, k, 0], torch.tensor(0.0)))
            size_class.append(F.cross_entropy(output.size_scores[i, k], torch.tensor(c)))
            standard = torch.tensor(MEAN_SIZES[c])
            size.append(F.huber_loss(output.size_residuals[i, k, c], (boxes.size[i, o] - standard) / standard))
            semantic.append(F.cross_entropy(output.semantic_scores[i, k], torch.tensor(c)))
        for o in real:
            to_proposal.append(min((center - boxes.center[i, o]).square().sum() for center in output.center[i]))
    return {
        "vote": mean(vote),
        "objectness": mean(objectness, num_known),
        "center": mean(to_object) + mean(to_proposal),
        "heading_class": 0.0,
        "heading_residual": mean(heading),
        "size_class": mean(size_class),
        "size_residual": mean(size),
        "semantic": mean(semantic),
    }


@pytest.fixture
def output(generator: torch.Generator) -> DetectorOutput:
    with torch.no_grad():
        return Detector(replace(tiny.DETECTOR, vote_factor=2))(tiny.points(generator))


@pytest.fixture
def boxes(generator: torch.Generator, output: DetectorOutput) -> BoxTargets:
    """Objects at set distances from votes: positive, negative and ignored proposals all occur."""
    targets = tiny.boxes(generator)
    away = torch.nn.functional.normalize(torch.randn(3, 6, 3, generator=generator), dim=-1)
    shift = away * torch.tensor([0.1, 0.45, 0.2, 0.5, 0.25, 0.9])[:, None]
    return replace(targets, center=(output.proposal_vote_xyz[:, :6] + shift) * targets.mask[..., None])


def test_terms_match_loops(generator: torch.Generator, output: DetectorOutput, boxes: BoxTargets) -> None:
    votes = tiny.votes(generator)
    found = assign(output.proposal_vote_xyz, boxes)
    ignored = ~found.positive & ~found.negative
    assert bool(found.positive.any()) and bool(found.negative.any()) and bool(ignored.any())
    terms = detection_loss(output, boxes, votes)
    for name, expected in slow(output, boxes, votes).items():
        assert float(getattr(terms, name)) == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_padded_slots_take_part_in_nothing(
    generator: torch.Generator, output: DetectorOutput, boxes: BoxTargets
) -> None:
    # A scene around the origin, where padded slots sit.
    moved = replace(output, proposal_vote_xyz=0.01 * output.proposal_vote_xyz, center=0.01 * output.center)
    votes = tiny.votes(generator)
    fewer = replace(boxes, mask=boxes.mask & (torch.arange(6) < 3))
    padding = ~fewer.mask[..., None]
    elsewhere = replace(
        fewer,
        center=fewer.center.masked_fill(padding, 0.0),
        size=fewer.size.masked_fill(padding, 9.0),
        semantic_class=fewer.semantic_class.masked_fill(padding[..., 0], 17),
    )
    cut = BoxTargets(
        center=fewer.center[:, :3],
        size=fewer.size[:, :3],
        semantic_class=fewer.semantic_class[:, :3],
        mask=fewer.mask[:, :3],
    )
    one, two, three = (detection_loss(moved, targets, votes) for targets in (fewer, elsewhere, cut))
    for field in fields(DetectionTerms):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name)), field.name
        assert torch.allclose(getattr(one, field.name), getattr(three, field.name), rtol=1e-6), field.name


def test_a_scene_without_objects_is_all_negative(generator: torch.Generator, output: DetectorOutput) -> None:
    boxes = tiny.boxes(generator)
    nothing = replace(boxes, mask=torch.zeros_like(boxes.mask))
    votes = tiny.votes(generator)
    terms = detection_loss(output, nothing, replace(votes, mask=torch.zeros_like(votes.mask)))
    assert bool(assign(output.proposal_vote_xyz, nothing).negative.all())
    assert float(terms.objectness) > 0
    for name in ("vote", "center", "box", "semantic"):
        assert float(getattr(terms, name)) == 0.0, name


def test_the_mean_is_over_the_batch_not_of_scene_means(
    generator: torch.Generator, output: DetectorOutput, boxes: BoxTargets
) -> None:
    votes = tiny.votes(generator)
    votes.mask[0, : tiny.NUM_POINTS - 20] = False  # scenes with unlike counts
    expected = slow(output, boxes, votes)["vote"]
    assert float(detection_loss(output, boxes, votes).vote) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["vote", "objectness", "box", "semantic"])
def test_each_weight_scales_its_term(
    generator: torch.Generator, output: DetectorOutput, boxes: BoxTargets, name: str
) -> None:
    terms = detection_loss(output, boxes, tiny.votes(generator))
    none = DetectionWeights(vote=0.0, objectness=0.0, box=0.0, semantic=0.0)
    assert float(terms.total(replace(none, **{name: 3.0}))) == pytest.approx(3 * float(getattr(terms, name)))
