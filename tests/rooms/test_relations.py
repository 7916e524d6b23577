from dataclasses import replace

import numpy as np
import pytest

from askscan.rooms.relations import Graded, Relations, between, closest, extreme, farthest, own_size, relate
from askscan.rooms.room import Room

BED, NIGHTSTAND, LAMP, PILLOW, RED_PILLOW, PICTURE, DESK, OFFICE_CHAIR, MONITOR, TRASH_CAN = range(10)
WARDROBE, CHAIR, DOOR, PLANT, STOOL = range(10, 15)


@pytest.fixture
def rel(bedroom: Room) -> Relations:
    return relate(bedroom)


@pytest.mark.parametrize(
    ("name", "subject", "anchor"),
    [
        ("on", PILLOW, BED),
        ("on", MONITOR, DESK),
        ("under", TRASH_CAN, DESK),
        ("above", PICTURE, BED),
        ("next_to", NIGHTSTAND, BED),
        ("next_to", BED, NIGHTSTAND),
        ("next_to", PILLOW, RED_PILLOW),
        ("facing", OFFICE_CHAIR, DESK),
        # Whoever faces the bed from its foot looks towards y = 4 and has x = 5 to the right.
        ("right_of", NIGHTSTAND, BED),
    ],
)
def test_what_surely_holds(rel: Relations, name: str, subject: int, anchor: int) -> None:
    graded: Graded = getattr(rel, name)
    assert graded.sure[subject, anchor]


def test_sure_implies_maybe_and_nothing_relates_to_itself(rel: Relations) -> None:
    for name in ("on", "under", "above", "next_to", "facing", "left_of", "right_of", "corner", "middle", "wall"):
        graded: Graded = getattr(rel, name)
        assert not (graded.sure & ~graded.maybe).any(), name
        if graded.sure.ndim == 2:
            assert not np.diagonal(graded.maybe).any(), name


def test_on_under_above_exclude_next_to(rel: Relations) -> None:
    stacked = rel.on.sure | rel.under.sure
    assert not (rel.next_to.maybe & (stacked | stacked.T)).any()
    assert not (rel.left_of.sure & rel.right_of.sure).any()


def test_gap_is_the_distance_of_footprints(rel: Relations) -> None:
    """Against a dense sampling of both footprints."""
    rng = np.random.default_rng(0)
    for i, j in ((BED, DESK), (CHAIR, STOOL), (WARDROBE, PLANT)):
        points = [rng.uniform(rel.low[k, :2], rel.high[k, :2], (4000, 2)) for k in (i, j)]
        edges = [np.clip(points[1 - side], rel.low[k, :2], rel.high[k, :2]) for side, k in enumerate((i, j))]
        sampled = min(np.linalg.norm(edges[side] - points[1 - side], axis=1).min() for side in (0, 1))
        assert rel.gap_m[i, j] == pytest.approx(sampled, abs=0.05)


def test_spots(rel: Relations) -> None:
    assert np.flatnonzero(rel.corner.sure).tolist() == [WARDROBE, PLANT]
    assert rel.middle.sure[STOOL] and not rel.middle.maybe[DOOR]
    assert rel.wall.sure[DESK] and not rel.wall.maybe[STOOL]


def test_arrays_are_read_only_and_kept(bedroom: Room, rel: Relations) -> None:
    assert relate(bedroom) is rel
    with pytest.raises(ValueError, match="read-only"):
        rel.gap_m[0, 0] = 1.0


def test_between(rel: Relations) -> None:
    graded = between(rel, NIGHTSTAND, OFFICE_CHAIR)
    assert not graded.sure[[NIGHTSTAND, OFFICE_CHAIR]].any()
    assert np.flatnonzero(between(rel, BED, OFFICE_CHAIR).sure).tolist() == [STOOL]


def test_nearest_needs_a_clear_margin(rel: Relations) -> None:
    assert closest(rel, DOOR, [WARDROBE, CHAIR]) == WARDROBE
    assert farthest(rel, DOOR, [WARDROBE, CHAIR]) == CHAIR
    assert closest(rel, BED, [PILLOW, RED_PILLOW]) is None  # both lie on it
    assert closest(rel, DOOR, [CHAIR]) is None


def test_extreme_needs_a_clear_margin() -> None:
    assert extreme(np.array([1.0, 1.3]), ratio=1.2, margin=0.1) == 1
    assert extreme(np.array([1.0, 1.3]), ratio=1.2, margin=0.5) is None
    assert extreme(np.array([3.0]), ratio=1.0, margin=0.0) is None


def test_an_empty_room_has_no_relations(bedroom: Room) -> None:
    empty = relate(replace(bedroom, furnishings=()))
    assert empty.gap_m.shape == (0, 0) and empty.on.sure.shape == (0, 0)


def test_own_size_undoes_the_turn(bedroom: Room) -> None:
    """A box 0.4 x 0.6 turned by 20 degrees, its hull by its corners."""
    angle = np.radians(20)
    corners = np.array([(x, y) for x in (-0.2, 0.2) for y in (-0.3, 0.3)])
    turned = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    hull = tuple(float(v) for v in np.ptp(turned, axis=0))
    item = replace(bedroom.furnishings[CHAIR], size=(*hull, 0.9), heading_rad=float(angle))
    np.testing.assert_allclose(own_size([item]), [[0.4, 0.6, 0.9]], atol=1e-9)


@pytest.mark.parametrize("turn_deg", [3.75, 18.0, -11.0])
@pytest.mark.parametrize(("distance_m", "beside"), [(0.39, True), (0.41, False)])
def test_the_face_of_a_long_turned_thing(bedroom: Room, turn_deg: float, distance_m: float, beside: bool) -> None:
    """A round table of radius 0.5 m before the face of a bench 2.4 x 0.6: both reach 0.4 m, whatever the turn."""
    turn = np.radians(turn_deg)
    cos, sin = np.abs((np.cos(turn), np.sin(turn)))
    away = np.array([-np.sin(turn), np.cos(turn)]) * (0.3 + distance_m + 0.5)
    pair = (
        replace(
            bedroom.furnishings[STOOL],
            object_id=0,
            shape="rectangular",
            heading_rad=float(turn),
            center=(2.5, 2.0, 0.4),
            size=(2.4 * cos + 0.6 * sin, 2.4 * sin + 0.6 * cos, 0.8),
        ),
        replace(
            bedroom.furnishings[STOOL],
            object_id=1,
            shape="round",
            center=(2.5 + away[0], 2.0 + away[1], 0.4),
            size=(1.0, 1.0, 0.8),
        ),
    )
    assert relate(replace(bedroom, furnishings=pair)).next_to.sure[0, 1] == beside


def test_nothing_is_under_the_open_side_of_an_l(bedroom: Room) -> None:
    """The trash can stays within the box of the desk, which now is that of an L."""
    bent = tuple(replace(f, shape="l-shaped") if f.object_id == DESK else f for f in bedroom.furnishings)
    under = relate(replace(bedroom, furnishings=bent)).under
    assert not under.sure.any() and under.maybe[TRASH_CAN, DESK]


def test_round_things_across_a_corner_are_not_next_to_each_other(bedroom: Room) -> None:
    """Their boxes are 0.25 m apart, they themselves 0.60 m: their centres' distance less two radii."""
    round_ = [
        replace(bedroom.furnishings[STOOL], object_id=k, center=(x, y, 0.35), size=(1.0, 1.0, 0.7))
        for k, (x, y) in enumerate(((1.0, 1.0), (2.25, 2.0)))
    ]
    apart = relate(replace(bedroom, furnishings=tuple(round_)))
    assert apart.gap_m[0, 1] == pytest.approx(0.25) and np.hypot(1.25, 1.0) - 1.0 > 0.4
    assert not apart.next_to.sure.any() and apart.next_to.maybe[0, 1]
    square = tuple(replace(f, shape="square", heading_rad=0.0) for f in round_)
    assert relate(replace(bedroom, furnishings=square)).next_to.sure[0, 1]
