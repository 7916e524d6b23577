from dataclasses import replace

import numpy as np
import pytest

from askscan.rooms.layout import plan_room
from askscan.rooms.poses import poses, view
from askscan.rooms.references import find
from askscan.rooms.room import Room
from askscan.rooms.situations import FORMS, ask, candidates


def test_form_of_situations() -> None:
    for seed in range(60, 70):
        room = plan_room(seed).room
        situations = ask(room, np.random.default_rng(seed))
        assert 4 <= len(situations) <= 10
        for s in situations:
            assert len({s.text, *s.alternatives}) == 3
            assert s.question.endswith("?") and s.answer and s.form in FORMS
            assert all(0 < p < extent for p, extent in zip(s.position, room.size[:2], strict=True))
            assert "{" not in s.text + s.question + "".join(s.alternatives)


def test_sides_of_somebody_at_the_foot_of_the_bed(bedroom: Room) -> None:
    finder = find(bedroom)
    pose = next(p for p in poses(finder) if "front of the bed" in p.texts[0])
    assert pose.heading_rad == pytest.approx(np.pi / 2)
    seen = view(finder, pose)
    kinds = {side: {finder.kind(int(i)) for i in np.flatnonzero(seen.sure[side])} for side in seen.sure}
    assert "bed" in kinds["front"] and "chair" in kinds["right"] and "door" in kinds["left"]
    assert kinds["front"].isdisjoint(kinds["behind"]) and kinds["left"].isdisjoint(kinds["right"])


def test_answers_against_bearings(bedroom: Room) -> None:
    """Left or right by the sign of a cross product, front or behind by that of a dot product."""
    finder = find(bedroom)
    checked = 0
    for pose in poses(finder):
        look = np.array([np.cos(pose.heading_rad), np.sin(pose.heading_rad)])
        for c in candidates(finder, pose):
            offset = np.array(bedroom.furnishings[c.targets[0]].center[:2]) - pose.position
            turn = look[0] * offset[1] - look[1] * offset[0]
            if c.form == "sit_side":
                assert c.answers == ("left" if turn > 0 else "right",)
            elif c.form == "sit_ahead":
                assert c.answers == ("in front" if look @ offset > 0 else "behind",)
            elif c.form == "sit_color":
                assert c.answers == (bedroom.furnishings[c.targets[0]].color,)
            checked += c.form in ("sit_side", "sit_ahead", "sit_color")
    assert checked > 20


def test_standing_places_are_free(bedroom: Room) -> None:
    finder = find(bedroom)
    for pose in poses(finder):
        if not pose.texts[0].startswith("I am sitting"):
            low, high = finder.relations.low, finder.relations.high
            inside = ((low[:, :2] < pose.position) & (high[:, :2] > pose.position)).all(-1)
            assert not inside.any()


def test_same_generator_same_situations(bedroom: Room) -> None:
    first, second = (ask(bedroom, np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_colors_of_parts_count_where_one_object_is_asked_for(bedroom: Room) -> None:
    def asked(room: Room) -> set[tuple[str, str]]:
        finder = find(room)
        found = [c for pose in poses(finder) for c in candidates(finder, pose) if c.form == "sit_colored"]
        return {(c.slots["color"], c.slots["where"]) for c in found}

    colors = tuple({color for color, _ in asked(bedroom)})
    shown = tuple(replace(f, accents=colors) for f in bedroom.furnishings)
    assert asked(replace(bedroom, furnishings=shown)) < asked(bedroom)
