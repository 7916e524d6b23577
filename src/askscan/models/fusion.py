"""The fusion: one transformer over the tokens of a question and of the scene that it is about."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.models.scene_encoder import MAX_LAYERS, TransformerLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionConfig:
    """The fusion; the defaults are the published one. Its width is the scene encoder's."""

    num_heads: int = 8
    """Attention heads."""
    feedforward: int = 2048
    """Hidden width of a transformer layer."""
    num_layers: int = 2
    """Transformer layers."""
    dropout: float = 0.1
    """Dropout inside the transformer layers."""
    object_mask: bool = False
    """Hide proposals that the detector takes for no object."""

    def __post_init__(self) -> None:
        if not 1 <= self.num_layers <= MAX_LAYERS or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"num_layers must be 1 to {MAX_LAYERS} and dropout in [0, 1), got {self.num_layers}, {self.dropout}"
            )


class Fusion(nn.Module):
    """Text tokens, CLS, proposals: all attend to all that are real."""

    def __init__(self, config: FusionConfig, *, width: int) -> None:
        super().__init__()
        self.object_mask = config.object_mask
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                num_heads=config.num_heads,
                feedforward=config.feedforward,
                dropout=config.dropout,
                activation="gelu",
            )
            for _ in range(config.num_layers)
        )

    def forward(
        self,
        text: Float[Tensor, "b q t d"],
        text_mask: Bool[Tensor, "b q t"],
        scene: Float[Tensor, "b kk d"],
        is_object: Bool[Tensor, "b k"],
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b q k d"]]:
        """The first text token of each question, and the proposals as that question sees them."""
        num_questions, num_tokens = text.shape[1:3]
        visible = torch.ones_like(scene[..., 0], dtype=torch.bool)
        if self.object_mask:
            visible = torch.cat([visible[:, :1], is_object], 1)
        # The first token is real in every question; a padded slot keeps its own, or softmax would run over nothing.
        text_mask = torch.cat([torch.ones_like(text_mask[..., :1]), text_mask[..., 1:]], -1)
        each = (-1, num_questions, -1, -1)
        tokens = torch.cat([text, scene[:, None].to(text.dtype).expand(each)], 2).flatten(0, 1)
        mask = torch.cat([text_mask, visible[:, None].expand(each[:3])], 2).flatten(0, 1)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        tokens = tokens.unflatten(0, text.shape[:2])
        return tokens[:, :, 0], tokens[:, :, num_tokens + 1 :]
