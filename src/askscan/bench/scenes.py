"""Made-up rooms, sentences and questions of ScanNet's sizes, in memory: what steps are timed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.questions import QuestionBank, RaggedTokens
from askscan.records import PreparedScene, Question
from askscan.shapes import NUM_CLASSES

ROOM_SIZE_M = (8.0, 6.0, 2.6)
_NUM_OBJECTS = 24
_NOISE_M = 0.005
_TOKENS = (6, 30)
"""Fewest and most tokens of a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the made-up collection is; the defaults are a slice of ScanNet with ScanQA's kind of questions."""

    num_scenes: int = 32
    num_points: int = 50_000
    texts_per_scene: int = 64
    num_answers: int = 8000
    width: int = 512
    """Channels of the teacher's embeddings and tokens."""


def make_scene(index: int, num_points: int) -> PreparedScene:
    """Points on the floor, the walls and 24 boxes of a furnished room, in random order."""
    rng = np.random.default_rng(index)
    low = np.concatenate([np.zeros((1, 3)), rng.random((_NUM_OBJECTS, 3)) * (7.0, 5.0, 0.2)])
    size = np.concatenate([[ROOM_SIZE_M], rng.uniform(0.3, 1.3, (_NUM_OBJECTS, 3))])
    area = np.stack([size[:, 1] * size[:, 2], size[:, 0] * size[:, 2], size[:, 0] * size[:, 1]], 1)
    face = rng.choice(area.size, num_points, p=area.ravel() / area.sum())
    box, axis = face // 3, face % 3
    place = rng.random((num_points, 3))
    place[np.arange(num_points), axis] = rng.integers(0, 2, num_points)
    place[axis == 2, 2] *= box[axis == 2] > 0  # no ceiling
    xyz = low[box] + place * size[box] + _NOISE_M * rng.standard_normal((num_points, 3))
    return PreparedScene(
        scene_id=f"room{index:04}",
        xyz=xyz.astype(np.float32),
        rgb=rng.integers(0, 256, (num_points, 3), dtype=np.uint8),
        normals=None,
        instance=box.astype(np.int32),
        boxes=np.concatenate([low + size / 2, size], 1)[1:].astype(np.float32),
        box_class=rng.integers(0, NUM_CLASSES, _NUM_OBJECTS).astype(np.int32),
        object_id=np.arange(_NUM_OBJECTS, dtype=np.int32),
        scene_type="",
    )


def clouds(num_clouds: int, num_points: int, seed: int = 0) -> Float32[Tensor, "b n 3"]:
    """Points of rooms."""
    scenes = [make_scene(seed * num_clouds + i, num_points).xyz for i in range(num_clouds)]
    return torch.from_numpy(np.stack(scenes))


def make_bank(size: Size, device: torch.device) -> SceneBank:
    """Rooms on the device."""
    return SceneBank.from_scenes([make_scene(i, size.num_points) for i in range(size.num_scenes)], device)


def vocabulary(size: Size) -> dict[str, int]:
    """Answers and how often each occurs."""
    return {f"answer {i}": 1 + i % 5 for i in range(size.num_answers)}


def make_questions(scene_ids: Sequence[str], size: Size, per_scene: int) -> tuple[list[Question], RaggedTokens]:
    """Questions about rooms, in turn, with random token features."""
    rng = np.random.default_rng(0)
    questions = [
        Question(
            scene_id=scene_ids[i % len(scene_ids)],
            question_id=f"{i}",
            text="What is it?",
            answers=(f"answer {rng.integers(size.num_answers)}",),
            object_ids=(int(rng.integers(_NUM_OBJECTS)),),
        )
        for i in range(per_scene * len(scene_ids))
    ]
    count = rng.integers(_TOKENS[0], _TOKENS[1] + 1, len(questions))
    count[0] = _TOKENS[1]
    return questions, RaggedTokens(features=_random(rng, int(count.sum()), size.width).astype(np.float16), count=count)


def make_question_bank(bank: SceneBank, size: Size) -> QuestionBank:
    """Questions on the device."""
    questions, tokens = make_questions(bank.scene_ids, size, size.texts_per_scene)
    return QuestionBank.from_questions(questions, tokens, vocabulary(size), bank)


def embeddings(rows: int, size: Size, device: torch.device) -> Float32[Tensor, "q d"]:
    """Random ones, in place of a teacher's."""
    return torch.from_numpy(_random(np.random.default_rng(1), rows, size.width)).to(device)


def _random(rng: np.random.Generator, rows: int, width: int) -> Float32[ndarray, "q d"]:
    return rng.standard_normal((rows, width), dtype=np.float32)
