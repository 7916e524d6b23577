from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.models import tiny

from askscan.errors import ConfigError
from askscan.losses.alignment import PretrainWeights, contrastive_alignment, cosine_alignment
from askscan.losses.detection import detection_loss
from askscan.models.pretrainer import Pretrainer


def teacher(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, 2, 12, generator=generator), torch.ones(3, 2, dtype=torch.bool)


def without_gradient(model: torch.nn.Module, loss: torch.Tensor, prefix: str = "") -> list[str]:
    model.zero_grad()
    loss.backward()
    return [
        name
        for name, p in model.named_parameters()
        if name.startswith(prefix)
        and (p.grad is None or not bool(p.grad.abs().sum() > 0))
        # A bias in front of BatchNorm (VoteNet has them) is subtracted again: its gradient is rounding noise.
        and not (".mlp." in name and name.endswith("linear.bias"))
    ]


def test_another_scene_has_another_embedding(generator: torch.Generator) -> None:
    model = Pretrainer(tiny.PRETRAINER).eval()
    with torch.no_grad():
        embedding = model(tiny.points(generator)).scene_embedding
    assert embedding.shape == (3, 12)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert float((embedding[i] - embedding[j]).abs().max()) > 1e-4


def test_the_alignment_loss_reaches_every_backbone_parameter(generator: torch.Generator) -> None:
    model = Pretrainer(tiny.PRETRAINER)
    texts, mask = teacher(generator)
    output = model(tiny.points(generator))
    terms = cosine_alignment(output.scene_embedding, texts, mask, texts, mask)
    assert without_gradient(model, terms.text + terms.image, "scene.detector.backbone.") == []


@pytest.mark.parametrize("contrastive", [False, True])
def test_the_whole_loss_trains_every_parameter(generator: torch.Generator, contrastive: bool) -> None:
    scene = replace(tiny.SCENE, encoder=replace(tiny.ENCODER, positions=True))
    model = Pretrainer(replace(tiny.PRETRAINER, contrastive=contrastive, scene=scene))
    texts, mask = teacher(generator)
    output = model(tiny.points(generator))
    if contrastive:
        assert output.log_temperature is not None
        aligned = contrastive_alignment(
            output.scene_embedding, texts, mask, texts, mask,
            scene_index=torch.arange(3), log_temperature=output.log_temperature,
        )  # fmt: skip
    else:
        aligned = cosine_alignment(output.scene_embedding, texts, mask, texts, mask)
    boxes = tiny.boxes(generator)
    # Every proposal is an object: otherwise the box terms may have nothing to train on in so small a scene.
    near = replace(boxes, center=output.detector.proposal_vote_xyz.detach()[:, :6], mask=torch.ones_like(boxes.mask))
    loss = PretrainWeights().total(detection_loss(output.detector, near, tiny.votes(generator)), aligned)
    heading = "scene.detector.proposal.head"
    dead = without_gradient(model, loss)
    assert [name for name in dead if not name.startswith(heading)] == []


def test_the_temperature_is_there_only_if_it_is_learned(generator: torch.Generator) -> None:
    assert Pretrainer(tiny.PRETRAINER).log_temperature is None
    model = Pretrainer(replace(tiny.PRETRAINER, contrastive=True, initial_temperature=0.2))
    assert model(tiny.points(generator)).log_temperature.item() == pytest.approx(math.log(0.2))


def test_the_width_is_the_teachers(generator: torch.Generator) -> None:
    model = Pretrainer(replace(tiny.PRETRAINER, embedding_width=20))
    assert model(tiny.points(generator)).scene_embedding.shape == (3, 20)
    with pytest.raises(ConfigError):
        replace(tiny.PRETRAINER, embedding_width=0)


def test_a_16_bit_step_has_finite_gradients_in_float32(generator: torch.Generator) -> None:
    model = Pretrainer(tiny.PRETRAINER)
    texts, mask = teacher(generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(tiny.points(generator))
        aligned = cosine_alignment(output.scene_embedding, texts, mask, texts, mask)
        terms = detection_loss(output.detector, tiny.boxes(generator), tiny.votes(generator))
        loss = PretrainWeights().total(terms, aligned)
    assert output.scene_embedding.dtype == loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_a_step_on_one_scene_lowers_the_loss(generator: torch.Generator) -> None:
    model = Pretrainer(tiny.PRETRAINER)
    points, boxes, votes = tiny.points(generator), tiny.boxes(generator), tiny.votes(generator)
    texts, mask = teacher(generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        output = model(points)
        aligned = cosine_alignment(output.scene_embedding, texts, mask, texts, mask)
        loss = PretrainWeights().total(detection_loss(output.detector, boxes, votes), aligned)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
