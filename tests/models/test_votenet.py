from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.models import tiny

from askscan.errors import ConfigError
from askscan.models.votenet import Detector, Voting


def test_votes_of_a_seed_are_next_to_each_other(generator: torch.Generator) -> None:
    voting = Voting(16, vote_factor=2).eval()
    xyz, features = torch.randn(2, 5, 3, generator=generator), torch.randn(2, 5, 16, generator=generator)
    votes, vote_features = voting(xyz, features)
    assert votes.shape == (2, 10, 3)
    assert torch.allclose(vote_features.norm(dim=-1), torch.ones(2, 10))
    x = features
    for layer in voting.mlp:
        x = layer(x)
    out = voting.head(x).unflatten(-1, (2, 19))  # per vote: offset, then feature residual
    assert torch.allclose(votes.unflatten(1, (5, 2)), xyz[:, :, None] + out[..., :3], atol=1e-6)
    plain = features[:, :, None] + out[..., 3:]
    plain = plain / plain.norm(dim=-1, keepdim=True)
    assert torch.allclose(vote_features.unflatten(1, (5, 2)), plain, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "field", "shape"),
    [
        ({"num_proposals": 5}, "center", (3, 5, 3)),
        ({"num_heading": 4}, "heading_scores", (3, 12, 4)),
        ({"vote_factor": 3}, "vote_xyz", (3, 96, 3)),
        ({"proposal_channels": (16, 16, 24)}, "features", (3, 12, 24)),
        ({"backbone": replace(tiny.BACKBONE, num_centers=(64, 48, 16, 8))}, "seed_xyz", (3, 48, 3)),
    ],
)
def test_options_change_what_is_built(
    generator: torch.Generator, change: dict[str, object], field: str, shape: tuple[int, ...]
) -> None:
    output = Detector(replace(tiny.DETECTOR, **change))(tiny.points(generator))  # type: ignore[arg-type]
    assert getattr(output, field).shape == shape


@pytest.mark.parametrize("change", [{"proposal_radius_m": 0.01}, {"proposal_neighbors": 1}])
def test_the_clusters_reach_counts(generator: torch.Generator, change: dict[str, object]) -> None:
    points = tiny.points(generator)
    wide = Detector(tiny.DETECTOR).eval()
    narrow = Detector(replace(tiny.DETECTOR, **change)).eval()  # type: ignore[arg-type]
    narrow.load_state_dict(wide.state_dict())
    assert not torch.allclose(wide(points).features, narrow(points).features)


def test_geometry_stays_float32_under_autocast(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    detector = Detector(tiny.DETECTOR).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = detector(points)
    full = detector(points)
    for name in ("seed_xyz", "vote_xyz", "proposal_vote_xyz", "center", "objectness", "size_residuals"):
        assert getattr(half, name).dtype == torch.float32, name
    assert torch.equal(half.seed_xyz, full.seed_xyz)
    assert torch.allclose(half.vote_xyz, full.vote_xyz, atol=0.02)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_proposals"):
        replace(tiny.DETECTOR, num_proposals=0)
    with pytest.raises(ConfigError, match="proposal_radius_m"):
        replace(tiny.DETECTOR, proposal_radius_m=0.0)
