from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.models import tiny
from torch import nn

from askscan.errors import ConfigError
from askscan.models.scene_encoder import SceneModel, TransformerLayer, attention_by_channel, scene_frame


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("masked", [False, True])
def test_layer_equals_torchs(generator: torch.Generator, activation: str, masked: bool) -> None:
    ours = TransformerLayer(16, num_heads=4, feedforward=24, dropout=0.0, activation=activation)  # type: ignore[arg-type]
    theirs = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, activation=activation, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 7, 16, generator=generator)
    visible = torch.arange(7) < torch.tensor([[7], [4], [1]]) if masked else None
    expected = theirs(x, src_key_padding_mask=None if visible is None else ~visible)
    assert torch.allclose(ours(x, visible), expected, atol=1e-5)


def test_scene_frame_is_the_middle_of_the_floor() -> None:
    xyz = torch.rand(2, 1000, 3) * torch.tensor([4.0, 6.0, 2.5]) + torch.tensor([1.0, 2.0, -1.0])
    xyz[:, 0] = torch.tensor([3.0, 5.0, -50.0])  # one stray point beneath the floor
    assert torch.allclose(scene_frame(xyz), torch.tensor([3.0, 5.0, -1.0]).expand(2, 3), atol=0.1)


def test_a_proposal_can_be_encoded_as_the_only_one(generator: torch.Generator) -> None:
    model, points = SceneModel(tiny.SCENE).eval(), tiny.points(generator)
    detector = model.detector(points)
    own = model.encoder.embed(detector, points)
    assert torch.equal(model.encoder.attend(own), model(points).tokens)
    first = model.encoder.attend(own[:, :1])
    other = torch.cat([own[:, :1], torch.randn(own[:, 1:].shape, generator=generator)], 1)
    assert first.shape[1] == 2
    assert not torch.allclose(model.encoder.attend(other)[:, :2], first, atol=1e-3)  # of several all take part
    assert torch.allclose(model.encoder.attend(other[:, :1]), first)


def test_scenes_do_not_see_their_batch_mates(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    for positions in (False, True):
        model = SceneModel(replace(tiny.SCENE, encoder=replace(tiny.ENCODER, positions=positions))).eval()
        together = model(points)
        for i in range(3):
            alone = model(points[i : i + 1])
            assert torch.allclose(together.tokens[i : i + 1], alone.tokens, atol=1e-5)
            assert torch.allclose(together.detector.center[i : i + 1], alone.detector.center, atol=1e-5)


def test_positions_are_relative_and_count(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    model = SceneModel(replace(tiny.SCENE, encoder=replace(tiny.ENCODER, positions=True))).eval()
    tokens = model(points).tokens
    assert torch.allclose(model(points + torch.tensor([5.0, -2.0, 1.0])).tokens, tokens, atol=1e-2)
    assert model.encoder.position_embedding is not None
    model.encoder.position_embedding[2].weight.data.zero_()
    assert not torch.allclose(model(points).tokens, tokens, atol=1e-2)


def test_positions_from_the_origin_of_the_input_follow_a_shift_along_the_floor(generator: torch.Generator) -> None:
    points = tiny.points(generator)
    encoder = replace(tiny.ENCODER, positions=True, origin="input")
    model = SceneModel(replace(tiny.SCENE, encoder=encoder)).eval()
    tokens = model(points).tokens
    assert torch.allclose(model(points + torch.tensor([0.0, 0.0, 3.0])).tokens, tokens, atol=1e-2)
    for shift in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        assert not torch.allclose(model(points + torch.tensor(shift)).tokens, tokens, atol=1e-2)
    with pytest.raises(ConfigError, match="without positions"):
        replace(tiny.ENCODER, origin="input")


@pytest.mark.parametrize(
    "change",
    [{"num_layers": 2}, {"positions": True}, {"feedforward": 48}, {"width": 24}],
)
def test_options_change_what_is_built(change: dict[str, object]) -> None:
    plain = SceneModel(tiny.SCENE)
    other = SceneModel(replace(tiny.SCENE, encoder=replace(tiny.ENCODER, **change)))  # type: ignore[arg-type]
    assert sum(p.numel() for p in plain.parameters()) < sum(p.numel() for p in other.parameters())


def test_dropout_and_heads_count(generator: torch.Generator) -> None:
    x = torch.randn(2, 5, 16, generator=generator)
    layer = TransformerLayer(16, num_heads=4, feedforward=24, dropout=0.5, activation="relu")
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    one_head = TransformerLayer(16, num_heads=1, feedforward=24, dropout=0.5, activation="relu").eval()
    one_head.load_state_dict(layer.state_dict())
    assert not torch.allclose(layer(x), one_head(x), atol=1e-4)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple"):
        replace(tiny.ENCODER, num_heads=3)
    with pytest.raises(ConfigError, match="dropout"):
        replace(tiny.ENCODER, dropout=1.0)


def test_a_channel_in_place_of_a_mask_hides_keys(generator: torch.Generator):
    def draw() -> torch.Tensor:
        return torch.randn(3, 2, 11, 8, generator=generator, requires_grad=True)

    query, key, value = draw(), draw(), draw()
    visible = torch.rand(3, 11, generator=generator) < 0.6
    visible[:, 0] = True
    out = attention_by_channel(query, key, value, visible, 0.0)
    wanted = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None, None])
    torch.testing.assert_close(out, wanted)
    grads, wanted_grads = (torch.autograd.grad(x.square().sum(), (query, key, value)) for x in (out, wanted))
    torch.testing.assert_close(grads, wanted_grads)
