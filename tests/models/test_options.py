"""No dead options: each field of each model's configuration, changed, changes what is built or what comes out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from tests.models import tiny

from askscan.models.fusion import FusionConfig
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import Pretrainer, PretrainerConfig
from askscan.models.scan_qa import ScanQA, ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig
from askscan.models.votenet import DetectorConfig

CHANGES: dict[type, dict[str, Any]] = {
    BackboneConfig: {
        "color": True,
        "normals": True,
        "height": True,
        "num_centers": (64, 32, 16, 6),
        "radius_m": (0.5, 0.9, 1.5, 1.9),
        "num_neighbors": (8, 8, 8, 3),
        "sa_channels": ((8, 8, 16), (16, 16, 16), (16, 16, 16), (16, 16, 24)),
        "fp_channels": ((24, 16), (16, 16)),
    },
    DetectorConfig: {
        "vote_factor": 2,
        "num_proposals": 10,
        "proposal_radius_m": 1.0,
        "proposal_neighbors": 2,
        "proposal_channels": (16, 24, 16),
        "num_heading": 3,
    },
    SceneEncoderConfig: {
        "width": 24,
        "num_heads": 2,
        "feedforward": 40,
        "num_layers": 2,
        "dropout": 0.4,
        "positions": True,
    },
    FusionConfig: {"num_heads": 2, "feedforward": 40, "num_layers": 1, "dropout": 0.4, "object_mask": True},
    ScanQAConfig: {
        "num_answers": 9,
        "text_width": 20,
        "text_dropout": 0.5,
        "answer_dropout": 0.5,
        "head_dropout": 0.5,
        "answer_prior": True,
    },
    PretrainerConfig: {"embedding_width": 20, "contrastive": True},
}
PARTS = {"backbone", "detector", "encoder", "scene", "fusion"}


def changed(of: type, change: dict[str, Any]) -> ScanQAConfig | PretrainerConfig:
    detector, encoder, fusion = tiny.DETECTOR, tiny.ENCODER, tiny.SCAN_QA.fusion
    if of is BackboneConfig:
        detector = replace(detector, backbone=replace(detector.backbone, **change))
    elif of is DetectorConfig:
        detector = replace(detector, **change)
    elif of is SceneEncoderConfig:
        encoder = replace(encoder, **change)
    elif of is FusionConfig:
        fusion = replace(fusion, **change)
    scene = replace(tiny.SCENE, detector=detector, encoder=encoder)
    if of is PretrainerConfig:
        return replace(tiny.PRETRAINER, **change)
    return replace(tiny.SCAN_QA, scene=scene, fusion=fusion, **(change if of is ScanQAConfig else {}))


def outcome(config: ScanQAConfig | PretrainerConfig) -> tuple[dict[str, torch.Size], torch.Tensor | None]:
    """Shapes of the parameters, and an answer in training mode if the model takes the standard input."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = Pretrainer(config) if isinstance(config, PretrainerConfig) else ScanQA(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    points = tiny.points(generator, num_extra=config.scene.detector.backbone.in_channels)
    if isinstance(model, Pretrainer):
        return shapes, model(points).scene_embedding
    texts = tiny.texts(generator)
    if texts.features.shape[-1] != model.config.text_width:
        return shapes, None
    torch.manual_seed(0)
    output = model(points, texts)
    return shapes, torch.cat([x.flatten() for x in (output.answer_logits, output.referred_scores)])


@pytest.mark.parametrize(("of", "name"), [(of, name) for of, changes in CHANGES.items() for name in changes])
def test_every_option_counts(of: type, name: str) -> None:
    shapes, answer = outcome(changed(of, {}))
    other_shapes, other = outcome(changed(of, {name: CHANGES[of][name]}))
    if shapes == other_shapes:
        assert answer is not None and other is not None
        assert answer.shape != other.shape or not torch.equal(answer, other)


def test_the_table_knows_every_option() -> None:
    for of, changes in CHANGES.items():
        names = {field.name for field in fields(of)} - PARTS
        # These two have tests of their own: test_pretrainer, test_scene_encoder.
        assert names - {"initial_temperature", "origin"} == set(changes), of
