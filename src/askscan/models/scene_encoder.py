"""The scene encoder: attention over the proposals of one scene, with a CLS token that stands for the scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.geometry.boxes import decode_boxes
from askscan.models.pointnet2 import BackboneIndices
from askscan.models.votenet import Detector, DetectorConfig
from askscan.records import DetectorOutput, SceneTokens

MAX_LAYERS = 100
"""More transformer layers than this are a slip of the pen, and building them would never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneEncoderConfig:
    """The scene encoder; the defaults are the published one."""

    width: int = 256
    """Channels of a token."""
    num_heads: int = 8
    """Attention heads."""
    feedforward: int = 2048
    """Hidden width of a transformer layer."""
    num_layers: int = 1
    """Transformer layers."""
    dropout: float = 0.1
    """Dropout inside the transformer layers."""
    positions: bool = False
    """Add an embedding of each proposal's (centre, size) to its token."""
    origin: Literal["scene", "input"] = "scene"
    """What positions count from, in x and y: the middle of the scene, or the origin of the input (an agent's place)."""

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ConfigError(f"the width {self.width} is not a multiple of the {self.num_heads} attention heads")
        if self.origin == "input" and not self.positions:
            raise ConfigError("origin `input` means nothing without positions")
        if not 1 <= self.num_layers <= MAX_LAYERS or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"num_layers must be 1 to {MAX_LAYERS} and dropout in [0, 1), got {self.num_layers}, {self.dropout}"
            )


_HIDDEN = -(2.0**15)
"""Added to the products of hidden keys; representable in 16 bits, and far below what softmax can tell from zero."""


def attention_by_channel(
    query: Float[Tensor, "b h t c"],
    key: Float[Tensor, "b h t c"],
    value: Float[Tensor, "b h t c"],
    visible: Bool[Tensor, "b t"],
    dropout: float,
) -> Float[Tensor, "b h t c"]:
    """Attention to the visible keys by the kernels that take no mask, which are several times faster.

    One channel more, 1 in every query and very negative in hidden keys, does what the mask would. Eight are added:
    the kernels want a multiple of that.
    """
    width = query.shape[-1]
    hidden = torch.where(visible, 0.0, _HIDDEN).to(key.dtype)[:, None, :, None].expand(*key.shape[:3], 1)
    query = torch.cat([query, torch.ones_like(hidden), query.new_zeros(*key.shape[:3], 7)], -1)
    key = torch.cat([key, hidden, key.new_zeros(*key.shape[:3], 7)], -1)
    value = F.pad(value, (0, 8))
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=width**-0.5)[..., :width]


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017); parameters are named and shaped as torch's."""

    def __init__(self, width: int, *, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Float[Tensor, "b t d"], visible: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b t d"]:
        """Every token looks at the `visible` ones (all, if None)."""
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        if visible is not None and x.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
            out = attention_by_channel(query, key, value, visible, dropout)
        else:
            mask = None if visible is None else visible[:, None, None, :]
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """A post-norm transformer encoder layer, equal to torch's, whose fast path does not fit a CUDA graph."""

    def __init__(
        self, width: int, *, num_heads: int, feedforward: int, dropout: float, activation: Literal["relu", "gelu"]
    ) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, num_heads=num_heads, dropout=dropout)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.activation = F.relu if activation == "relu" else F.gelu

    def forward(self, x: Float[Tensor, "b t d"], visible: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b t d"]:
        """Tokens that are not `visible` are attended to by none."""
        x = self.norm1(x + self.dropout(self.self_attn(x, visible)))
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(hidden)))


def scene_frame(xyz: Float[Tensor, "b n 3"]) -> Float[Tensor, "b 3"]:
    """Origin of a scene's own frame: middle of the extent in x and y, the floor (first percentile) in z."""
    middle = (xyz[..., :2].amin(1) + xyz[..., :2].amax(1)) / 2
    lowest = xyz[..., 2].topk(max(1, xyz.shape[1] // 100), dim=1, largest=False).values
    return torch.cat([middle, lowest[:, -1:]], -1)


class SceneEncoder(nn.Module):
    """Proposals to tokens that know of each other; the CLS token comes first."""

    def __init__(self, config: SceneEncoderConfig, *, in_channels: int) -> None:
        super().__init__()
        width = config.width
        self.origin = config.origin
        self.proposal_embedding = nn.Linear(in_channels, width)
        self.position_embedding = (
            nn.Sequential(nn.Linear(6, width), nn.GELU(), nn.Linear(width, width)) if config.positions else None
        )
        self.cls_token = nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                num_heads=config.num_heads,
                feedforward=config.feedforward,
                dropout=config.dropout,
                activation="relu",
            )
            for _ in range(config.num_layers)
        )

    def forward(self, detector: DetectorOutput, points: Float[Tensor, "b n c"]) -> Float[Tensor, "b kk d"]:
        """Tokens of a batch of scenes; `points`: the input, whose extent positions are relative to."""
        return self.attend(self.embed(detector, points))

    def embed(self, detector: DetectorOutput, points: Float[Tensor, "b n c"]) -> Float[Tensor, "b k d"]:
        """Each proposal's token before it knows of the others."""
        tokens = F.gelu(self.proposal_embedding(detector.features))
        if self.position_embedding is not None:
            boxes = decode_boxes(detector)
            # A description of where the boxes are, no second way of training them.
            origin = scene_frame(points[..., :3].float())
            if self.origin == "input":
                origin = torch.cat([torch.zeros_like(origin[:, :2]), origin[:, 2:]], -1)
            where = torch.cat([boxes.center - origin[:, None], boxes.size], -1).detach()
            tokens = tokens + self.position_embedding(where)
        return tokens

    def attend(self, tokens: Float[Tensor, "b k d"]) -> Float[Tensor, "b kk d"]:
        """The CLS token and any number of proposals, after they have looked at one another."""
        tokens = torch.cat([self.cls_token.to(tokens.dtype).expand(len(tokens), 1, -1), tokens], 1)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneModelConfig:
    """What both trainings share: detector and scene encoder."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Points to proposals."""
    encoder: SceneEncoderConfig = field(default_factory=SceneEncoderConfig)
    """Proposals to tokens."""


class SceneModel(nn.Module):
    """Points to scene tokens. Both models hold it under the name `scene`, so that weights move over by name."""

    def __init__(self, config: SceneModelConfig) -> None:
        super().__init__()
        self.config = config
        self.detector = Detector(config.detector)
        self.encoder = SceneEncoder(config.encoder, in_channels=config.detector.proposal_channels[-1])

    def indices(self, points: Float[Tensor, "b n c"]) -> BackboneIndices:
        """Neighbourhoods of a batch of scenes, to be computed ahead: they depend on no weight."""
        return self.detector.backbone.indices(points[..., :3].float().contiguous())

    def forward(self, points: Float[Tensor, "b n c"], indices: BackboneIndices | None = None) -> SceneTokens:
        """Encodes a batch of scenes; `indices`: of these points, where computed ahead."""
        detector = self.detector(points, indices)
        return SceneTokens(detector=detector, tokens=self.encoder(detector, points))
