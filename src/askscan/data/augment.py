"""Random changes of a batch of scenes on the compute device: cuboid crops, flips, small turns, shifts.

Everything is batched tensor code of fixed shape: no value decides what runs, so a CUDA graph can hold it. The order is
that of ScanQA (Azuma et al. 2022): crop, sample, flip x, flip y, turn about x, y, z, shift. The crop follows
DepthContrast (Zhang et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.errors import ConfigError

_CROP_PROBES = 512
"""Random points that estimate how much a proposed cuboid keeps."""
_CROP_CANDIDATES = 4
"""Promising cuboids of a scene that are checked with all of its points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """What is changed at random, per scene of a batch."""

    crop: bool = True
    """Crop a random cuboid before sampling."""
    crop_tries: int = 200
    """Cuboids proposed per scene; if none is accepted the whole scene is used."""
    crop_min_points: int = 30_000
    """Points that a crop must keep; scenes with fewer are never cropped."""
    crop_min_fraction: float = 0.5
    """Smallest share of the scene's extent along an axis."""
    crop_min_ratio: float = 0.8
    """A cuboid is proposed if at least one pair of its three fractions has a ratio (min / max) of at least this."""
    flip: bool = True
    """Mirror x, and y, each with probability 1/2; never where a text depends on a viewpoint."""
    quarter_turns: bool = False
    """Turn by 0, 90, 180 or 270 degrees about z: boxes stay exact."""
    rotation_deg: float = 5.0
    """Turns about x, y and z are uniform within plus or minus this."""
    shift_m: float = 0.5
    """Translations per axis are uniform within plus or minus this."""

    def __post_init__(self) -> None:
        if not 0 < self.crop_min_fraction <= 1 or not 0 < self.crop_min_ratio <= 1:
            raise ConfigError("augment: crop_min_fraction and crop_min_ratio must lie in (0, 1].")
        if self.crop_tries < 1 or self.crop_min_points < 1 or self.rotation_deg < 0 or self.shift_m < 0:
            raise ConfigError(
                "augment: crop_tries and crop_min_points must be positive, rotation_deg and shift_m >= 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A rigid motion or reflection per scene: p -> matrix p + offset (metres)."""

    matrix: Float[Tensor, "b 3 3"]
    offset: Float[Tensor, "b 3"]

    def points(self, xyz: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
        """Positions after the motion."""
        return self.vectors(xyz) + self.offset[:, None]

    def vectors(self, xyz: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
        """Directions (normals) after the motion."""
        # Not a matmul: positions must not be rounded to TF32 or bf16.
        return (xyz[:, :, None] * self.matrix[:, None]).sum(-1)

    def of(self, rows: Int[Tensor, "c"]) -> Motion:
        """The motions of some rows."""
        return Motion(matrix=self.matrix[rows], offset=self.offset[rows])

    def then(self, following: Motion) -> Motion:
        """This motion, and the following one after it."""
        offset = following.points(self.offset[:, None])[:, 0]
        return Motion(matrix=following.vectors(self.matrix.mT).mT, offset=offset)

    def box_sizes(self, size: Float[Tensor, "b o 3"]) -> Float[Tensor, "b o 3"]:
        """Sizes of the axis-aligned hulls of the moved boxes."""
        return (size[:, :, None] * self.matrix[:, None].abs()).sum(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """What a crop keeps of each scene."""

    points: Bool[Tensor, "b n"]
    boxes: Bool[Tensor, "b o"]
    """False for boxes whose centre lies outside the kept points (and for padding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropDraws:
    """Uniform random numbers in [0, 1) of the cuboid proposals."""

    fraction: Float[Tensor, "b t 3"]
    center: Float[Tensor, "b t"]
    probe: Float[Tensor, "b p"]


def draw_crops(num_scenes: int, config: AugmentConfig, generator: torch.Generator) -> CropDraws:
    """Random numbers for the crops of `num_scenes` scenes, on the generator's device."""
    device = generator.device
    tries = config.crop_tries
    return CropDraws(
        fraction=torch.rand(num_scenes, tries, 3, generator=generator, device=device),
        center=torch.rand(num_scenes, tries, generator=generator, device=device),
        probe=torch.rand(num_scenes, _CROP_PROBES, generator=generator, device=device),
    )


def crop_scenes(
    xyz: Float[Tensor, "b n 3"],
    count: Int[Tensor, "b"],
    extent: Float[Tensor, "b 3"],
    box_center: Float[Tensor, "b o 3"],
    box_mask: Bool[Tensor, "b o"],
    must_keep: Bool[Tensor, "b o"],
    draws: CropDraws,
    config: AugmentConfig,
) -> Crop:
    """Choose a random cuboid per scene, or the whole scene where none of the proposals is acceptable.

    A cuboid has three fractions of the scene's extent and a random point of the scene as its centre. It is accepted if
    it keeps `crop_min_points` points, and the extent of the kept points holds the centres of all boxes of `must_keep`
    and of at least one box. With several questions per scene, `must_keep` has the objects of all of them: a crop never
    takes away what a question is about.

    All proposals are screened with a few hundred random points; the first four promising ones are then checked with all
    points, and the first that passes is taken. A proposal near the limit may so be passed over, none is wrongly taken.

    Args:
        xyz: Points, the first `count` of each row are real.
        count: Real points per scene, at least 1.
        extent: Size of each scene's axis-aligned bounding box, metres.
        box_center: Centres of the boxes.
        box_mask: True for real boxes.
        must_keep: Boxes that a crop may not lose.
        draws: Random numbers.
        config: Limits.
    """
    b, n, _ = xyz.shape
    rows = torch.arange(b, device=xyz.device)[:, None]
    valid = torch.arange(n, device=xyz.device) < count[:, None]
    fraction = config.crop_min_fraction + (1 - config.crop_min_fraction) * draws.fraction
    half = fraction * extent[:, None] / 2
    center = xyz[rows, _random_index(draws.center, count)]
    ratio = torch.minimum(fraction, fraction.roll(1, -1)) / torch.maximum(fraction, fraction.roll(1, -1))

    probes = xyz[rows, _random_index(draws.probe, count)]
    share = _inside(probes, center, half).float().mean(-1)
    holds = _inside(box_center, center, half)
    promising = (
        (ratio >= config.crop_min_ratio).any(-1)
        & (share * count[:, None] >= config.crop_min_points)
        & _holds_boxes(holds, box_mask, must_keep)
    )
    tries = promising.shape[1]
    order = torch.where(promising, tries - torch.arange(tries, device=xyz.device), 0)
    rank, first = order.topk(min(_CROP_CANDIDATES, tries), dim=1)

    kept = _inside(xyz, center[rows, first], half[rows, first]) & valid[:, None]
    low = torch.where(kept[..., None], xyz[:, None], torch.inf).amin(2)
    high = torch.where(kept[..., None], xyz[:, None], -torch.inf).amax(2)
    holds = ((box_center[:, None] >= low[:, :, None]) & (box_center[:, None] <= high[:, :, None])).all(-1)
    accepted = (rank > 0) & (kept.sum(-1) >= config.crop_min_points) & _holds_boxes(holds, box_mask, must_keep)
    best = accepted.int().argmax(1)  # the first accepted one
    cropped = accepted.any(1)[:, None]
    return Crop(
        points=torch.where(cropped, kept[rows[:, 0], best], valid),
        boxes=torch.where(cropped, holds[rows[:, 0], best] & box_mask, box_mask),
    )


def draw_motions(num_scenes: int, config: AugmentConfig, generator: torch.Generator) -> tuple[Motion, Tensor]:
    """Random turns and shifts, and the signs (b, 3) of the flips that `flipped` puts in front of them."""
    device = generator.device
    uniform = torch.rand(num_scenes, 9, generator=generator, device=device)
    signs = torch.ones(num_scenes, 3, device=device)
    if config.flip:
        signs = torch.cat([1 - 2 * (uniform[:, :2] < 0.5).float(), signs[:, 2:]], dim=1)
    angles = (2 * uniform[:, 2:5] - 1) * math.radians(config.rotation_deg)
    if config.quarter_turns:
        quarter = torch.floor(uniform[:, 8] * 4) * (math.pi / 2)
        angles = torch.cat([angles[:, :2], (angles[:, 2] + quarter)[:, None]], dim=1)
    shift = (2 * uniform[:, 5:8] - 1) * config.shift_m
    return Motion(matrix=_rotation(angles), offset=shift), signs


def flipped(motion: Motion, signs: Float[Tensor, "b 3"], allowed: Bool[Tensor, "b"]) -> Motion:
    """The motion with a mirroring in front of it where that is allowed."""
    signs = torch.where(allowed[:, None], signs, 1.0)
    return Motion(matrix=motion.matrix * signs[:, None], offset=motion.offset)


def _rotation(angles: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Rz Ry Rx: a turn about x, then y, then z."""
    (sx, sy, sz), (cx, cy, cz) = angles.sin().unbind(1), angles.cos().unbind(1)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _random_index(uniform: Float[Tensor, "b t"], count: Int[Tensor, "b"]) -> Int[Tensor, "b t"]:
    index = (uniform * count[:, None]).long()
    return torch.minimum(index, count[:, None] - 1)  # uniform * count may round up to count


def _inside(
    xyz: Float[Tensor, "b n 3"], center: Float[Tensor, "b t 3"], half: Float[Tensor, "b t 3"]
) -> Bool[Tensor, "b t n"]:
    return ((xyz[:, None] - center[:, :, None]).abs() <= half[:, :, None]).all(-1)


def _holds_boxes(
    holds: Bool[Tensor, "b t o"], box_mask: Bool[Tensor, "b o"], must_keep: Bool[Tensor, "b o"]
) -> Bool[Tensor, "b t"]:
    return (holds | ~must_keep[:, None]).all(-1) & (holds & box_mask[:, None]).any(-1)
