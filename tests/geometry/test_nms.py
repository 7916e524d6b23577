from __future__ import annotations

import pytest
import torch
from torch import Tensor

from askscan.geometry.iou import box_iou
from askscan.geometry.nms import nms_3d


def greedy(center: Tensor, size: Tensor, score: Tensor, label: Tensor, valid: Tensor, threshold: float) -> list[bool]:
    order = sorted((i for i in range(len(score)) if valid[i]), key=lambda i: (-float(score[i]), i))
    kept: list[int] = []
    for i in order:
        overlaps = (
            label[i] == label[j] and float(box_iou(center[i], size[i], center[j], size[j])) > threshold for j in kept
        )
        if not any(overlaps):
            kept.append(i)
    return [i in kept for i in range(len(score))]


@pytest.mark.parametrize(("num_boxes", "num_classes"), [(1, 1), (37, 1), (64, 3), (256, 2)])
def test_equals_the_greedy_loop(generator: torch.Generator, num_boxes: int, num_classes: int) -> None:
    center = torch.rand(2, num_boxes, 3, generator=generator) * 2
    size = 0.3 + torch.rand(2, num_boxes, 3, generator=generator)
    score = torch.randint(0, 20, (2, num_boxes), generator=generator) / 20  # with ties
    label = torch.randint(0, num_classes, (2, num_boxes), generator=generator)
    valid = torch.rand(2, num_boxes, generator=generator) < 0.8
    kept = nms_3d(center, size, score, label, valid, iou_threshold=0.25)
    for i in range(2):
        assert kept[i].tolist() == greedy(center[i], size[i], score[i], label[i], valid[i], 0.25)


def test_a_long_chain_keeps_every_second() -> None:
    # Box i overlaps only its neighbours, so that each decision waits for the one before.
    center = torch.stack([torch.arange(256) * 0.5, torch.zeros(256), torch.zeros(256)], -1)[None]
    ones = torch.ones(1, 256, dtype=torch.bool)
    kept = nms_3d(center, torch.ones(1, 256, 3), -torch.arange(256.0)[None], torch.zeros(1, 256).long(), ones)
    assert kept[0].tolist() == [i % 2 == 0 for i in range(256)]


def test_boxes_that_are_not_valid_remove_nothing() -> None:
    center, size = torch.zeros(1, 3, 3), torch.ones(1, 3, 3)
    valid = torch.tensor([[False, True, True]])
    kept = nms_3d(center, size, torch.tensor([[3.0, 2.0, 1.0]]), torch.zeros(1, 3).long(), valid)
    assert kept.tolist() == [[False, True, False]]
