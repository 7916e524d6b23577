"""VoteNet's losses (Qi et al., ICCV 2019, section 4 and appendix A.1) for padded ground truth.

Every mean is over the whole batch, on all processes; padded object slots take part in nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.geometry.boxes import mean_sizes
from askscan.losses.reduce import masked, ratios
from askscan.records import BoxTargets, DetectorOutput, VoteTargets

NEAR_M = 0.3
"""A proposal whose vote is nearer than this to an object's centre is positive."""
FAR_M = 0.6
"""A proposal farther than this from every object is negative; between, it is ignored."""
NEGATIVE_WEIGHT, POSITIVE_WEIGHT = 0.2, 0.8
FAR_AWAY = 1e6
"""Squared distance of padded slots: farther than any real object, finite so that masked terms stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionWeights:
    """Weights of the detection terms; the defaults are the published ones."""

    vote: float = 1.0
    """Votes."""
    objectness: float = 0.5
    """Object or not."""
    box: float = 1.0
    """Centre + 0.1 heading class + heading residual + 0.1 size class + size residual."""
    semantic: float = 0.1
    """Semantic class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTerms:
    """Named terms, unweighted."""

    vote: Float[Tensor, ""]
    objectness: Float[Tensor, ""]
    center: Float[Tensor, ""]
    heading_class: Float[Tensor, ""]
    heading_residual: Float[Tensor, ""]
    size_class: Float[Tensor, ""]
    size_residual: Float[Tensor, ""]
    semantic: Float[Tensor, ""]

    @property
    def box(self) -> Float[Tensor, ""]:
        """The box loss; class terms count a tenth, as in VoteNet."""
        classes = self.heading_class + self.size_class
        return self.center + 0.1 * classes + self.heading_residual + self.size_residual

    def total(self, weights: DetectionWeights) -> Float[Tensor, ""]:
        """Weighted sum."""
        return (
            weights.vote * self.vote
            + weights.objectness * self.objectness
            + weights.box * self.box
            + weights.semantic * self.semantic
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which proposals have to find which object."""

    object_index: Int[Tensor, "b k"]
    """Object nearest the proposal's vote; means nothing in scenes without objects."""
    positive: Bool[Tensor, "b k"]
    negative: Bool[Tensor, "b k"]


def squared_distances(
    points: Float[Tensor, "b k 3"], centers: Float[Tensor, "b o 3"], mask: Bool[Tensor, "b o"]
) -> Float[Tensor, "b k o"]:
    """From every point to every object's centre; padded slots are far away."""
    distances = (points[:, :, None] - centers[:, None]).square().sum(-1)
    return distances.masked_fill(~mask[:, None], FAR_AWAY)


def assign(proposal_vote_xyz: Float[Tensor, "b k 3"], boxes: BoxTargets) -> Assignment:
    """Positive, negative and ignored proposals by the distance of their votes to the nearest object."""
    nearest, index = squared_distances(proposal_vote_xyz, boxes.center, boxes.mask).min(-1)
    distance = (nearest + 1e-6).sqrt()
    return Assignment(object_index=index, positive=distance < NEAR_M, negative=distance > FAR_M)


def vote_loss(output: DetectorOutput, votes: VoteTargets) -> tuple[Tensor, Tensor]:
    """(total, count) of the L1 distance from votes to targets, over seeds on objects; a seed's best vote counts."""
    offset = votes.offset.gather(1, output.seed_index[..., None].expand(-1, -1, 3))
    mask = votes.mask.gather(1, output.seed_index)
    target = output.seed_xyz + offset
    cast_votes = output.vote_xyz.unflatten(1, (target.shape[1], -1))
    return masked((cast_votes - target[:, :, None]).abs().sum(-1).amin(-1), mask)


def _cross_entropy(logits: Float[Tensor, "b k c"], target: Int[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    return F.cross_entropy(logits.float().flatten(0, 1), target.flatten(), reduction="none").view(target.shape)


def detection_loss(output: DetectorOutput, boxes: BoxTargets, votes: VoteTargets) -> DetectionTerms:
    """Losses of votes, objectness, boxes and classes. Heading targets are 0: ScanNet's boxes are axis aligned."""
    found = assign(output.proposal_vote_xyz.detach(), boxes)
    positive, zero = found.positive, torch.zeros_like(found.object_index)

    label_weight = POSITIVE_WEIGHT * positive + NEGATIVE_WEIGHT * ~positive
    objectness = label_weight * _cross_entropy(output.objectness, positive.long())

    distances = squared_distances(output.center, boxes.center, boxes.mask)
    label = boxes.semantic_class.gather(1, found.object_index)
    size = boxes.size.gather(1, found.object_index[..., None].expand(-1, -1, 3))
    mean = mean_sizes(size.device)[label]
    residual = output.size_residuals.gather(2, label[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]
    size_residual = F.huber_loss(residual, (size - mean) / mean, reduction="none").mean(-1)
    heading_residual = output.heading_residuals[..., 0]

    terms = ratios(
        vote_loss(output, votes),
        masked(objectness, positive | found.negative),
        masked(distances.amin(2), positive),
        masked(distances.amin(1), boxes.mask),
        masked(_cross_entropy(output.heading_scores, zero), positive),
        masked(F.huber_loss(heading_residual, torch.zeros_like(heading_residual), reduction="none"), positive),
        masked(_cross_entropy(output.size_scores, label), positive),
        masked(size_residual, positive),
        masked(_cross_entropy(output.semantic_scores, label), positive),
    )
    return DetectionTerms(
        vote=terms[0],
        objectness=terms[1],
        center=terms[2] + terms[3],
        heading_class=terms[4],
        heading_residual=terms[5],
        size_class=terms[6],
        size_residual=terms[7],
        semantic=terms[8],
    )
