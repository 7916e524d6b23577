"""Question answering about scans, and the question-only baseline that keeps it honest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.models.fusion import Fusion, FusionConfig
from askscan.models.pointnet2 import BackboneIndices
from askscan.models.scene_encoder import SceneModel, SceneModelConfig
from askscan.models.votenet import exact
from askscan.records import AnswerOutput, TextAnswerOutput, TextTokens
from askscan.shapes import NUM_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanQAConfig:
    """The question-answering model; the defaults are the published one."""

    num_answers: int
    """Answers of the vocabulary."""
    scene: SceneModelConfig = field(default_factory=SceneModelConfig)
    """Detector and scene encoder."""
    fusion: FusionConfig = field(default_factory=FusionConfig)
    """Attention over question and scene."""
    text_width: int = 512
    """Width of the teacher's text tokens."""
    text_dropout: float = 0.3
    """Dropout of the teacher's text tokens."""
    answer_dropout: float = 0.3
    """Dropout in the answer head."""
    head_dropout: float = 0.1
    """Dropout in the heads of the object's class and of the referred object."""
    answer_prior: bool = False
    """Start from a chance of 1 / num_answers of each answer, not of 1/2: short trainings need not learn it first."""

    def __post_init__(self) -> None:
        if self.num_answers < 1 or self.text_width < 1:
            raise ConfigError(f"num_answers and text_width must be positive: {self.num_answers}, {self.text_width}")
        if self.scene.encoder.width % self.fusion.num_heads:
            raise ConfigError(
                f"the width {self.scene.encoder.width} is not a multiple of the {self.fusion.num_heads} fusion heads"
            )


class Head(nn.Module):
    """Linear, GELU, dropout, Linear; logits in float32."""

    def __init__(self, width: int, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, out_channels)

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        """One row of logits per token."""
        return exact(self.out, self.dropout(F.gelu(self.hidden(x))))


def _answer_head(config: ScanQAConfig) -> Head:
    head = Head(config.scene.encoder.width, config.num_answers, dropout=config.answer_dropout)
    if config.answer_prior:  # as in RetinaNet (Lin et al., ICCV 2017, section 3.3)
        nn.init.constant_(head.out.bias, -math.log(config.num_answers))
    return head


class TextEmbedding(nn.Module):
    """The teacher's text tokens to tokens of the fusion."""

    def __init__(self, config: ScanQAConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.text_dropout)
        self.linear = nn.Linear(config.text_width, config.scene.encoder.width)

    def forward(self, features: Float[Tensor, "b q t d"]) -> Float[Tensor, "b q t e"]:
        """Embeds each token on its own."""
        return F.gelu(self.linear(self.dropout(features)))


class ScanQA(nn.Module):
    """Points and questions to answers, the asked object's class, and a score for each proposal."""

    def __init__(self, config: ScanQAConfig) -> None:
        super().__init__()
        self.config = config
        width = config.scene.encoder.width
        self.scene = SceneModel(config.scene)
        self.scene_projection = nn.Linear(width, width)
        self.text_embedding = TextEmbedding(config)
        self.fusion = Fusion(config.fusion, width=width)
        self.answer_head = _answer_head(config)
        self.object_class_head = Head(width, NUM_CLASSES, dropout=config.head_dropout)
        self.referred_head = Head(width, 1, dropout=config.head_dropout)

    def forward(
        self, points: Float[Tensor, "b n c"], texts: TextTokens, indices: BackboneIndices | None = None
    ) -> AnswerOutput:
        """Asks q questions about each of b scenes; each scene is encoded once.

        `indices`: `scene.detector.backbone.indices(xyz)` where computed ahead.
        """
        encoded = self.scene(points, indices)
        logits = encoded.detector.objectness
        is_object = logits[..., 1] > logits[..., 0]
        scene = F.gelu(self.scene_projection(encoded.tokens))
        text, proposals = self.fusion(self.text_embedding(texts.features), texts.mask, scene, is_object)
        return AnswerOutput(
            detector=encoded.detector,
            answer_logits=self.answer_head(text),
            object_class_logits=self.object_class_head(text),
            referred_scores=self.referred_head(proposals * is_object[:, None, :, None])[..., 0],
        )


class QuestionOnly(nn.Module):
    """The baseline that never sees the scan: the same text embedding, transformer over the text alone, and heads."""

    def __init__(self, config: ScanQAConfig) -> None:
        super().__init__()
        self.config = config
        width = config.scene.encoder.width
        self.text_embedding = TextEmbedding(config)
        self.fusion = Fusion(config.fusion, width=width)
        self.answer_head = _answer_head(config)
        self.object_class_head = Head(width, NUM_CLASSES, dropout=config.head_dropout)

    def forward(self, texts: TextTokens) -> TextAnswerOutput:
        """Guesses from the questions alone."""
        text = self.text_embedding(texts.features)
        nothing = text.new_zeros(len(text), 0, text.shape[-1])
        first, _ = self.fusion(text, texts.mask, nothing, torch.zeros_like(nothing[..., 0], dtype=torch.bool))
        return TextAnswerOutput(
            answer_logits=self.answer_head(first), object_class_logits=self.object_class_head(first)
        )
