"""The pre-training model: a scan's embedding in the space of a CLIP-like teacher (Parelli et al., CVPRW 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.models.pointnet2 import BackboneIndices
from askscan.models.scene_encoder import SceneModel, SceneModelConfig
from askscan.models.votenet import exact
from askscan.records import PretrainOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainerConfig:
    """The pre-training model; the defaults are the published one."""

    scene: SceneModelConfig = field(default_factory=SceneModelConfig)
    """Detector and scene encoder."""
    embedding_width: int = 512
    """Width of the teacher's embeddings."""
    contrastive: bool = False
    """Learn a temperature, for the contrastive objective."""
    initial_temperature: float = 0.07
    """Where the learned temperature starts (Radford et al. 2021)."""

    def __post_init__(self) -> None:
        if self.embedding_width < 1 or self.initial_temperature <= 0:
            raise ConfigError(
                "embedding_width and initial_temperature must be positive, "
                f"got {self.embedding_width} and {self.initial_temperature}"
            )


class SceneHead(nn.Module):
    """CLS token to scene embedding."""

    def __init__(self, width: int, embedding_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, embedding_width)

    def forward(self, cls: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """Scene embeddings, float32, not normalised."""
        return exact(self.linear, self.norm(cls))


class Pretrainer(nn.Module):
    """Points to detections and a scene embedding."""

    def __init__(self, config: PretrainerConfig) -> None:
        super().__init__()
        self.config = config
        self.scene = SceneModel(config.scene)
        self.head = SceneHead(config.scene.encoder.width, config.embedding_width)
        start = math.log(config.initial_temperature)
        self.log_temperature = nn.Parameter(torch.tensor(start)) if config.contrastive else None

    def forward(self, points: Float[Tensor, "b n c"], indices: BackboneIndices | None = None) -> PretrainOutput:
        """Encodes a batch of scenes; `indices`: `scene.detector.backbone.indices(xyz)` where computed ahead."""
        scene = self.scene(points, indices)
        return PretrainOutput(
            detector=scene.detector,
            scene_embedding=self.head(scene.tokens[:, 0]),
            log_temperature=self.log_temperature,
        )
