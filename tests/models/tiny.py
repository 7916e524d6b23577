"""Small models and random scenes for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from askscan.models.fusion import FusionConfig
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import PretrainerConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig, SceneModelConfig
from askscan.models.votenet import DetectorConfig
from askscan.records import BoxTargets, QuestionTargets, TextTokens, VoteTargets

NUM_POINTS, NUM_ANSWERS, TEXT_WIDTH = 300, 7, 12

BACKBONE = BackboneConfig(
    num_centers=(64, 32, 16, 8),
    radius_m=(0.5, 0.9, 1.5, 2.5),
    num_neighbors=(8, 8, 8, 8),
    sa_channels=((8, 8, 16), (16, 16, 16), (16, 16, 16), (16, 16, 16)),
    fp_channels=((16, 16), (16, 16)),
)
DETECTOR = DetectorConfig(
    backbone=BACKBONE, num_proposals=12, proposal_radius_m=2.0, proposal_neighbors=4, proposal_channels=(16, 16, 16)
)
ENCODER = SceneEncoderConfig(width=16, num_heads=4, feedforward=32)
SCENE = SceneModelConfig(detector=DETECTOR, encoder=ENCODER)
PRETRAINER = PretrainerConfig(scene=SCENE, embedding_width=12)
SCAN_QA = ScanQAConfig(
    num_answers=NUM_ANSWERS, scene=SCENE, fusion=FusionConfig(num_heads=4, feedforward=32), text_width=TEXT_WIDTH
)


def points(generator: torch.Generator, *, num_scenes: int = 3, num_extra: int = 0) -> Tensor:
    """Points in rooms of 4 x 5 x 2 metres."""
    xyz = torch.rand(num_scenes, NUM_POINTS, 3, generator=generator) * torch.tensor([4.0, 5.0, 2.0])
    return torch.cat([xyz, torch.randn(num_scenes, NUM_POINTS, num_extra, generator=generator)], -1)


def texts(generator: torch.Generator, *, num_scenes: int = 3, num_questions: int = 2) -> TextTokens:
    """Questions of 2 to 6 tokens."""
    length = torch.randint(2, 7, (num_scenes, num_questions), generator=generator)
    features = torch.randn(num_scenes, num_questions, 6, TEXT_WIDTH, generator=generator)
    return TextTokens(features=features, mask=torch.arange(6) < length[..., None])


def boxes(generator: torch.Generator, *, num_scenes: int = 3, num_slots: int = 6) -> BoxTargets:
    """From one to all slots real; padded slots sit at the origin."""
    mask = torch.arange(num_slots) < torch.randint(1, num_slots + 1, (num_scenes, 1), generator=generator)
    center = torch.rand(num_scenes, num_slots, 3, generator=generator) * torch.tensor([4.0, 5.0, 2.0])
    size = 0.2 + torch.rand(num_scenes, num_slots, 3, generator=generator)
    label = torch.randint(0, 18, (num_scenes, num_slots), generator=generator)
    return BoxTargets(
        center=center * mask[..., None], size=size * mask[..., None], semantic_class=label * mask, mask=mask
    )


def votes(generator: torch.Generator, *, num_scenes: int = 3) -> VoteTargets:
    """Half of the points on objects."""
    mask = torch.rand(num_scenes, NUM_POINTS, generator=generator) < 0.5
    return VoteTargets(offset=torch.randn(num_scenes, NUM_POINTS, 3, generator=generator) * mask[..., None], mask=mask)


def questions(generator: torch.Generator, *, num_scenes: int = 3, num_questions: int = 2) -> QuestionTargets:
    """Every question real, its target box large enough to meet some proposal."""
    shape = (num_scenes, num_questions)
    real = torch.ones(shape, dtype=torch.bool)
    return QuestionTargets(
        answers=torch.rand(*shape, NUM_ANSWERS, generator=generator),
        object_class=torch.randint(0, 18, shape, generator=generator),
        referred_center=torch.rand(*shape, 3, generator=generator) * torch.tensor([4.0, 5.0, 2.0]),
        referred_size=torch.full((*shape, 3), 4.0),
        referred_mask=real,
        mask=real,
    )
