import math

import numpy as np
import pytest
import torch

from askscan.data.augment import AugmentConfig, Motion, crop_scenes, draw_crops, draw_motions, flipped
from askscan.errors import ConfigError


def crop_case(num_points: int = 400, num_scenes: int = 24, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(num_scenes, num_points, 3, generator=generator) * torch.tensor([6.0, 4.0, 3.0])
    count = torch.full((num_scenes,), num_points - 30)
    real = xyz[:, : num_points - 30]
    extent = real.amax(1) - real.amin(1)
    center = torch.rand(num_scenes, 5, 3, generator=generator) * torch.tensor([6.0, 4.0, 3.0])
    mask = torch.tensor([True, True, True, True, False]).expand(num_scenes, 5)
    return xyz, count, extent, center, mask, generator


def test_a_crop_keeps_enough_points_and_what_the_texts_are_about():
    xyz, count, extent, center, mask, generator = crop_case()
    must_keep = torch.zeros_like(mask)
    must_keep[:, 1] = True
    config = AugmentConfig(crop_min_points=200)
    crop = crop_scenes(xyz, count, extent, center, mask, must_keep, draw_crops(len(xyz), config, generator), config)
    cropped = crop.points.sum(1) < count
    assert cropped.float().mean() > 0.3
    assert not crop.points[:, 370:].any()  # padding is never kept
    assert (crop.points.sum(1) >= 200).all()
    for b in range(len(xyz)):
        kept = xyz[b, crop.points[b]]
        low, high = kept.amin(0), kept.amax(0)
        outside = ((xyz[b, :370] >= low) & (xyz[b, :370] <= high)).all(1) & ~crop.points[b, :370]
        assert not outside.any()  # all points of the cuboid are kept
        inside = ((center[b] >= low) & (center[b] <= high)).all(1)
        assert bool(crop.boxes[b, 1])
        assert not crop.boxes[b, 4]
        if cropped[b]:
            assert torch.equal(crop.boxes[b], inside & mask[b])
            share = (high - low) / extent[b]
            assert (share <= 1 + 1e-6).all()


def test_scenes_with_too_few_points_stay_whole():
    xyz, count, extent, center, mask, generator = crop_case()
    config = AugmentConfig(crop_min_points=380)
    draws = draw_crops(len(xyz), config, generator)
    crop = crop_scenes(xyz, count, extent, center, mask, torch.zeros_like(mask), draws, config)
    assert (crop.points.sum(1) == count).all()
    assert torch.equal(crop.boxes, mask)


def test_a_crop_that_would_lose_a_target_is_not_taken():
    xyz, count, extent, center, mask, generator = crop_case()
    corners = center.clone()
    corners[:, 0], corners[:, 1] = 0.01, torch.tensor([5.99, 3.99, 2.99])
    keep = torch.zeros_like(mask)
    keep[:, :2] = True
    config = AugmentConfig(crop_min_points=50)
    crop = crop_scenes(xyz, count, extent, corners, mask, keep, draw_crops(len(xyz), config, generator), config)
    assert (crop.points.sum(1) == count).float().mean() > 0.9


def test_a_rotation_is_about_x_then_y_then_z():
    generator = torch.Generator().manual_seed(1)
    motion, signs = draw_motions(64, AugmentConfig(rotation_deg=30.0), generator)
    uniform = torch.rand(64, 9, generator=torch.Generator().manual_seed(1)).double()
    angles = (2 * uniform[:, 2:5] - 1) * math.radians(30)
    for b in range(64):
        x, y, z = angles[b].numpy()
        about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
        about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
        about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
        expected = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
        np.testing.assert_allclose(motion.matrix[b].numpy(), expected, atol=1e-6)
    assert set(signs[:, 0].tolist()) == set(signs[:, 1].tolist()) == {-1.0, 1.0}
    assert set(signs[:, 2].tolist()) == {1.0}
    assert motion.offset.abs().max() <= 0.5
    assert motion.offset.abs().max() > 0.4


def test_flips_happen_only_where_they_are_allowed():
    motion, signs = draw_motions(32, AugmentConfig(rotation_deg=0.0), torch.Generator().manual_seed(2))
    allowed = torch.arange(32) % 2 == 0
    moved = flipped(motion, signs, allowed)
    assert torch.equal(moved.matrix[~allowed], torch.eye(3).expand(16, 3, 3))
    assert torch.equal(moved.matrix[allowed], torch.diag_embed(signs[allowed]))


def test_quarter_turns_keep_boxes_exact():
    motion, _ = draw_motions(32, AugmentConfig(rotation_deg=0.0, quarter_turns=True), torch.Generator().manual_seed(3))
    size = torch.tensor([1.0, 2.0, 3.0]).expand(32, 1, 3)
    sizes = {tuple(row) for row in motion.box_sizes(size)[:, 0].round(decimals=4).tolist()}
    assert sizes == {(1.0, 2.0, 3.0), (2.0, 1.0, 3.0)}


def test_a_turned_box_grows_to_its_hull():
    angle = math.radians(10)
    matrix = torch.tensor([[[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]])
    motion = Motion(matrix=matrix, offset=torch.zeros(1, 3))
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-0.5, 0.5) for z in (-2.0, 2)])
    moved = motion.points(corners[None])[0]
    expected = moved.amax(0) - moved.amin(0)
    torch.testing.assert_close(motion.box_sizes(torch.tensor([[[2.0, 1.0, 4.0]]]))[0, 0], expected)
    assert (expected[:2] > torch.tensor([2.0, 1.0])).all()


def test_limits_are_checked():
    with pytest.raises(ConfigError, match="crop_min_fraction"):
        AugmentConfig(crop_min_fraction=0.0)
    with pytest.raises(ConfigError, match="rotation_deg"):
        AugmentConfig(rotation_deg=-1.0)
