"""How the furnishings of a room lie to each other, each relation in two grades.

A relation that is *sure* may be stated; one that is *maybe* true might be stated by somebody else, so it must not be
denied, counted out or used to tell two objects apart. Language is only written where the two grades agree.
Distances are metres; every matrix is indexed [subject, anchor]: `on.sure[i, j]` says that i is on j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from askscan.rooms.room import Furnishing, Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One relation: `sure` implies `maybe`; rows are subjects, columns (if any) are anchors."""

    sure: Bool[ndarray, "..."]
    maybe: Bool[ndarray, "..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """All relations of one room; the arrays are read-only."""

    low: Float[ndarray, "o 3"]
    high: Float[ndarray, "o 3"]
    center: Float[ndarray, "o 3"]
    gap_m: Float[ndarray, "o o"]
    """Horizontal distance between footprints; 0 where they touch or overlap."""
    standing: Bool[ndarray, "o"]
    """Stands on the floor."""
    next_to: Graded
    on: Graded
    under: Graded
    """Below a table, a desk or the like, inside its footprint."""
    above: Graded
    """On the wall (or hung) over an object that stands below."""
    facing: Graded
    left_of: Graded
    """Seen by somebody who stands in front of the anchor and faces it."""
    right_of: Graded
    corner: Graded
    middle: Graded
    wall: Graded
    """Stands against a wall."""


@lru_cache(maxsize=8)
def relate(room: Room) -> Relations:
    """Evaluate every relation of a room once; later calls for the same room return the same record."""
    items = room.furnishings
    center = np.array([f.center for f in items], dtype=float).reshape(-1, 3)
    size = np.array([f.size for f in items], dtype=float).reshape(-1, 3)
    low, high = center - size / 2, center + size / 2
    axis_gap = np.maximum(low[:, None, :2] - high[None, :, :2], low[None, :, :2] - high[:, None, :2])
    gap = np.hypot(*np.moveaxis(np.maximum(axis_gap, 0), -1, 0))
    on = _on(items, low, high, axis_gap)
    under = _under(items, low, high, axis_gap)
    left, right = _sides(items, center, size, gap, on)
    relations = Relations(
        low=low,
        high=high,
        center=center,
        gap_m=gap,
        standing=_floor(room) & (low[:, 2] < 0.2),
        next_to=_next_to(items, low, high, gap, (on, under)),
        on=on,
        under=under,
        above=_above(items, low, high, axis_gap, gap),
        facing=_facing(items, low, high, center, gap),
        left_of=left,
        right_of=right,
        corner=_corner(room, low, high),
        middle=_middle(room, low, high),
        wall=_wall(room, low, high),
    )
    _freeze(relations)
    return relations


def _freeze(relations: Relations) -> None:
    for name in Relations.__dataclass_fields__:
        value = getattr(relations, name)
        for array in (value.sure, value.maybe) if isinstance(value, Graded) else (value,):
            array.flags.writeable = False


def _overlap(low: np.ndarray, high: np.ndarray, axis: int) -> np.ndarray:
    """Length shared along one axis, negative where apart."""
    return np.minimum(high[:, None, axis], high[None, :, axis]) - np.maximum(low[:, None, axis], low[None, :, axis])


def _graded(sure: np.ndarray, maybe: np.ndarray) -> Graded:
    if sure.ndim == 2:
        off_diagonal = ~np.eye(len(sure), dtype=bool)
        sure, maybe = sure & off_diagonal, maybe & off_diagonal
    return Graded(sure=sure, maybe=maybe | sure)


def _inside_share(axis_gap: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Share of the subject's footprint that lies within the anchor's."""
    size = np.maximum(high - low, 1e-6)[:, None, :2]
    return np.clip(np.minimum(-axis_gap, size) / size, 0, 1).prod(-1)


def _on(items: Sequence[Furnishing], low: np.ndarray, high: np.ndarray, axis_gap: np.ndarray) -> Graded:
    supported = np.zeros((len(items), len(items)), dtype=bool)
    for item in items:
        if item.support is not None:
            supported[item.object_id, item.support] = True
    resting = (_inside_share(axis_gap, low, high) > 0.3) & (np.abs(low[:, None, 2] - high[None, :, 2]) < 0.15)
    # A sink is set into its counter and a towel hangs from its rail: on, but nobody is sure.
    visibly = low[:, None, 2] > low[None, :, 2] + 0.3 * (high - low)[None, :, 2]
    indirectly = (supported.astype(int) @ supported.astype(int)) > 0
    return _graded(supported & visibly, supported | indirectly | resting)


def _next_to(
    items: Sequence[Furnishing], low: np.ndarray, high: np.ndarray, gap: np.ndarray, stacks: Sequence[Graded]
) -> Graded:
    height = np.maximum(high - low, 1e-6)[:, 2]
    shared = _overlap(low, high, 2) / np.minimum(height[:, None], height[None, :])
    # Small things side by side on a desk are next to each other at a hand's width, wardrobes at an arm's length.
    extent = np.sqrt(np.minimum.outer(*[np.prod((high - low)[:, :2], axis=-1)] * 2))
    reach = np.clip(0.15 + 0.35 * extent, 0.2, 0.4)
    # The box of an L may reach far beyond its surface.
    bent = np.array([f.shape == "l-shaped" for f in items], dtype=bool)
    sure_reach = np.where(bent[:, None] | bent[None, :], 0.1, reach)
    stacked = np.logical_or.reduce([m | m.T for m in (stacks[0].maybe, stacks[1].sure)])
    level = np.array([-1 if f.support is None else f.support for f in items])
    # What stands on a desk is on the desk rather than next to the chair before it.
    same_level = level[:, None] == level[None, :]
    headings = np.array([f.heading_rad for f in items])
    round_corner = np.logical_and.outer(*[np.array([f.on_wall for f in items], dtype=bool)] * 2)
    round_corner &= np.cos(headings[:, None] - headings[None, :]) < 0.9
    sure = same_level & (_outline_gap(items, (low + high) / 2) < sure_reach) & (shared > 0.5) & ~stacked & ~round_corner
    return _graded(sure, np.where(same_level, gap < reach + 0.3, gap < 0.1) & (shared > 0) & ~stacked)


def _outline_gap(items: Sequence[Furnishing], center: np.ndarray) -> np.ndarray:
    """Horizontal distance of ellipses and turned rectangles: the corner of a box may be far from what it holds.

    Convex outlines are as far apart as their widest gap along any direction: some all around, and square to each face,
    where a gap beside a long face falls off fast.
    """
    heading = np.array([f.heading_rad for f in items]).reshape(-1, 1)
    quarters = np.arange(0, 2 * np.pi, np.pi / 2)
    faces = np.unique(np.round(heading % (np.pi / 2), 9)) + quarters[:, None]
    direction = np.concatenate([np.linspace(0, 2 * np.pi, 48, endpoint=False), faces.ravel()])
    angle = direction - heading
    x, y = np.moveaxis(own_size(items)[:, None, :2] / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1), -1, 0)
    curved = np.array([f.shape in ("round", "oval") for f in items], dtype=bool)[:, None]
    extent = np.where(curved, np.hypot(x, y), np.abs(x) + np.abs(y))
    offset = center[None, :, :2] - center[:, None, :2]
    apart = offset @ np.stack([np.cos(direction), np.sin(direction)]) - extent[:, None] - extent[None]
    return np.maximum(apart.max(axis=-1), 0)


def _under(items: Sequence[Furnishing], low: np.ndarray, high: np.ndarray, axis_gap: np.ndarray) -> Graded:
    inside = _inside_share(axis_gap, low, high)
    standing = np.array([f.support is None and not f.on_wall for f in items], dtype=bool)
    below = (high[:, None, 2] < high[None, :, 2] - 0.03) & (standing[:, None] & standing[None, :])
    # Legs leave room below; the box of an L holds floor that nothing covers.
    open_below = np.array([f.kind.endswith(("table", "desk", "bench")) and f.shape != "l-shaped" for f in items])
    return _graded(below & (inside > 0.7) & open_below.astype(bool)[None, :], below & (inside > 0.2))


def _above(
    items: Sequence[Furnishing], low: np.ndarray, high: np.ndarray, gap_xy: np.ndarray, gap: np.ndarray
) -> Graded:
    hung = np.array([f.on_wall for f in items], dtype=bool)[:, None] & (low[:, None, 2] > 0.4)
    rise = low[:, None, 2] - high[None, :, 2]
    width = (high - low)[:, :2]
    # The wall runs along the longer horizontal side of what hangs on it.
    along = np.argmax(width, axis=1)[:, None]
    shared = np.where(along == 0, -gap_xy[..., 0], -gap_xy[..., 1])
    narrower = np.where(
        along == 0, np.minimum.outer(width[:, 0], width[:, 0]), np.minimum.outer(width[:, 1], width[:, 1])
    )
    sure = hung & (rise > -0.05) & (rise < 1.2) & (gap < 0.3) & (shared > 0.6 * narrower)
    return _graded(sure, hung & (rise > -0.3) & (gap < 0.6) & (shared > 0.05))


def _facing(
    items: Sequence[Furnishing], low: np.ndarray, high: np.ndarray, center: np.ndarray, gap: np.ndarray
) -> Graded:
    heading = np.array([(np.cos(f.heading_rad), np.sin(f.heading_rad)) for f in items]).reshape(-1, 2)
    towards = center[None, :, :2] - center[:, None, :2]
    distance = np.maximum(np.hypot(towards[..., 0], towards[..., 1]), 1e-6)
    ahead = np.einsum("ik,ijk->ij", heading, towards) / distance
    entry = _ray_entry(center[:, :2], heading, low[:, :2], high[:, :2])
    # Only what stands at the height of the eyes or of the seat can be faced; what is passed over does not block.
    solid = np.array([f.support is None for f in items], dtype=bool)[None, :] & (high[None, :, 2] > 0.4)
    entry = np.where(solid & ~np.eye(len(items), dtype=bool), entry, np.inf)
    first = entry <= entry.min(axis=1, initial=np.inf, keepdims=True)
    return _graded(first & (entry < 3.0) & (ahead > np.cos(0.5)), solid & (ahead > np.cos(0.9)) & (gap < 4.0))


def own_size(items: Sequence[Furnishing]) -> Float[ndarray, "o 3"]:
    """Width and depth in each object's own axes, metres: a turned chair is no larger than its twin.

    Near 45 degrees, where the box does not tell the two apart, both are their mean.
    """
    size = np.array([f.size for f in items], dtype=float).reshape(-1, 3)
    turn = np.array([0.0 if f.shape == "round" else f.heading_rad for f in items])
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    det = cos**2 - sin**2
    x, y = size[:, 0], size[:, 1]
    clear = np.abs(det) > 0.3
    solved = np.stack([x * cos - y * sin, y * cos - x * sin], -1) / np.where(clear, det, 1.0)[:, None]
    mean = np.repeat(((x + y) / 2 / (cos + sin))[:, None], 2, axis=1)
    return np.concatenate([np.where(clear[:, None], np.maximum(solved, 0.05), mean), size[:, 2:]], axis=1)


def _ray_entry(origin: np.ndarray, direction: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distance at which each ray enters each footprint (2-d slab test), infinite for a miss."""
    step = np.where(np.abs(direction) < 1e-9, 1e-9, direction)[:, None, :]
    a, b = (low[None] - origin[:, None]) / step, (high[None] - origin[:, None]) / step
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((leave >= enter) & (leave > 0), np.maximum(enter, 0), np.inf)


def _sides(
    items: Sequence[Furnishing], center: np.ndarray, size: np.ndarray, gap: np.ndarray, on: Graded
) -> tuple[Graded, Graded]:
    """Left and right of each anchor for somebody in front of it who faces it: the anchor's own axes mirrored."""
    heading = np.array([(np.cos(f.heading_rad), np.sin(f.heading_rad)) for f in items]).reshape(-1, 2)
    # Looking along -heading, the right hand points to (-heading) turned by -90 degrees.
    to_right = np.stack([-heading[:, 1], heading[:, 0]], axis=-1)
    offset = center[:, None, :2] - center[None, :, :2]
    lateral = np.einsum("jk,ijk->ij", to_right, offset)
    depth = np.einsum("jk,ijk->ij", heading, offset)
    half = size[:, :2] / 2
    half_wide = (np.abs(to_right)[None] * half[:, None]).sum(-1)
    half_deep = (np.abs(heading)[None] * half[:, None]).sum(-1)
    beside = np.abs(lateral) - half_wide - np.diagonal(half_wide)[None]
    abreast = np.abs(depth) - half_deep - np.diagonal(half_deep)[None]
    stacked = on.maybe | on.maybe.T
    sure = (beside > -0.1) & (beside < 0.8) & (abreast < -0.1) & ~stacked
    maybe = (np.abs(lateral) > 0.1) & (gap < 1.6) & ~stacked
    right, left = lateral > 0, lateral < 0
    return _graded(sure & left, maybe & left), _graded(sure & right, maybe & right)


def _wall_gaps(room: Room, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distances to the walls at x = 0, x = width, y = 0, y = depth."""
    width, depth, _ = room.size
    return np.stack([low[:, 0], width - high[:, 0], low[:, 1], depth - high[:, 1]], axis=-1)


def _floor(room: Room) -> np.ndarray:
    return np.array([f.support is None and not f.on_wall for f in room.furnishings], dtype=bool)


def _corner(room: Room, low: np.ndarray, high: np.ndarray) -> Graded:
    gaps = _wall_gaps(room, low, high)
    reach = np.maximum(gaps[:, :2].min(-1), gaps[:, 2:].min(-1))
    flagged = np.array([f.in_corner for f in room.furnishings], dtype=bool)
    # A long counter that ends in a corner is along the wall rather than in the corner.
    short = (high - low)[:, :2].max(-1) < 0.4 * min(room.size[:2])
    return _graded(flagged & short & (reach < 0.4) & _floor(room), ((reach < 0.6) | flagged) & _floor(room))


def _middle(room: Room, low: np.ndarray, high: np.ndarray) -> Graded:
    off = np.abs((low + high)[:, :2] / 2 / np.array(room.size[:2]) - 0.5).max(-1)
    free = _wall_gaps(room, low, high).min(-1) > 0.6
    return _graded((off < 0.13) & free & _floor(room), (off < 0.26) & _floor(room))


def _wall(room: Room, low: np.ndarray, high: np.ndarray) -> Graded:
    flagged = np.array([f.against_wall for f in room.furnishings], dtype=bool)
    nearest = _wall_gaps(room, low, high).min(-1)
    return _graded(flagged & (nearest < 0.2) & _floor(room), (nearest < 0.45) | flagged)


def between(relations: Relations, a: int, b: int) -> Graded:
    """Which objects stand between two others on the floor: near the middle of the line that joins their centres."""
    start, end = relations.center[a, :2], relations.center[b, :2]
    line = end - start
    length = max(float(np.hypot(*line)), 1e-6)
    offset = relations.center[:, :2] - start
    along = offset @ line / length**2
    aside = np.abs(offset @ np.array([-line[1], line[0]])) / length
    gaps = np.maximum(relations.gap_m[:, a], relations.gap_m[:, b])
    others = ~np.isin(np.arange(len(along)), (a, b))
    standing = relations.standing & relations.standing[a] & relations.standing[b]
    sure = others & standing & (along > 0.25) & (along < 0.75) & (aside < 0.35) & (gaps < 0.8) & (gaps > 0)
    near = others & (along > 0.1) & (along < 0.9) & (aside < 0.9) & (gaps < 2.5) & (relations.low[:, 2] < 0.3)
    return Graded(sure=sure, maybe=sure | near)


def extreme(values: Float[ndarray, "k"], *, ratio: float, margin: float) -> int | None:
    """Position of the greatest value if it beats every other by a factor and by an absolute margin, else None.

    >>> extreme(np.array([1.0, 2.0, 1.5]), ratio=1.2, margin=0.1), extreme(np.array([1.0, 1.1]), ratio=1.2, margin=0.0)
    (1, None)
    """
    order = np.argsort(values)
    if len(values) < 2:
        return None
    best, second = float(values[order[-1]]), float(values[order[-2]])
    return int(order[-1]) if best >= ratio * second and best - second >= margin else None


def closest(relations: Relations, anchor: int, candidates: Sequence[int]) -> int | None:
    """The candidate that is clearly nearest to the anchor, by gap and by centres; None where that is arguable."""
    return _nearest(relations, anchor, candidates, sign=1)


def farthest(relations: Relations, anchor: int, candidates: Sequence[int]) -> int | None:
    """The candidate that is clearly farthest from the anchor; None where that is arguable."""
    return _nearest(relations, anchor, candidates, sign=-1)


def _nearest(relations: Relations, anchor: int, candidates: Sequence[int], *, sign: int) -> int | None:
    chosen = list(candidates)
    if len(chosen) < 2:
        return None
    spans = np.hypot(*(relations.center[chosen, :2] - relations.center[anchor, :2]).T)
    winners = set()
    for values in (relations.gap_m[chosen, anchor], spans):
        order = np.argsort(sign * values)
        first, second = values[order[0]], values[order[1]]
        if abs(second - first) < max(0.35, 0.2 * max(first, second)):
            return None
        winners.add(int(order[0]))
    return chosen[winners.pop()] if len(winners) == 1 else None
