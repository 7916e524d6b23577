import math

import numpy as np
import pytest

from askscan.rooms.layout import Placed, Plan, Planner, plan_room
from askscan.rooms.room import ROOM_TYPES
from askscan.rooms.scanner_mesh import Solid, triangulate

SEEDS = range(500, 540)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [plan_room(seed) for seed in SEEDS]


def test_every_type_is_furnished_with_8_to_40_objects(plans: list[Plan]):
    assert {p.room.scene_type for p in plans} == set(ROOM_TYPES)
    for plan in plans:
        assert 8 <= len(plan.placed) <= 40
        assert min(plan.room.size[:2]) > 2.4 and max(plan.room.size[:2]) <= 8.0
        assert [f.object_id for f in plan.room.furnishings] == list(range(len(plan.placed)))


def test_a_seed_gives_one_plan():
    assert plan_room(77) == plan_room(77)
    assert plan_room(77).room != plan_room(78).room


def test_accents_are_colors_of_parts_large_enough_to_see(plans: list[Plan]):
    named = 0
    for plan in plans:
        for item, placed in zip(plan.room.furnishings, plan.placed, strict=True):
            assert set(item.accents) <= {p.paint[0] for p in placed.piece.parts} - {item.color}
            assert item.kind != "keyboard" or not item.accents
            if item.kind == "office chair" and item.color not in ("black", "gray"):
                assert {"black", "gray"} & set(item.accents)  # five feet, a column, five wheels
                named += 1
    assert named > 5


def _solids(placed: Placed) -> list[Solid]:
    turn, at = placed.rotation, np.array(placed.position)
    return [
        Solid(part=p, rotation=turn @ p.rotation, center=turn @ np.array(p.center) + at, owner=0, spacing_m=0.08)
        for p in placed.piece.parts
    ]


def _depth_inside(points: np.ndarray, solid: Solid) -> float:
    """How deep the deepest of the points lies in the box around a solid's own axes."""
    if solid.part.open_top or solid.part.primitive == "ellipsoid" or solid.part.taper != 1.0 or solid.part.wave_m:
        return 0.0
    local = (points - solid.center) @ solid.rotation
    half = np.array(solid.part.size) / 2
    if solid.part.primitive == "cylinder":
        radial = np.linalg.norm(local[:, :2] / half[:2], axis=1)
        return float(np.minimum((1 - radial) * half[:2].min(), half[2] - np.abs(local[:, 2])).max())
    return float((half - np.abs(local)).min(1).max())


def test_solids_do_not_interpenetrate(plans: list[Plan]):
    pairs = 0
    for plan in plans:
        room = plan.room.furnishings
        solids = [_solids(p) for p in plan.placed]
        points = [triangulate(s, np.random.default_rng(0)).xyz for s in solids]
        for i, a in enumerate(room):
            for j, b in enumerate(room):
                gap = np.abs(np.array(a.center) - b.center) - (np.array(a.size) + b.size) / 2
                if i == j or a.support == j or b.support == i or gap.max() > 0.0:
                    continue
                pairs += 1
                deep = max(_depth_inside(points[i], s) for s in solids[j])
                assert deep < 0.006, (plan.room.seed, a.kind, b.kind, deep)
    assert pairs > 10


def test_pieces_stay_in_the_room_and_stand_on_something(plans: list[Plan]):
    for plan in plans:
        for f in plan.room.furnishings:
            low, high = np.array(f.center) - np.array(f.size) / 2, np.array(f.center) + np.array(f.size) / 2
            assert (low > -0.03).all() and (high[:2] < np.array(plan.room.size[:2]) + 0.01).all()
            if f.support is None and not f.on_wall and f.kind != "shower curtain":
                assert abs(low[2]) < 0.03, f
            if f.support is not None:
                s = plan.room.furnishings[f.support]
                assert (np.abs(np.array(f.center[:2]) - s.center[:2]) < np.array(s.size[:2]) / 2 + 0.8).all()
                assert low[2] > 0.05


def test_seats_look_at_their_table_or_desk(plans: list[Plan]):
    checked = 0
    for plan in plans:
        for f in plan.room.furnishings:
            if f.group is None or f.kind not in ("chair", "office chair", "stool"):
                continue
            to = np.array(plan.room.furnishings[f.group].center[:2]) - f.center[:2]
            facing = math.cos(f.heading_rad) * to[0] + math.sin(f.heading_rad) * to[1]
            assert facing > 0, (plan.room.seed, f)
            checked += 1
    assert checked > 60


def test_flags_follow_from_the_boxes(plans: list[Plan]):
    for plan in plans:
        w, d, _ = plan.room.size
        for f in plan.room.furnishings:
            x, y, dx, dy = *f.center[:2], f.size[0] / 2, f.size[1] / 2
            gap_x, gap_y = min(x - dx, w - x - dx), min(y - dy, d - y - dy)
            if f.support is None and not f.on_wall:
                assert f.against_wall == (min(gap_x, gap_y) < 0.15)
                assert f.in_corner == (gap_x < 0.4 and gap_y < 0.4)
            else:
                assert not f.against_wall and not f.in_corner
            if f.on_wall:
                assert min(gap_x, gap_y) < 0.15, (plan.room.seed, f)


def test_repeated_kinds_differ_in_color_somewhere(plans: list[Plan]):
    repeated = varied = 0
    for plan in plans:
        colors: dict[str, list[str]] = {}
        for f in plan.room.furnishings:
            colors.setdefault(f.kind, []).append(f.color)
        repeated += sum(len(c) > 1 for c in colors.values())
        varied += sum(len(set(c)) > 1 for c in colors.values())
    assert repeated > 60 and varied > 30


def test_backs_are_to_the_wall():
    planner = Planner(np.random.default_rng(0), 4.0, 4.0, 2.6)
    for wall, inward in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        at = planner.at_wall(planner.make("file cabinet"), wall=wall)
        assert at is not None
        heading = planner.placed[at].heading_rad
        np.testing.assert_allclose((math.cos(heading), math.sin(heading)), inward, atol=1e-9)


def test_put_refuses_collisions_and_leaves_no_trace():
    planner = Planner(np.random.default_rng(0), 4.0, 4.0, 2.6)
    cabinet = planner.make("cabinet")
    assert planner.put(cabinet, (2.0, 2.0, 0.0), 0.0) == 0
    assert planner.put(cabinet, (2.1, 2.0, 0.0), 0.0) is None
    assert planner.put(cabinet, (3.95, 2.0, 0.0), 0.0) is None
    assert len(planner.placed) == 1
