from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from askscan.data.augment import AugmentConfig
from askscan.data.bank import InputConfig, SceneBank, choose_points
from askscan.errors import ConfigError, DataError
from askscan.records import PreparedScene
from askscan.shapes import MAX_OBJECTS

ALL = InputConfig(num_points=500, color=True, normals=True, height=True)
AUGMENT = AugmentConfig(crop_min_points=300)


def scene(num_points: int, seed: int = 0, num_objects: int = 6) -> PreparedScene:
    """Random points; colours count the points, so that each is known again."""
    rng = np.random.default_rng(seed)
    xyz = (rng.random((num_points, 3)) * [5, 4, 3] - [2, 2, 0.3]).astype(np.float32)
    instance = np.minimum((np.abs(xyz[:, 0] + 2) / 5 * (num_objects + 2)).astype(np.int32), num_objects)
    boxes = np.zeros((num_objects, 6), np.float32)
    for slot in range(num_objects):
        own = xyz[instance == slot + 1]
        if len(own):
            boxes[slot] = np.concatenate([(own.min(0) + own.max(0)) / 2, np.ptp(own, 0)])
    normals = rng.normal(size=(num_points, 3))
    index = np.arange(num_points)
    return PreparedScene(
        scene_id=f"scene{seed:04}_00",
        xyz=xyz,
        rgb=np.stack([index % 256, index // 256, np.full(num_points, seed)], 1).astype(np.uint8),
        normals=np.round(127 * normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.int8),
        instance=instance,
        boxes=boxes,
        box_class=(np.arange(num_objects) % 18).astype(np.int32),
        object_id=np.arange(num_objects, dtype=np.int32) * 2,
        scene_type="",
    )


SCENES = [scene(700, 0), scene(450, 1, num_objects=3), scene(900, 2)]


@pytest.fixture(scope="module")
def bank() -> SceneBank:
    return SceneBank.from_scenes(SCENES)


def draw(bank: SceneBank, seed: int = 0, rows=(2, 0, 1, 0), **options):
    options = {"inputs": ALL, "augment": AUGMENT} | options
    inputs = options.pop("inputs")
    return bank.sample(torch.tensor(rows), inputs, torch.Generator().manual_seed(seed), **options)


def test_a_scene_as_it_stands_is_always_shown_by_the_same_points(bank: SceneBank) -> None:
    many = bank.points(torch.tensor([2, 0, 1]), ALL)
    for row, own in zip((2, 0, 1), many, strict=True):
        assert torch.equal(bank.points(torch.tensor([row]), ALL)[0], own)
        count = len(SCENES[row].xyz)
        np.testing.assert_array_equal(own[:, :3], SCENES[row].xyz[np.arange(500) % count])


def point_index(points: torch.Tensor) -> np.ndarray:
    rgb = np.round(points[..., 3:6].numpy() * 256 + np.array([109.8, 97.2, 83.8])).astype(int)
    return rgb[..., 0] + 256 * rgb[..., 1]


def test_the_same_seed_gives_the_same_batch(bank: SceneBank):
    first, again, other = draw(bank, 5), draw(bank, 5), draw(bank, 6)
    for name in ("points",):
        assert torch.equal(getattr(first.batch, name), getattr(again.batch, name))
        assert not torch.equal(getattr(first.batch, name), getattr(other.batch, name))
    assert torch.equal(first.batch.votes.offset, again.batch.votes.offset)
    assert torch.equal(first.batch.boxes.center, again.batch.boxes.center)
    assert not torch.equal(first.batch.points[1], first.batch.points[3])  # the same scene twice


def test_points_are_drawn_once_before_any_is_drawn_twice(bank: SceneBank):
    index = point_index(draw(bank, augment=None).batch.points)
    assert len(set(index[0])) == len(set(index[1])) == 500
    counts = np.bincount(index[2], minlength=450)
    assert set(counts) == {1, 2}
    assert not np.array_equal(index[1], np.sort(index[1]))


def test_every_point_is_drawn_alike():
    keep = torch.ones(32, 40, dtype=torch.bool)
    keep[:, 30:] = False
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(40)
    for _ in range(100):
        noise = torch.randint(0, 1 << 24, keep.shape, generator=generator, dtype=torch.int32)
        counts += torch.bincount(choose_points(noise, keep, 10).flatten(), minlength=40)
    assert (counts[30:] == 0).all()
    expected = 32 * 100 / 3
    assert ((counts[:30] - expected).abs() < 5 * (expected * 2 / 3) ** 0.5).all()


def test_colors_belong_to_their_points_and_all_channels_follow_the_motion(bank: SceneBank):
    sample = draw(bank)
    points, motion = sample.batch.points, sample.motion
    rows = (2, 0, 1, 0)
    assert motion is not None
    for b, row in enumerate(rows):
        index = point_index(points[b])
        assert (index < len(SCENES[row].xyz)).all()
        matrix, offset = motion.matrix[b].numpy(), motion.offset[b].numpy()
        np.testing.assert_allclose(points[b, :, :3], SCENES[row].xyz[index] @ matrix.T + offset, atol=1e-5)
        normals = SCENES[row].normals[index].astype(np.float64)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        np.testing.assert_allclose(points[b, :, 6:9], normals @ matrix.T, atol=1e-5)
        floor = np.percentile(SCENES[row].xyz[:, 2], 0.99)
        np.testing.assert_allclose(points[b, :, 9], SCENES[row].xyz[index, 2] - floor, atol=1e-5)
        assert np.linalg.det(matrix) == pytest.approx(np.linalg.det(np.sign(matrix) * np.eye(3)), abs=1e-5)


def test_votes_and_boxes_follow_the_points(bank: SceneBank):
    sample = draw(bank, augment=AugmentConfig(crop=False))
    points, votes, boxes = sample.batch.points, sample.batch.votes, sample.batch.boxes
    for b, row in enumerate((2, 0, 1, 0)):
        xyz, instance = points[b, :, :3].numpy(), SCENES[row].instance[point_index(points[b])]
        assert np.array_equal(votes.mask[b].numpy(), instance > 0)
        for slot in range(len(SCENES[row].boxes)):
            own = xyz[instance == slot + 1]
            middle = (own.min(0) + own.max(0)) / 2
            target = own + votes.offset[b].numpy()[instance == slot + 1]
            np.testing.assert_allclose(target, np.broadcast_to(middle, target.shape), atol=1e-5)
            gap = np.abs(own - boxes.center[b, slot].numpy()) - boxes.size[b, slot].numpy() / 2
            assert gap.max() < 1e-4  # the moved box still holds the moved points
    assert boxes.mask.sum(1).tolist() == [6, 6, 3, 6]


def test_a_crop_takes_its_boxes_along(bank: SceneBank):
    must_keep = torch.zeros(4, bank.num_slots, dtype=torch.bool)
    must_keep[:, 2] = True
    cropped = 0
    for seed in range(5):
        sample = draw(
            bank, seed, must_keep=must_keep, augment=replace(AUGMENT, rotation_deg=0.0, shift_m=0.0, flip=False)
        )
        boxes = sample.batch.boxes
        assert boxes.mask[:, 2].all()
        cropped += int((boxes.mask.sum(1) < torch.tensor([6, 6, 3, 6])).sum())
        xyz = sample.batch.points[..., :3]
        outside = (boxes.center < xyz.amin(1)[:, None]) | (boxes.center > xyz.amax(1)[:, None])
        assert not (outside.any(-1) & boxes.mask).sum() > 4  # sampling may shrink the extent a little
    assert cropped > 0


def test_nothing_kept_is_written_to(bank: SceneBank):
    before = {field.name: getattr(bank, field.name) for field in fields(bank)}
    before = {name: value.clone() for name, value in before.items() if isinstance(value, torch.Tensor)}
    draw(bank)
    draw(bank, augment=None)
    assert all(torch.equal(value, getattr(bank, name)) for name, value in before.items())
    again = draw(bank, augment=None).batch.points[..., 3:6]
    assert torch.equal(again, draw(bank, augment=None).batch.points[..., 3:6])


def test_what_happens_to_a_scene_does_not_depend_on_how_the_batch_is_divided(bank: SceneBank):
    whole = draw(bank)
    for rank in range(2):
        part = draw(bank, rows=(2, 0, 1, 0)[2 * rank : 2 * rank + 2], share=(rank, 2))
        mine = slice(2 * rank, 2 * rank + 2)
        assert torch.equal(part.batch.points, whole.batch.points[mine])
        assert torch.equal(part.batch.boxes.mask, whole.batch.boxes.mask[mine])


@pytest.mark.parametrize("augment", [None, AUGMENT])
def test_no_value_decides_what_runs(bank: SceneBank, augment):
    """Tensors without values cannot answer `.item()`, `nonzero` or a boolean mask: those raise here."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        batch = draw(bank, augment=augment).batch
    assert batch.points.shape == (4, 500, 10)


@pytest.mark.parametrize(("option", "channels"), [("color", 3), ("normals", 3), ("height", 1)])
def test_each_input_option_adds_its_channels(bank: SceneBank, option: str, channels: int):
    inputs = InputConfig(num_points=64, **{option: True})
    assert draw(bank, inputs=inputs).batch.points.shape == (4, 64, 3 + channels)


@pytest.mark.parametrize(
    "change",
    [
        {"crop": False},
        {"crop_tries": 20},
        {"crop_min_points": 600},
        {"crop_min_fraction": 0.7},
        {"crop_min_ratio": 0.99},
        {"flip": False},
        {"quarter_turns": True},
        {"rotation_deg": 1.0},
        {"shift_m": 0.1},
    ],
    ids=str,
)
def test_every_augmentation_option_changes_batches(bank: SceneBank, change: dict):
    assert {field.name for field in fields(AugmentConfig)} >= change.keys()
    before, after = (
        draw(bank, rows=(2, 0, 2, 0) * 4, augment=config) for config in (AUGMENT, replace(AUGMENT, **change))
    )
    assert not torch.equal(before.batch.points, after.batch.points)


def test_missing_channels_are_noted_and_neutral():
    bare = SceneBank.from_scenes([replace(SCENES[0], rgb=None, normals=None)])
    assert len(bare.notes) == 2
    assert "scene0000_00" in bare.notes[0]
    points = draw(bare, rows=(0,)).batch.points
    assert points[..., 3:6].abs().max() < 0.01
    assert (points[..., 6:9] == 0).all()


def test_objects_beyond_the_limit_are_left_out():
    many = scene(2000, 3, num_objects=140)
    bank = SceneBank.from_scenes([many])
    assert bank.num_slots == MAX_OBJECTS == len(bank.object_ids[0])
    assert int(bank.instance.max()) <= MAX_OBJECTS
    assert "128th" in bank.notes[0]


def test_bad_input_is_named():
    with pytest.raises(DataError, match="scene0007_00 has no points"):
        SceneBank.from_scenes([scene(0, 7, num_objects=0)])
    with pytest.raises(DataError, match="no scene"):
        SceneBank.from_scenes([])
    with pytest.raises(ConfigError, match="num_points"):
        InputConfig(num_points=0)
