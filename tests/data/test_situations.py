"""Agents' frames against a slow oracle, and the two conventions of SQA3D's files against the real ones."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from askscan.data.annotations import read_sqa3d
from askscan.data.augment import AugmentConfig, Motion
from askscan.data.bank import InputConfig, SceneBank
from askscan.data.folder import DataFolder
from askscan.data.scannet import scan_frame
from askscan.data.situations import views_of
from askscan.errors import DataError
from askscan.records import PreparedScene, Question, Situation


def prepared(scene_id: str, xyz: np.ndarray, frame: np.ndarray | None) -> PreparedScene:
    return PreparedScene(
        scene_id=scene_id,
        xyz=xyz,
        rgb=None,
        normals=None,
        instance=np.ones(len(xyz), np.int32),
        boxes=np.array([[1.0, 2.0, 0.5, 0.4, 0.8, 1.0]], np.float32),
        box_class=np.array([2], np.int32),
        object_id=np.array([0], np.int32),
        scene_type="",
        scan_frame=frame,
    )


def situated(scene_id: str, x: float, y: float, heading_rad: float) -> Question:
    situation = Situation(text="I stand.", position=(x, y, 0.0), heading_rad=heading_rad)
    return Question(scene_id=scene_id, question_id=f"{scene_id}{x}", text="What is ahead?", situation=situation)


def rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])


def test_agents_stand_at_the_origin_and_look_along_x() -> None:
    """Oracle: a scan in its file's axes, with a marker two metres ahead of the agent and one to its left."""
    rng = np.random.default_rng(0)
    raw = rng.uniform((-1, 4, 0), (5, 7, 2.5), (500, 3))
    alignment = np.eye(4)
    alignment[:3, :3], alignment[:3, 3] = rotation(0.7), (-2.0, 1.0, 0.1)
    middle = (raw.min(0) + raw.max(0)) / 2
    agent, heading = np.array([0.8, -0.4, 0.0]), 2.3
    ahead = rotation(heading) @ (-1, 0, 0)
    left = rotation(math.pi / 2) @ ahead
    there = np.stack([middle + agent, middle + agent + 2 * ahead, middle + agent + left])
    there[:, 2] = 1.0

    def align(points: np.ndarray) -> np.ndarray:
        return (points @ alignment[:3, :3].T + alignment[:3, 3]).astype(np.float32)

    frame = scan_frame(align(raw), alignment)
    bank = SceneBank.from_scenes([prepared("a", align(raw)[:100], frame)])
    views = views_of([situated("a", 0.8, -0.4, heading)], np.zeros(1, np.int64), bank.scan_frame)
    motion = views.frame_of(torch.tensor([0]))
    assert motion is not None
    moved = motion.points(torch.from_numpy(align(there))[None])[0]
    np.testing.assert_allclose(moved, [[0, 0, 1.1], [2, 0, 1.1], [0, 1, 1.1]], atol=1e-5)


def test_questions_of_one_situation_share_a_view() -> None:
    bank = SceneBank.from_scenes([prepared(name, np.random.rand(20, 3).astype(np.float32), None) for name in "ab"])
    asked = [situated(s, x, 0.0, 1.0) for s, x in (("b", 1.0), ("a", 1.0), ("b", 1.0), ("b", 2.0))]
    views = views_of(asked, np.array([1, 0, 1, 1]), bank.scan_frame)
    assert views.of_question[0] == views.of_question[2]
    assert len(set(views.of_question)) == len(views.scene) == 3
    assert views.scene[views.of_question].tolist() == [1, 0, 1, 1]
    plain = [Question(scene_id="a", question_id="0", text="What?"), Question(scene_id="b", question_id="1", text="?")]
    assert views_of(plain, np.array([0, 1]), bank.scan_frame).frame is None
    with pytest.raises(DataError, match="1 of 2 questions have no situation"):
        views_of([asked[0], plain[0]], np.array([1, 0]), bank.scan_frame)


def test_a_batch_is_moved_before_it_is_augmented() -> None:
    xyz = np.random.default_rng(1).uniform(-2, 2, (300, 3)).astype(np.float32)
    bank = SceneBank.from_scenes([prepared("a", xyz, None)])
    views = views_of([situated("a", 0.5, 1.0, 0.3)], np.zeros(1, np.int64), bank.scan_frame)
    rows, frame = torch.zeros(1, dtype=torch.long), views.frame_of(torch.zeros(1, dtype=torch.long))
    assert frame is not None
    inputs = InputConfig(num_points=300)

    def sample(frame: Motion | None, augment: AugmentConfig | None) -> tuple[torch.Tensor, Motion | None]:
        found = bank.sample(rows, inputs, torch.Generator().manual_seed(0), frame=frame, augment=augment)
        torch.testing.assert_close(
            found.batch.votes.offset, (found.batch.points.amin(1) + found.batch.points.amax(1))[:, None] / 2
            - found.batch.points
        )  # fmt: skip
        return found.batch.points, found.motion

    plain, _ = sample(None, None)
    moved, motion = sample(frame, None)
    torch.testing.assert_close(moved, frame.points(plain))
    turned, both = sample(frame, AugmentConfig(crop=False, flip=False, shift_m=0.0))
    assert both is not None and motion is not None
    torch.testing.assert_close(turned, both.points(plain), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(turned.norm(dim=-1), moved.norm(dim=-1), atol=1e-5, rtol=1e-5)  # about the agent
    assert not torch.allclose(turned, moved, atol=1e-3)


def test_nothing_waits_for_the_host() -> None:
    """Fake tensors have no values: reading one on the host fails."""
    bank = SceneBank.from_scenes([prepared(name, np.random.rand(50, 3).astype(np.float32), None) for name in "ab"])
    views = views_of([situated("a", 0.5, 1.0, 0.3), situated("b", 0.1, 0.0, 2.0)], np.array([0, 1]), bank.scan_frame)
    rows = torch.tensor([1, 0, 1])
    with FakeTensorMode(allow_non_fake_inputs=True):
        sample = bank.sample(
            views.scene[rows],
            InputConfig(num_points=40),
            torch.Generator().manual_seed(0),
            frame=views.frame_of(rows),
            augment=AugmentConfig(crop=False, flip=False, shift_m=0.0),
        )
    assert sample.batch.points.shape == (3, 40, 3)


def test_real_headings_are_of_scans_as_their_files_have_them(real_data: Path) -> None:
    """In a room people look along its walls: four directions, of each scan its own, so nothing is aligned there."""
    directions = defaultdict(set)
    for question in read_sqa3d(DataFolder(real_data), "val"):
        assert question.situation is not None
        directions[question.scene_id].add(round(question.situation.heading_rad, 4))
    means = np.array([np.exp(4j * np.array(list(angles))).mean() for angles in directions.values()])
    assert np.median(np.abs(means)) > 0.8
    assert np.abs((means / np.abs(means)).mean()) < 0.3


def test_real_agents_who_sit_look_into_the_room(real_data: Path) -> None:
    """Of the directions that the agent might look to in its own frame, -x is the one that fits the words."""
    towards = []
    for question in read_sqa3d(DataFolder(real_data), "val"):
        situation = question.situation
        assert situation is not None
        x, y, _ = situation.position
        if "sitting" in situation.text.lower() and math.hypot(x, y) > 0.8:
            towards.append(math.atan2(-y, -x) - situation.heading_rad - math.pi)
    mean = np.exp(1j * np.array(towards)).mean()
    assert len(towards) > 500 and abs(mean) > 0.4
    assert abs(np.degrees(np.angle(mean))) < 10
