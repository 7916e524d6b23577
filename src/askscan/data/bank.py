"""Scenes that live on the compute device; batches of points and targets are made there.

All scenes are packed into ragged tensors once. A batch is sampling, cropping, motion and targets as batched tensor code
of fixed shape: no worker processes, no host synchronisation, repeatable from one generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8, Int16, UInt8
from torch import Tensor

from askscan.data.augment import AugmentConfig, Motion, crop_scenes, draw_crops, draw_motions, flipped
from askscan.data.targets import vote_targets
from askscan.errors import ConfigError, DataError
from askscan.records import BoxTargets, PreparedScene, SceneBatch
from askscan.shapes import MAX_OBJECTS

MEAN_RGB = (109.8, 97.2, 83.8)
"""Mean colour of ScanNet's vertices (ScanRefer's constants)."""
_RGB_SCALE = 256.0
_FLOOR_PERCENTILE = 0.99
"""The 0.99th percentile of z, not the 99th: almost the lowest point (VoteNet's height feature)."""
_NOISE_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class InputConfig:
    """What the model sees of a scene."""

    num_points: int = 40_000
    """Points sampled per scene; with replacement only where a scene has fewer."""
    color: bool = False
    """(rgb - mean) / 256, three channels."""
    normals: bool = False
    """Unit normals, three channels."""
    height: bool = False
    """Height above the floor in metres, one channel."""

    def __post_init__(self) -> None:
        if self.num_points < 1:
            raise ConfigError(f"inputs: num_points must be positive, not {self.num_points}.")


class Sample(NamedTuple):
    """A batch and how its scenes were moved."""

    batch: SceneBatch
    motion: Motion | None
    """From the prepared frame to the batch's; None: not moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBank:
    """Scenes packed one after the other; p points in all, s scenes, o box slots."""

    scene_ids: tuple[str, ...]
    object_ids: tuple[tuple[int, ...], ...]
    """The annotation's object id of each box slot, per scene."""
    notes: tuple[str, ...]
    """What is missing in the scenes, for the user."""
    max_points: int
    xyz: Float[Tensor, "p 3"]
    rgb: UInt8[Tensor, "p 3"]
    normals: Int8[Tensor, "p 3"]
    instance: Int16[Tensor, "p"]
    start: Int[Tensor, "s"]
    count: Int[Tensor, "s"]
    extent: Float[Tensor, "s 3"]
    floor: Float[Tensor, "s"]
    scan_frame: Float[Tensor, "s 4"]
    """As `PreparedScene` has it."""
    mean_rgb: Float[Tensor, "3"]
    boxes: BoxTargets

    @classmethod
    def from_scenes(cls, scenes: Sequence[PreparedScene], device: torch.device | str = "cpu") -> SceneBank:
        """Pack scenes on a device; missing colours become the mean colour, missing normals zero (see `notes`).

        Raises:
            DataError: There are no scenes, or one has no points.
        """
        if not scenes:
            raise DataError("no scene was given; prepare the data folder first.")
        empty = [scene.scene_id for scene in scenes if len(scene.xyz) == 0]
        if empty:
            raise DataError(f"scene {empty[0]} has no points; prepare it again.")
        counts = np.array([len(scene.xyz) for scene in scenes])

        def pack(arrays: Sequence[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.concatenate(arrays)).to(device)

        low_high = [_low_high(scene.xyz) for scene in scenes]
        frames = [
            np.append((low + high) / 2, np.float32(0)) if scene.scan_frame is None else scene.scan_frame
            for scene, (low, high) in zip(scenes, low_high, strict=True)
        ]
        return cls(
            scene_ids=tuple(scene.scene_id for scene in scenes),
            object_ids=tuple(tuple(map(int, scene.object_id[:MAX_OBJECTS])) for scene in scenes),
            notes=_notes(scenes),
            max_points=int(counts.max()),
            xyz=pack([scene.xyz for scene in scenes]),
            rgb=pack([_colors(scene) for scene in scenes]),
            normals=pack(
                [np.zeros(scene.xyz.shape, np.int8) if scene.normals is None else scene.normals for scene in scenes]
            ),
            instance=pack(
                [np.where(scene.instance > MAX_OBJECTS, 0, scene.instance).astype(np.int16) for scene in scenes]
            ),
            start=torch.from_numpy(np.cumsum(counts) - counts).to(device),
            count=torch.from_numpy(counts).to(device),
            extent=torch.from_numpy(np.stack([high - low for low, high in low_high])).to(device),
            floor=torch.tensor([np.percentile(s.xyz[:, 2], _FLOOR_PERCENTILE) for s in scenes], dtype=torch.float32).to(
                device
            ),
            scan_frame=torch.from_numpy(np.stack(frames)).to(device),
            mean_rgb=torch.tensor(MEAN_RGB, device=device),
            boxes=_pack_boxes(scenes, device),
        )

    def __len__(self) -> int:
        return len(self.scene_ids)

    @property
    def num_slots(self) -> int:
        """Box slots of a scene."""
        return self.boxes.mask.shape[1]

    def boxes_of(self, scene_index: Int[Tensor, "b"]) -> BoxTargets:
        """Boxes of some scenes as they stand."""
        return BoxTargets(
            center=self.boxes.center[scene_index],
            size=self.boxes.size[scene_index],
            semantic_class=self.boxes.semantic_class[scene_index],
            mask=self.boxes.mask[scene_index],
        )

    def sample(
        self,
        scene_index: Int[Tensor, "b"],
        inputs: InputConfig,
        generator: torch.Generator,
        *,
        frame: Motion | None = None,
        augment: AugmentConfig | None = None,
        must_keep: Bool[Tensor, "b o"] | None = None,
        may_flip: Bool[Tensor, "b"] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> Sample:
        """Sample points of some scenes and make the targets of what was sampled.

        Args:
            scene_index: Scenes of the batch; one may occur several times.
            inputs: Number of points and channels.
            generator: Randomness, on the bank's device.
            frame: Motion of each scene before the random ones, such as into an agent's frame; crops come before it.
            augment: Random changes, or None.
            must_keep: Boxes that a crop may not lose.
            may_flip: False for scenes with a text that depends on a viewpoint; default: all may.
            share: (r, w): these are the r-th of w equal parts of a larger batch. Random numbers are drawn for the whole
                of it, so that what happens to a scene does not depend on how the batch is divided.
        """
        b, device = len(scene_index), self.xyz.device
        mine = slice(share[0] * b, (share[0] + 1) * b)
        noise = torch.randint(
            0, 1 << _NOISE_BITS, (share[1] * b, self.max_points), generator=generator, device=device, dtype=torch.int32
        )[mine]
        count, start = self.count[scene_index], self.start[scene_index]
        slots = torch.arange(self.max_points, device=device)
        keep = slots < count[:, None]
        boxes = self.boxes_of(scene_index)
        motion = frame
        if augment is not None:
            if augment.crop:
                every = self.xyz[(start[:, None] + slots).clamp(max=len(self.xyz) - 1)]
                draws = draw_crops(share[1] * b, augment, generator)
                draws = type(draws)(fraction=draws.fraction[mine], center=draws.center[mine], probe=draws.probe[mine])
                kept = boxes.mask & False if must_keep is None else must_keep
                crop = crop_scenes(
                    every, count, self.extent[scene_index], boxes.center, boxes.mask, kept, draws, augment
                )
                keep = crop.points
                boxes = replace(boxes, mask=crop.boxes)
            drawn, signs = draw_motions(share[1] * b, augment, generator)
            drawn = Motion(matrix=drawn.matrix[mine], offset=drawn.offset[mine])
            drawn = flipped(drawn, signs[mine], torch.ones_like(count).bool() if may_flip is None else may_flip)
            motion = drawn if frame is None else frame.then(drawn)
        rows = start[:, None] + choose_points(noise, keep, inputs.num_points)
        return Sample(self._batch(scene_index, rows, boxes, inputs, motion), motion)

    def points(
        self, scene_index: Int[Tensor, "b"], inputs: InputConfig, *, frame: Motion | None = None
    ) -> Float[Tensor, "b n c"]:
        """What a model sees of some scenes as they stand, or moved to a frame: always the same points of a scene.

        The first ones, which are a uniform sample (`data.prepare.thinned`); over again where a scene has fewer.
        """
        slots = torch.arange(inputs.num_points, device=self.xyz.device)
        rows = self.start[scene_index, None] + slots % self.count[scene_index, None]
        return self._batch(scene_index, rows, self.boxes_of(scene_index), inputs, frame).points

    def _batch(
        self, scene_index: Tensor, rows: Tensor, boxes: BoxTargets, inputs: InputConfig, motion: Motion | None
    ) -> SceneBatch:
        xyz, normals = self.xyz[rows], self.normals[rows] if inputs.normals else None
        height = xyz[..., 2] - self.floor[scene_index][:, None]  # of the scene as it stands: before it is moved
        if motion is not None:
            xyz = motion.points(xyz)
            boxes = replace(boxes, center=motion.points(boxes.center), size=motion.box_sizes(boxes.size))
        channels = [xyz]
        if inputs.color:
            channels.append((self.rgb[rows].float() - self.mean_rgb) / _RGB_SCALE)
        if normals is not None:
            unit = torch.nn.functional.normalize(normals.float(), dim=-1)
            channels.append(unit if motion is None else motion.vectors(unit))
        if inputs.height:
            channels.append(height[..., None])
        votes = vote_targets(xyz, self.instance[rows], self.num_slots)
        return SceneBatch(points=torch.cat(channels, dim=-1), boxes=boxes, votes=votes)


def choose_points(noise: Int[Tensor, "b m"], keep: Bool[Tensor, "b m"], num_points: int) -> Int[Tensor, "b n"]:
    """Random points in random order among those to keep; each once before any twice.

    Args:
        noise: Random integers below 2^24 (ties, about 1 pair in 10^7, fall to the lower index).
        keep: Points to choose from, at least one per row.
        num_points: How many.
    """
    b, m = keep.shape
    wide = torch.int32 if b < 64 else torch.int64
    slot = torch.arange(b, device=keep.device, dtype=wide)[:, None]
    keys = torch.where(keep, noise.to(wide), 1 << _NOISE_BITS) + (slot << (_NOISE_BITS + 1))
    # One flat sort of integers (radix) is several times faster than sorting rows, on CPUs and GPUs alike.
    order = keys.flatten().sort(stable=True).indices.view(b, m) - slot.long() * m
    pick = torch.arange(num_points, device=keep.device) % keep.sum(1, keepdim=True).clamp(min=1)
    return order.gather(1, pick)


def _low_high(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box around points; by columns, which NumPy does 25 times faster than by rows."""
    return np.array([x.min() for x in xyz.T]), np.array([x.max() for x in xyz.T])


def _colors(scene: PreparedScene) -> np.ndarray:
    if scene.rgb is not None:
        return scene.rgb
    return np.full(scene.xyz.shape, np.round(MEAN_RGB), np.uint8)


def _notes(scenes: Sequence[PreparedScene]) -> tuple[str, ...]:
    notes = []
    for missing, what in (
        ([s.scene_id for s in scenes if s.rgb is None], "colours: they are taken as grey"),
        ([s.scene_id for s in scenes if s.normals is None], "normals: they are taken as zero"),
        (
            [s.scene_id for s in scenes if len(s.boxes) > MAX_OBJECTS],
            f"room for their objects after the {MAX_OBJECTS}th",
        ),
    ):
        if missing:
            notes.append(f"{len(missing)} of {len(scenes)} scenes (first {missing[0]}) have no {what}.")
    return tuple(notes)


def _pack_boxes(scenes: Sequence[PreparedScene], device: torch.device | str) -> BoxTargets:
    """Boxes padded to the largest number of objects, at most MAX_OBJECTS, at least 1."""
    num_slots = max(1, min(MAX_OBJECTS, max(len(scene.boxes) for scene in scenes)))
    boxes = np.zeros((len(scenes), num_slots, 6), np.float32)
    classes = np.zeros((len(scenes), num_slots), np.int64)
    mask = np.zeros((len(scenes), num_slots), bool)
    for row, scene in enumerate(scenes):
        count = min(num_slots, len(scene.boxes))
        boxes[row, :count] = scene.boxes[:count]
        classes[row, :count] = scene.box_class[:count]
        mask[row, :count] = True
    return BoxTargets(
        center=torch.from_numpy(boxes[..., :3].copy()).to(device),
        size=torch.from_numpy(boxes[..., 3:].copy()).to(device),
        semantic_class=torch.from_numpy(classes).to(device),
        mask=torch.from_numpy(mask).to(device),
    )
