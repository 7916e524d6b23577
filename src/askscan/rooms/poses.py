"""Where somebody can sit or stand in a generated room, and what lies to which side from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from askscan.rooms.references import Finder, Reference
from askscan.rooms.room import Furnishing

DIRECTIONS = (("front", "in front of me"), ("behind", "behind me"), ("left", "on my left"), ("right", "on my right"))
AXES_RAD = {"front": 0.0, "left": np.pi / 2, "right": -np.pi / 2, "behind": np.pi}
SEATS = ("chair", "couch", "toilet", "stool", "bench")
STEP_BACK_M = 0.55
BODY_M = 0.2
"""Half the width that somebody needs to stand."""

WORDINGS = {
    "sitting": (
        "I am sitting on {ref}{clause}.",
        "I have just sat down on {ref}{clause}.",
        "Sitting on {ref}{clause}, I look straight ahead.",
        "I took a seat on {ref}{clause} to rest for a while.",
    ),
    "standing": (
        "I am standing in front of {ref}, facing it{clause}.",
        "I am looking at {ref} right in front of me{clause}.",
        "I walked up to {ref} and stopped before it{clause}.",
        "Standing before {ref}, I have a close look at it{clause}.",
    ),
    "entering": (
        "I have just come in through {ref}{clause}.",
        "I am standing with my back to {ref}{clause}.",
        "I entered the room by {ref} and stopped{clause}.",
        "I closed {ref} behind me and look into the room{clause}.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """A place and a direction, in words and in metres."""

    texts: tuple[str, ...]
    """The situation in at least three wordings."""
    position: tuple[float, float]
    heading_rad: float
    used: frozenset[int]
    """Objects that the words mention: nothing is asked about them."""
    manner: str
    """`sitting`, `standing` or `entering`: where things are likely to be depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What lies where for somebody at a pose: for each direction, surely or maybe."""

    sure: dict[str, Bool[ndarray, "o"]]
    maybe: dict[str, Bool[ndarray, "o"]]
    bearing_rad: Float[ndarray, "o"]
    """Of the objects' centres: 0 ahead, positive to the left, in (-pi, pi]."""
    distance_m: Float[ndarray, "o"]
    """Horizontal distance to the nearest point of each box."""


def poses(finder: Finder) -> Iterator[Pose]:
    """Seats with a unique name, free places in front of pieces, and doors."""
    for item in finder.room.furnishings:
        references = finder.simple[item.object_id] or finder.related(item.object_id)
        if not references:
            continue
        reference = references[0]
        if item.kind.endswith(SEATS):
            yield _pose(finder, reference, "sitting", item.center[:2], item.heading_rad)
            continue
        front = _front(item)
        if not _is_free(finder, front):
            continue
        if item.kind == "door":
            yield _pose(finder, reference, "entering", front, item.heading_rad)
        elif item.support is None and max(item.size) > 0.6 and (item.on_wall or item.against_wall):
            turned = float(np.angle(np.exp(1j * (item.heading_rad + np.pi))))
            yield _pose(finder, reference, "standing", front, turned)


def _front(item: Furnishing) -> tuple[float, float]:
    """The place one step before an object's front."""
    ahead = np.array([np.cos(item.heading_rad), np.sin(item.heading_rad)])
    reach = float(np.abs(ahead) @ np.array(item.size[:2])) / 2 + STEP_BACK_M
    return (float(item.center[0] + ahead[0] * reach), float(item.center[1] + ahead[1] * reach))


def _is_free(finder: Finder, place: tuple[float, float]) -> bool:
    rel, point = finder.relations, np.array(place)
    inside = (point > BODY_M).all() and (point < np.array(finder.room.size[:2]) - BODY_M).all()
    within = (point > rel.low[:, :2] - BODY_M) & (point < rel.high[:, :2] + BODY_M)
    blocked = within.all(-1) & (rel.low[:, 2] < 1)
    return bool(inside and not blocked.any())


def _pose(finder: Finder, reference: Reference, manner: str, place: tuple[float, ...], heading_rad: float) -> Pose:
    position = (float(place[0]), float(place[1]))
    used = {reference.target, *reference.anchors}
    bare = Pose(texts=(), position=position, heading_rad=float(heading_rad), used=frozenset(used), manner=manner)
    clauses = [""]
    seen = view(finder, bare)
    for direction, where in DIRECTIONS[1:]:
        for other in (r[0] for r in finder.simple if r):
            beside = seen.sure[direction][other.target] and seen.distance_m[other.target] < 1.5
            if beside and other.target not in used and len(clauses) < 2:
                clauses = [f", with {other.text} {where}"]
                used.add(other.target)
    texts = tuple(text.format(ref=reference.text, clause=clauses[0]) for text in WORDINGS[manner])
    return replace(bare, texts=texts, used=frozenset(used))


def view(finder: Finder, pose: Pose) -> View:
    """Sort objects by direction: surely within 30 degrees of it (all parts 75), maybe within 60 of any part."""
    rel, point = finder.relations, np.array(pose.position)
    x, y = np.stack([rel.low[:, 0], rel.high[:, 0]], -1), np.stack([rel.low[:, 1], rel.high[:, 1]], -1)
    corners = np.stack([x[:, [0, 0, 1, 1]], y[:, [0, 1, 0, 1]]], axis=-1)
    spots = np.concatenate([rel.center[:, None, :2], corners], axis=1) - point
    bearing = np.arctan2(spots[..., 1], spots[..., 0]) - pose.heading_rad
    outside = np.maximum(np.maximum(rel.low[:, :2] - point, point - rel.high[:, :2]), 0)
    distance = np.hypot(outside[:, 0], outside[:, 1])
    sure, maybe = {}, {}
    for name, axis in AXES_RAD.items():
        off = np.abs(np.angle(np.exp(1j * (bearing - axis))))
        away = distance > 0.1
        sure[name] = away & (off[:, 0] < np.radians(30)) & (off.max(1) < np.radians(75))
        maybe[name] = sure[name] | (off.min(1) < np.radians(60)) | ~away
    return View(sure=sure, maybe=maybe, bearing_rad=np.angle(np.exp(1j * bearing[:, 0])), distance_m=distance)
