"""Answered questions one by one, and what they come to room by room: shares and differences with their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.data.json_fields import read_json
from askscan.errors import DataError
from askscan.evaluate.prediction_file import MAX_ANSWERS
from askscan.evaluate.score import AGAIN
from askscan.metrics.intervals import resampled_shares, span
from askscan.metrics.localization import IOU_THRESHOLDS

SHARES = ("EM@1", "EM@10", *(f"Acc@{threshold}" for threshold in IOU_THRESHOLDS))
"""Figures that are shares of questions."""
QUESTIONS = "questions"
RoomCounts = Mapping[str, Mapping[str, int]]
"""Of each room the number of `questions`, and how many of them each of `SHARES` counts, as far as a run has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with what a run answered."""

    question_id: str
    scene_id: str
    question: str
    question_type: str
    truth: tuple[str, ...]
    """Right answers; empty where unknown."""
    answers: tuple[str, ...]
    """Best first."""
    confidence: tuple[float, ...]
    """Of each answer; empty for systems that give none."""
    box: Float[ndarray, "6"] | None
    """Predicted centre and size, aligned metres."""
    true_box: Float[ndarray, "6"] | None
    iou: float | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same question: collections use the same ids."""
        return self.question_id, self.scene_id, self.question

    @property
    def right(self) -> bool:
        """Whether the top answer is one of the right ones."""
        return self.answers[0] in self.truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share or a difference x100 with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    def text(self, *, signed: bool = False) -> str:
        """Value and interval.

        >>> Estimate(value=1.0, low=-0.5, high=2.5).text(signed=True)
        '+1.0 [-0.5, +2.5]'
        """
        value, low, high = (f"{part:{'+' if signed else ''}.1f}" for part in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


def read_cases(path: Path) -> tuple[Case, ...]:
    """Read a `details.<split>.json`.

    Raises:
        DataError: It is missing or damaged.
    """
    entries = read_json(path, expected=list, remedy=AGAIN)
    try:
        return tuple(map(_case, entries))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is no details file ({error!r}); {AGAIN}.") from error


def _case(entry: Mapping[str, Any]) -> Case:
    truth, given = entry.get("true_box"), entry.get("box")
    return Case(
        question_id=str(entry["question_id"]),
        scene_id=str(entry["scene_id"]),
        question=str(entry["question"]),
        question_type=str(entry["type"]),
        truth=tuple(entry["right_answers"]),
        answers=tuple(entry["answers"]),
        confidence=tuple(entry["confidence"]),
        box=None if given is None else _box(given),
        true_box=None if truth is None else _box(truth),
        iou=entry.get("iou"),
    )


def _box(box: Mapping[str, Any]) -> Float[ndarray, "6"]:
    return np.array([*box["center"], *box["size"]], np.float64).reshape(6)


def room_counts(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """What cases come to by room, in the order of the rooms' names, counted as `score` does."""
    ranked = any(len(case.answers) > 1 for case in cases)
    located = any(case.iou is not None for case in cases)
    rooms: dict[str, Counter[str]] = {}
    for case in cases:
        hits = {"EM@1": case.right}
        if ranked:
            hits["EM@10"] = any(answer in case.truth for answer in case.answers[:MAX_ANSWERS])
        if located:  # an object without a box counts as not found
            hits |= {f"Acc@{threshold}": (case.iou or 0.0) >= threshold for threshold in IOU_THRESHOLDS}
        counts = rooms.setdefault(case.scene_id, Counter())
        counts.update({QUESTIONS: 1, **{name: int(hit) for name, hit in hits.items()}})
    return {room: dict(rooms[room]) for room in sorted(rooms)}


def share_of(runs: Sequence[RoomCounts], share: str) -> Estimate | None:
    """A share over runs of one kind on the same questions; None where one of them does not have it."""
    if not _have(runs, share):
        return None
    low, high = span(_resampled(runs, share))
    return Estimate(value=_percent(runs, share), low=low, high=high)


def difference(
    ours: Sequence[RoomCounts], theirs: Sequence[RoomCounts], share: str, *, paired: bool = True
) -> Estimate | None:
    """How much more of a share runs have than others on the same questions; None where one of them does not have it.

    Rooms are drawn for both sides at once; where `paired`, so are runs: the first of either side together, and so on.
    """
    if not _have([*ours, *theirs], share):
        return None
    low, high = span(_resampled(ours, share) - _resampled(theirs, share, draw=0 if paired else 1))
    return Estimate(value=_percent(ours, share) - _percent(theirs, share), low=low, high=high)


def _have(runs: Sequence[RoomCounts], share: str) -> bool:
    return all(share in counts for rooms in runs for counts in rooms.values())


def _resampled(runs: Sequence[RoomCounts], share: str, *, draw: int = 0) -> Float[ndarray, "r"]:
    order = sorted(runs[0])
    hits = np.array([[rooms[room][share] for room in order] for rooms in runs], np.float64)
    return resampled_shares(hits, np.array([runs[0][room][QUESTIONS] for room in order], np.float64), seed=draw)


def _percent(runs: Sequence[RoomCounts], share: str) -> float:
    hits, count = (sum(counts[name] for rooms in runs for counts in rooms.values()) for name in (share, QUESTIONS))
    return 100 * hits / count
