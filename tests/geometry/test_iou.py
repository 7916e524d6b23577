from __future__ import annotations

import pytest
import torch

from askscan.geometry.iou import box_iou, pairwise_iou


def slow_iou(a: list[list[float]], b: list[list[float]]) -> float:
    """Of two boxes given as [centre, size]."""
    inter = 1.0
    for ca, sa, cb, sb in zip(a[0], a[1], b[0], b[1], strict=True):
        inter *= max(0.0, min(ca + sa / 2, cb + sb / 2) - max(ca - sa / 2, cb - sb / 2))
    union = a[1][0] * a[1][1] * a[1][2] + b[1][0] * b[1][1] * b[1][2] - inter
    return inter / union if union > 0 else 0.0


def test_pairs_match_a_loop(generator: torch.Generator) -> None:
    a, b = torch.rand(2, 2, 5, 3, generator=generator).double(), torch.rand(2, 2, 4, 3, generator=generator).double()
    a[1] += 0.5
    found = pairwise_iou(a[0], a[1], b[0], b[1])
    for i in range(2):
        for j in range(5):
            for k in range(4):
                expected = slow_iou(
                    [a[0, i, j].tolist(), a[1, i, j].tolist()], [b[0, i, k].tolist(), b[1, i, k].tolist()]
                )
                assert float(found[i, j, k]) == pytest.approx(expected, abs=1e-12)
    assert float(found.max()) > 0.2


def test_known_values() -> None:
    one, zero = torch.ones(3), torch.zeros(3)
    assert float(box_iou(zero, one, zero, one)) == 1.0
    half = torch.tensor([0.5, 0.0, 0.0])
    assert float(box_iou(zero, one, half, one)) == pytest.approx(1 / 3)
    assert float(box_iou(zero, one, torch.tensor([1.0, 0, 0]), one)) == 0.0, "boxes that touch do not overlap"


def test_empty_and_negative_sizes_overlap_nothing() -> None:
    one, zero = torch.ones(3), torch.zeros(3)
    assert float(box_iou(zero, zero, zero, zero)) == 0.0
    assert float(box_iou(zero, -one, zero, one)) == 0.0
