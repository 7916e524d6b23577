"""The PointNet++ backbone (Qi et al., NeurIPS 2017) with single-scale grouping, as VoteNet uses it.

Everything that depends on positions alone (centres, neighbours, interpolation weights) is a `BackboneIndices` record:
it can be computed ahead, on another stream, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from askscan.errors import ConfigError
from askscan.models.norm import EPS, BatchNorm, sum_over_processes
from askscan.ops import ball_query, farthest_points, interpolate, interpolation_weights, three_nearest
from askscan.ops.grouped_mlp import ConvNorm, RowsByPoint, grouped_mlp, rows_by_point


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneConfig:
    """What the backbone sees and how wide it is; the defaults are the published network on xyz alone."""

    color: bool = False
    """Points carry colour (3 channels)."""
    normals: bool = False
    """Points carry normals (3 channels)."""
    height: bool = False
    """Points carry their height above the floor (1 channel)."""
    num_centers: tuple[int, int, int, int] = (2048, 1024, 512, 256)
    """Centres of the four set abstractions; each at most as many as the one before."""
    radius_m: tuple[float, float, float, float] = (0.2, 0.4, 0.8, 1.2)
    """Radii of their balls."""
    num_neighbors: tuple[int, int, int, int] = (64, 32, 16, 16)
    """Points taken from each ball."""
    sa_channels: tuple[tuple[int, int, int], ...] = ((64, 64, 128), (128, 128, 256), (128, 128, 256), (128, 128, 256))
    """Widths of the shared MLP of each set abstraction."""
    fp_channels: tuple[tuple[int, int], ...] = ((512, 512), (512, 512))
    """Widths of the two feature propagations; the last is the width of the seeds."""

    def __post_init__(self) -> None:
        if len(self.sa_channels) != 4 or len(self.fp_channels) != 2:
            raise ConfigError("the backbone has 4 set abstractions and 2 feature propagations: give widths for each")
        if list(self.num_centers) != sorted(self.num_centers, reverse=True) or self.num_centers[-1] < 3:
            raise ConfigError(f"num_centers must fall and end at 3 or more, got {self.num_centers}")
        if min(self.radius_m) <= 0 or min(self.num_neighbors) < 1:
            raise ConfigError(f"radii and neighbours must be positive: {self.radius_m}, {self.num_neighbors}")

    @property
    def in_channels(self) -> int:
        """Channels of a point after xyz."""
        return 3 * self.color + 3 * self.normals + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneIndices:
    """Neighbourhoods of a batch of clouds, from positions alone."""

    centers: Int[Tensor, "b m"]
    """Input point of each centre of sa1; the deeper layers take prefixes."""
    neighbors: tuple[Int[Tensor, "b _ _"], ...]
    """Per set abstraction, rows of its input that fall into each ball."""
    coarse: tuple[Int[Tensor, "b _ 3"], ...]
    """Per feature propagation, the three nearest points of the deeper layer."""
    coarse_weight: tuple[Float[Tensor, "b _ 3"], ...]
    """Their weights, summing to 1."""
    by_point: tuple[RowsByPoint | None, ...] = (None,) * 4
    """Per set abstraction, `neighbors` ordered by point, which the kernels' gradients use; None: not made ahead."""


class MlpLayer(nn.Module):
    """A 1x1 convolution, BatchNorm and ReLU over the last dimension."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels, bias=bias)
        self.norm = BatchNorm(out_channels)
        if not bias:
            nn.init.kaiming_normal_(self.linear.weight)

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b d"]:
        """Channels c to d."""
        return self.norm(self.linear(x)).relu()

    def conv_norm(self) -> ConvNorm:
        """The layer's tensors as the grouped MLP takes them."""
        norm = self.norm
        return ConvNorm(
            weight=self.linear.weight,
            gamma=norm.weight,
            beta=norm.bias,
            running_mean=norm.running_mean,
            running_var=norm.running_var,
        )


def mlp(channels: Sequence[int], *, bias: bool = False) -> nn.ModuleList:
    """`MlpLayer`s from each width to the next."""
    return nn.ModuleList(MlpLayer(i, o, bias=bias) for i, o in pairwise(channels))


class SetAbstraction(nn.Module):
    """Groups points around centres, lifts them by a shared MLP and takes the maximum of each group."""

    def __init__(self, in_channels: int, channels: Sequence[int], *, radius_m: float) -> None:
        super().__init__()
        self.radius_m = radius_m
        self.mlp = mlp([in_channels + 3, *channels])

    def forward(
        self,
        xyz: Float[Tensor, "b n 3"],
        centers: Float[Tensor, "b m 3"],
        index: Int[Tensor, "b m k"],
        features: Float[Tensor, "b n c"] | None,
        by_point: RowsByPoint | None = None,
    ) -> Float[Tensor, "b m d"]:
        """Features of the centres; the first three input channels are (neighbour - centre) / radius."""
        layers = [cast(MlpLayer, layer) for layer in self.mlp]
        if self.training:
            for layer in layers:
                layer.norm.num_batches_tracked.add_(1)
        return grouped_mlp(
            xyz,
            centers,
            index,
            features,
            [layer.conv_norm() for layer in layers],
            radius_m=self.radius_m,
            training=self.training,
            momentum=layers[0].norm.momentum,
            eps=EPS,
            all_reduce=sum_over_processes() if self.training else None,
            by_point=by_point,
        )


class FeaturePropagation(nn.Module):
    """Carries features of a deeper layer back to a denser one, beside the features that are there."""

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.mlp = mlp([in_channels, *channels])

    def forward(
        self,
        deep: Float[Tensor, "b n c"],
        skip: Float[Tensor, "b m e"],
        index: Int[Tensor, "b m 3"],
        weight: Float[Tensor, "b m 3"],
    ) -> Float[Tensor, "b m d"]:
        """Features of the denser points; the interpolated (deep) channels come first."""
        x = torch.cat([interpolate(deep, index, weight).to(skip.dtype), skip], -1)
        for layer in self.mlp:
            x = layer(x)
        return x


def take(x: Float[Tensor, "b n c"], index: Int[Tensor, "b m"]) -> Float[Tensor, "b m c"]:
    """Rows of each cloud."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


class Backbone(nn.Module):
    """Four set abstractions and two feature propagations: points to seeds with features."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.in_channels, *(channels[-1] for channels in config.sa_channels)]
        layers = zip(widths, config.sa_channels, config.radius_m, strict=False)
        self.sa1, self.sa2, self.sa3, self.sa4 = (SetAbstraction(w, c, radius_m=r) for w, c, r in layers)
        self.fp1 = FeaturePropagation(widths[4] + widths[3], config.fp_channels[0])
        self.fp2 = FeaturePropagation(config.fp_channels[0][-1] + widths[2], config.fp_channels[1])

    def indices(self, xyz: Float[Tensor, "b n 3"]) -> BackboneIndices:
        """Centres and neighbourhoods of a batch of clouds; independent of the weights."""
        config, kernels = self.config, self.training and xyz.is_cuda and torch.is_grad_enabled()
        xyz = xyz.detach()
        centers = farthest_points(xyz, config.num_centers[0])
        levels = self._levels(xyz, centers)
        neighbors = tuple(
            ball_query(levels[i + 1], levels[i], config.radius_m[i], config.num_neighbors[i]) for i in range(4)
        )
        coarse, weights = [], []
        for fine, deep in ((levels[3], levels[4]), (levels[2], levels[3])):
            distance, index = three_nearest(fine, deep)
            coarse.append(index)
            weights.append(interpolation_weights(distance))
        return BackboneIndices(
            centers=centers,
            neighbors=neighbors,
            coarse=tuple(coarse),
            coarse_weight=tuple(weights),
            # The points' own features, in the first layer, have no gradient.
            by_point=(
                None,
                *(rows_by_point(neighbors[i], levels[i].shape[1]) if kernels else None for i in range(1, 4)),
            ),
        )

    def _levels(self, xyz: Tensor, centers: Tensor) -> list[Tensor]:
        # A prefix of a farthest-point order is itself the farthest-point order of that prefix.
        first = take(xyz, centers)
        return [xyz, *(first[:, :m].contiguous() for m in self.config.num_centers)]

    def forward(
        self, points: Float[Tensor, "b n c"], indices: BackboneIndices | None = None
    ) -> tuple[Int[Tensor, "b s"], Float[Tensor, "b s 3"], Float[Tensor, "b s d"]]:
        """Input point, position and features of each seed. `points`: xyz, then colour, normals and height."""
        xyz = points[..., :3].float().contiguous()
        indices = indices or self.indices(xyz)
        levels = self._levels(xyz, indices.centers)
        features: list[Tensor | None] = [points[..., 3:].contiguous() if self.config.in_channels else None]
        for i, layer in enumerate((self.sa1, self.sa2, self.sa3, self.sa4)):
            features.append(layer(levels[i], levels[i + 1], indices.neighbors[i], features[i], indices.by_point[i]))
        x = self.fp1(features[4], features[3], indices.coarse[0], indices.coarse_weight[0])
        x = self.fp2(x, features[2], indices.coarse[1], indices.coarse_weight[1])
        return indices.centers[:, : self.config.num_centers[1]], levels[2], x
