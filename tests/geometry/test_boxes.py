from __future__ import annotations

from itertools import product

import pytest
import torch

from askscan.geometry.boxes import box_corners, decode_boxes, mean_sizes
from askscan.records import DetectorOutput
from askscan.shapes import MEAN_SIZES


def test_corners_come_in_the_benchmarks_order() -> None:
    corners = box_corners(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0]))
    order = ["+++", "+-+", "--+", "-++", "++-", "+--", "---", "-+-"]
    expected = [
        [c + h * (1 if s == "+" else -1) for c, h, s in zip((1, 2, 3), (1, 2, 3), signs, strict=True)]
        for signs in order
    ]
    assert corners.tolist() == expected


def detector_output(generator: torch.Generator) -> DetectorOutput:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(2, *shape, generator=generator)

    return DetectorOutput(
        seed_index=torch.zeros(2, 4, dtype=torch.int64),
        seed_xyz=normal(4, 3),
        vote_xyz=normal(4, 3),
        proposal_vote_xyz=normal(5, 3),
        features=normal(5, 8),
        objectness=normal(5, 2),
        center=normal(5, 3),
        heading_scores=normal(5, 1),
        heading_residuals=normal(5, 1),
        size_scores=normal(5, 18),
        size_residuals=normal(5, 18, 3),
        semantic_scores=normal(5, 18),
    )


def test_decoding_matches_a_loop(generator: torch.Generator) -> None:
    output = detector_output(generator)
    boxes = decode_boxes(output)
    for i, j in product(range(2), range(5)):
        best = int(output.size_scores[i, j].argmax())
        expected = [
            m * (1 + float(r)) for m, r in zip(MEAN_SIZES[best], output.size_residuals[i, j, best], strict=True)
        ]
        assert boxes.size[i, j].tolist() == pytest.approx(expected, rel=1e-6)
        assert bool(boxes.is_object[i, j]) == (float(boxes.objectness[i, j]) > 0.5)
    assert torch.equal(boxes.center, output.center)
    assert torch.equal(boxes.semantic_class, output.semantic_scores.argmax(-1))


def test_mean_sizes_can_be_made_in_inference_and_used_in_training() -> None:
    with torch.inference_mode():
        sizes = mean_sizes(torch.device("cpu"))
    assert sizes.tolist() == [pytest.approx(row) for row in MEAN_SIZES]
    weight = torch.ones(3, requires_grad=True)
    (sizes * weight).sum().backward()
    assert weight.grad is not None
