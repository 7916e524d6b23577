"""Average precision and recall of 3D detection by VoteNet's protocol (Qi et al., ICCV 2019, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from askscan.shapes import CLASS_NAMES, NUM_CLASSES

MIN_OBJECTNESS = 0.05
"""Proposals below it give no detections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDetections:
    """Proposals of one scene that survived suppression and hold at least 5 of the sampled points."""

    center: Float[ndarray, "k 3"]
    size: Float[ndarray, "k 3"]
    objectness: Float[ndarray, "k"]
    """Probability of being an object."""
    class_probability: Float[ndarray, "k c"]


@dataclass(slots=True)
class Detection:
    """mAP and mean recall over classes: one detection per (proposal, class), score objectness x class probability.

    A detection tries only the true box that it overlaps most; it hits if the IoU is strictly above the threshold and no
    better-scored one took that box. Classes that are predicted but never true count with 0.
    """

    _scans: list[tuple[Float[ndarray, "k c"], Int[ndarray, "k c"], Float[ndarray, "k c"]]] = field(default_factory=list)
    """Of each scan, by detection: score, the true box that it overlaps most, and by how much."""
    _num_true: ndarray = field(default_factory=lambda: np.zeros(NUM_CLASSES, np.int64))

    def add(self, detections: SceneDetections, boxes: Float[ndarray, "o 6"], box_class: Int[ndarray, "o"]) -> None:
        """Count one scan, once: its detections and its true boxes (centre, size) with their classes."""
        kept = detections.objectness > MIN_OBJECTNESS
        scores = detections.objectness[kept, None] * detections.class_probability[kept]
        self._num_true += np.bincount(box_class, minlength=NUM_CLASSES)
        iou = iou_matrix(detections.center[kept], detections.size[kept], boxes[:, :3], boxes[:, 3:])
        nearest, overlap = np.zeros(scores.shape, np.int64), np.zeros(scores.shape)
        for c in np.unique(box_class):
            of_class = iou[:, box_class == c]
            nearest[:, c], overlap[:, c] = of_class.argmax(1), of_class.max(1)
        self._scans.append((scores, nearest, overlap))

    def compute(self, threshold: float, *, per_class: bool = False) -> dict[str, float]:
        """`mAP@t` and `AR@t` x100; with `per_class` also `AP@t <class>`, `AR@t <class>` of the classes that occur."""
        classes = [c for c in range(NUM_CLASSES) if self._predicted or self._num_true[c]]
        figures = {c: self._average_precision(c, threshold) for c in classes}
        mean = np.mean(list(figures.values()), axis=0) if figures else np.zeros(2)
        result = {f"mAP@{threshold}": 100 * float(mean[0]), f"AR@{threshold}": 100 * float(mean[1])}
        if per_class:
            present = [c for c in classes if self._num_true[c]]
            for i, name in enumerate(("AP", "AR")):
                result |= {f"{name}@{threshold} {CLASS_NAMES[c]}": 100 * figures[c][i] for c in present}
        return result

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Classes that are never true and count with 0 all the same; none where nothing is predicted."""
        return tuple(CLASS_NAMES[c] for c in range(NUM_CLASSES) if self._predicted and not self._num_true[c])

    @property
    def _predicted(self) -> bool:
        return any(len(scores) for scores, _, _ in self._scans)

    def _average_precision(self, c: int, threshold: float) -> tuple[float, float]:
        """(average precision by the all-points rule, highest recall) of one class over all scans."""
        if self._num_true[c] == 0:
            return 0.0, 0.0
        scores, box, iou = (np.concatenate([part[:, c] for part in parts]) for parts in zip(*self._scans, strict=True))
        scene = np.repeat(np.arange(len(self._scans)), [len(own) for own, _, _ in self._scans])
        order = np.argsort(-scores, kind="stable")
        taken: set[tuple[int, int]] = set()
        hit: Bool[ndarray, "d"] = np.zeros(len(scores), bool)
        for i in order[iou[order] > threshold]:
            key = (int(scene[i]), int(box[i]))
            hit[i] = key not in taken
            taken.add(key)
        true_positives = np.cumsum(hit[order])
        recall = true_positives / self._num_true[c]
        precision = true_positives / np.arange(1, len(order) + 1)
        return _area(recall, precision), float(recall[-1]) if len(recall) else 0.0


def _area(recall: ndarray, precision: ndarray) -> float:
    """Area under the precision envelope (VOC 2010 and later)."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


def iou_matrix(center_a: ndarray, size_a: ndarray, center_b: ndarray, size_b: ndarray) -> Float[ndarray, "k o"]:
    """IoU of every box of `a` with every box of `b`, each as (centre, size) rows; sizes below 0 count as 0."""
    low = np.maximum((center_a - size_a / 2)[:, None], (center_b - size_b / 2)[None])
    high = np.minimum((center_a + size_a / 2)[:, None], (center_b + size_b / 2)[None])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = size_a.clip(0).prod(-1)[:, None] + size_b.prod(-1)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
