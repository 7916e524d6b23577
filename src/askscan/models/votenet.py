"""The VoteNet detector (Qi et al., ICCV 2019): seeds vote for object centres, votes are grouped into proposals."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.models.pointnet2 import Backbone, BackboneConfig, BackboneIndices, SetAbstraction, mlp, take
from askscan.ops import ball_query, farthest_points
from askscan.records import DetectorOutput
from askscan.shapes import NUM_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """The detector; the defaults are the published one."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """The point encoder."""
    vote_factor: int = 1
    """Votes per seed."""
    num_proposals: int = 256
    """Clusters of votes, each one proposed box."""
    proposal_radius_m: float = 0.3
    """Radius of a cluster."""
    proposal_neighbors: int = 16
    """Votes taken from each cluster."""
    proposal_channels: tuple[int, int, int] = (128, 128, 128)
    """Widths of the clusters' shared MLP; the last is the width of proposal features."""
    num_heading: int = 1
    """Heading classes; 1: boxes are axis aligned."""

    def __post_init__(self) -> None:
        if min(self.vote_factor, self.num_proposals, self.proposal_neighbors, self.num_heading) < 1:
            raise ConfigError("vote_factor, num_proposals, proposal_neighbors and num_heading must be at least 1")
        if self.proposal_radius_m <= 0:
            raise ConfigError(f"proposal_radius_m must be positive, got {self.proposal_radius_m}")


def exact(module: nn.Linear, x: Tensor, rows: slice = slice(None)) -> Tensor:
    """`module` (or these rows of its output) in float32, also under autocast: for positions and logits."""
    with torch.autocast(x.device.type, enabled=False):
        bias = None if module.bias is None else module.bias[rows]
        return F.linear(x.float(), module.weight[rows], bias)


class Voting(nn.Module):
    """Every seed votes for the centre of the object it lies on."""

    def __init__(self, channels: int, *, vote_factor: int) -> None:
        super().__init__()
        self.vote_factor = vote_factor
        self.mlp = mlp([channels] * 3, bias=True)
        self.head = nn.Linear(channels, (3 + channels) * vote_factor)

    def forward(
        self, xyz: Float[Tensor, "b s 3"], features: Float[Tensor, "b s d"]
    ) -> tuple[Float[Tensor, "b votes 3"], Float[Tensor, "b votes d"]]:
        """Positions and unit-length features of the votes; those of one seed are next to each other."""
        x = features
        for layer in self.mlp:
            x = layer(x)
        step = 3 + features.shape[-1]
        votes, residuals = [], []
        for start in range(0, step * self.vote_factor, step):
            votes.append(xyz + exact(self.head, x, slice(start, start + 3)))
            rows = slice(start + 3, start + step)
            residuals.append(features + F.linear(x, self.head.weight[rows], self.head.bias[rows]))
        vote_features = torch.stack(residuals, 2).flatten(1, 2).float()
        return torch.stack(votes, 2).flatten(1, 2), vote_features / vote_features.norm(dim=-1, keepdim=True)


class Proposal(nn.Module):
    """Groups votes into clusters and predicts a box for each."""

    def __init__(self, in_channels: int, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.proposal_channels[-1]
        self.aggregation = SetAbstraction(in_channels, config.proposal_channels, radius_m=config.proposal_radius_m)
        self.mlp = mlp([width] * 3, bias=True)
        self.head = nn.Linear(width, sum(self._splits))

    @property
    def _splits(self) -> tuple[int, ...]:
        heading = self.config.num_heading
        return 2, 3, heading, heading, NUM_CLASSES, 3 * NUM_CLASSES, NUM_CLASSES

    def forward(
        self, vote_xyz: Float[Tensor, "b votes 3"], vote_features: Float[Tensor, "b votes d"]
    ) -> tuple[Float[Tensor, "b k 3"], Float[Tensor, "b k c"], tuple[Tensor, ...]]:
        """Position of each cluster's centre vote, proposal features, and the parts of the head's output.

        The parts: objectness 2, centre offset 3, heading class h, heading residual h, size class 18, size residual 54
        (class-major, xyz fastest), semantic class 18.
        """
        config = self.config
        with torch.no_grad():
            index = farthest_points(vote_xyz, config.num_proposals)
        chosen = take(vote_xyz, index)
        with torch.no_grad():
            near = ball_query(chosen, vote_xyz, config.proposal_radius_m, config.proposal_neighbors)
        features = self.aggregation(vote_xyz, chosen, near, vote_features)
        x = features
        for layer in self.mlp:
            x = layer(x)
        return chosen, features, exact(self.head, x).split(self._splits, dim=-1)


class Detector(nn.Module):
    """Points to proposals."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.fp_channels[-1][-1]
        self.backbone = Backbone(config.backbone)
        self.voting = Voting(width, vote_factor=config.vote_factor)
        self.proposal = Proposal(width, config)

    def forward(self, points: Float[Tensor, "b n c"], indices: BackboneIndices | None = None) -> DetectorOutput:
        """Detection of a batch of scenes; `indices`: `backbone.indices(xyz)` where computed ahead."""
        seed_index, seed_xyz, features = self.backbone(points, indices)
        vote_xyz, vote_features = self.voting(seed_xyz, features)
        proposal_vote_xyz, proposal_features, parts = self.proposal(vote_xyz, vote_features)
        objectness, offset, heading, heading_residual, size, size_residual, semantic = parts
        return DetectorOutput(
            seed_index=seed_index,
            seed_xyz=seed_xyz,
            vote_xyz=vote_xyz,
            proposal_vote_xyz=proposal_vote_xyz,
            features=proposal_features,
            objectness=objectness,
            center=proposal_vote_xyz + offset,
            heading_scores=heading,
            heading_residuals=heading_residual,
            size_scores=size,
            size_residuals=size_residual.unflatten(-1, (NUM_CLASSES, 3)),
            semantic_scores=semantic,
        )
