"""The protocol against a slow, separate implementation."""

import numpy as np
import pytest

from askscan.metrics.detection import Detection, SceneDetections
from askscan.shapes import CLASS_NAMES


def random_scene(
    rng: np.random.Generator, num_boxes: int, num_proposals: int
) -> tuple[SceneDetections, np.ndarray, np.ndarray]:
    boxes = np.concatenate([rng.uniform(0, 3, (num_boxes, 3)), rng.uniform(0.5, 1.5, (num_boxes, 3))], 1)
    classes = rng.integers(0, 4, num_boxes)
    source = rng.integers(0, max(num_boxes, 1), num_proposals)
    guess = boxes[source] if num_boxes else np.ones((num_proposals, 6))
    probability = rng.dirichlet(np.full(18, 0.2), num_proposals)
    detections = SceneDetections(
        center=guess[:, :3] + rng.normal(0, 0.1, (num_proposals, 3)),
        size=guess[:, 3:] * rng.uniform(0.8, 1.2, (num_proposals, 3)),
        objectness=rng.uniform(0, 1, num_proposals),
        class_probability=probability,
    )
    return detections, boxes, classes


def iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = 1.0
    for axis in range(3):
        low = max(a[axis] - a[axis + 3] / 2, b[axis] - b[axis + 3] / 2)
        high = min(a[axis] + a[axis + 3] / 2, b[axis] + b[axis + 3] / 2)
        shared *= max(0.0, high - low)
    return shared / (a[3] * a[4] * a[5] + b[3] * b[4] * b[5] - shared)


def slow_average_precision(scenes: list, c: int, threshold: float) -> tuple[float, float]:
    entries = []
    for number, (detections, _, _) in enumerate(scenes):
        for k in range(len(detections.center)):
            if detections.objectness[k] > 0.05:
                score = detections.objectness[k] * detections.class_probability[k, c]
                entries.append((score, number, np.r_[detections.center[k], detections.size[k]]))
    entries.sort(key=lambda entry: -entry[0])
    total = sum(int((classes == c).sum()) for _, _, classes in scenes)
    if total == 0:
        return 0.0, 0.0
    used, hits, curve = set(), 0, []
    for rank, (_, number, box) in enumerate(entries, 1):
        _, boxes, classes = scenes[number]
        best, best_iou = None, -1.0
        for j in np.flatnonzero(classes == c):
            if iou(box, boxes[j]) > best_iou:
                best, best_iou = (number, j), iou(box, boxes[j])
        if best_iou > threshold and best not in used:
            used.add(best)
            hits += 1
        curve.append((hits / total, hits / rank))
    area, previous = 0.0, 0.0
    for i, (recall, _) in enumerate(curve):
        area += (recall - previous) * max(p for _, p in curve[i:])
        previous = recall
    return area, curve[-1][0] if curve else 0.0


@pytest.mark.parametrize("threshold", [0.25, 0.5])
def test_equals_the_slow_protocol(threshold: float) -> None:
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng, n, k) for n, k in ((5, 12), (0, 3), (8, 20), (3, 1))]
    metric = Detection()
    for scene in scenes:
        metric.add(*scene)
    slow = np.array([slow_average_precision(scenes, c, threshold) for c in range(18)])
    result = metric.compute(threshold, per_class=True)
    assert slow[:4, 0].max() > 0.2
    for c, name in enumerate(CLASS_NAMES[:4]):
        assert (result[f"AP@{threshold} {name}"], result[f"AR@{threshold} {name}"]) == pytest.approx(100 * slow[c])
    assert len(result) == 2 + 2 * 4  # classes that never occur have no row of their own
    assert result[f"mAP@{threshold}"] == pytest.approx(100 * slow[:, 0].mean())
    assert result[f"AR@{threshold}"] == pytest.approx(100 * slow[:, 1].mean())
    assert metric.absent_classes == CLASS_NAMES[4:]  # the means count 0 for each of them


def test_perfect_detections_score_100_over_the_classes_that_are_predicted() -> None:
    metric = Detection()
    rng = np.random.default_rng(0)
    _, boxes, _ = random_scene(rng, 18, 1)
    boxes[:, :3] += 10 * np.arange(18)[:, None]
    perfect = SceneDetections(
        center=boxes[:, :3], size=boxes[:, 3:], objectness=np.ones(18), class_probability=np.eye(18)
    )
    metric.add(perfect, boxes, np.arange(18))
    assert metric.compute(0.5, per_class=True)["mAP@0.5"] == pytest.approx(100)
    assert metric.compute(0.5, per_class=True)["AP@0.5 toilet"] == pytest.approx(100)


def test_nothing_scores_nothing() -> None:
    assert Detection().compute(0.25) == {"mAP@0.25": 0.0, "AR@0.25": 0.0}
    assert Detection().absent_classes == ()
