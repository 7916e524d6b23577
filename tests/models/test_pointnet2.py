from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.models import tiny

from askscan.errors import ConfigError
from askscan.models.pointnet2 import Backbone, BackboneConfig, SetAbstraction
from askscan.ops import ball_query, farthest_points


def test_deeper_centres_are_prefixes(generator: torch.Generator) -> None:
    xyz = tiny.points(generator)
    indices = Backbone(tiny.BACKBONE).indices(xyz)
    first = xyz.gather(1, indices.centers[..., None].expand(-1, -1, 3))
    sampled_again = farthest_points(first, tiny.BACKBONE.num_centers[1])
    assert torch.equal(sampled_again, torch.arange(tiny.BACKBONE.num_centers[1]).expand(3, -1))


def test_indices_ahead_give_the_same(generator: torch.Generator) -> None:
    points = tiny.points(generator, num_extra=3)
    backbone = Backbone(replace(tiny.BACKBONE, color=True)).eval()
    ahead = backbone.indices(points[..., :3].contiguous())
    for ours, theirs in zip(backbone(points, ahead), backbone(points), strict=True):
        assert torch.equal(ours, theirs)


def test_seeds_are_input_points(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    index, xyz, features = Backbone(tiny.BACKBONE)(points)
    assert torch.equal(points.gather(1, index[..., None].expand(-1, -1, 3)), xyz)
    assert features.shape == (3, 32, 16)


def test_set_abstraction_matches_a_loop(generator: torch.Generator) -> None:
    xyz, features = tiny.points(generator, num_scenes=1), torch.randn(1, tiny.NUM_POINTS, 2, generator=generator)
    layer = SetAbstraction(2, (4, 5, 6), radius_m=0.7).eval()
    for block in layer.mlp:
        block.norm.running_mean.normal_(generator=generator)
        block.norm.running_var.uniform_(0.5, 2, generator=generator)
    centers = xyz[:, :3].contiguous()
    index = ball_query(centers, xyz, 0.7, 5)
    out = layer(xyz, centers, index, features)
    for j in range(3):
        rows = [torch.cat([(xyz[0, i] - centers[0, j]) / 0.7, features[0, i]]) for i in index[0, j].tolist()]
        x = torch.stack(rows)
        for block in layer.mlp:
            norm = block.norm
            x = (x @ block.linear.weight.T - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
            x = (x * norm.weight + norm.bias).clamp_min(0)
        assert torch.allclose(out[0, j], x.amax(0), atol=1e-5)


def test_moved_scenes_give_the_same_features(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    backbone = Backbone(tiny.BACKBONE).eval()
    moved = backbone(points + torch.tensor([2.0, -3.0, 1.0]))
    assert torch.allclose(moved[2], backbone(points)[2], atol=1e-3)


def test_channels_of_the_inputs() -> None:
    assert BackboneConfig().in_channels == 0
    assert BackboneConfig(color=True).in_channels == 3
    assert BackboneConfig(color=True, normals=True, height=True).in_channels == 7


@pytest.mark.parametrize(
    "change",
    [
        {"num_centers": (64, 128, 32, 16)},
        {"num_centers": (64, 32, 16, 2)},
        {"radius_m": (0.2, 0.4, 0.0, 1.2)},
        {"num_neighbors": (0, 8, 8, 8)},
        {"fp_channels": ((16, 16),)},
    ],
)
def test_impossible_options_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(tiny.BACKBONE, **change)  # type: ignore[arg-type]
