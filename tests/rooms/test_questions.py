import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from bench.fit_chances import fit

from askscan.rooms import balance
from askscan.rooms.layout import plan_room
from askscan.rooms.questions import PREPOSITIONS, RoomQuestion, ask, candidates, choose
from askscan.rooms.room import Room
from askscan.rooms.templates import FAMILIES, Candidate
from askscan.rooms.words import covers, plural

NUM_ROOMS = 15


@pytest.fixture(scope="module")
def asked() -> list[tuple[Room, tuple[RoomQuestion, ...]]]:
    rooms = [plan_room(seed).room for seed in range(50, 50 + NUM_ROOMS)]
    return [(room, ask(room, np.random.default_rng(room.seed))) for room in rooms]


def test_number_and_form(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    assert 25 <= np.mean([len(questions) for _, questions in asked]) <= 45
    for room, questions in asked:
        assert len({q.text for q in questions}) == len(questions)
        for q in questions:
            assert q.text.endswith("?") and q.text[0].isupper() and "{" not in q.text
            assert 1 <= len(q.answers) <= 3 and len(set(q.answers)) == len(q.answers)
            assert q.object_names == tuple(room.furnishings[i].kind for i in q.object_ids) and q.object_ids


def test_families_and_paraphrases() -> None:
    assert len(FAMILIES) >= 25
    for form, (share, wordings) in FAMILIES.items():
        assert share > 0 and len(set(wordings.split(" | "))) >= 3, form


def test_all_six_types_of_scanqa_come_up(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    types = Counter(_type(q.text) for _, questions in asked for q in questions)
    assert set(types) == {"place", "number", "color", "object nature", "object", "other"}
    assert min(types.values()) > 0.05 * types.total()


def _type(text: str) -> str:
    if "Where" in text:
        return "place"
    if "How many" in text:
        return "number"
    if "What color" in text or "What is the color" in text:
        return "color"
    if re.search("What (shape|type|kind)", text):
        return "object nature"
    return "object" if "What is" in text else "other"


def test_no_question_names_its_answer(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    for _, questions in asked:
        for q in questions:
            for answer in q.answers:
                core = PREPOSITIONS.sub("", answer)
                if q.form != "side_of" and core != "room":
                    assert not re.search(rf"\b{core}\b", q.text), q


def test_answers_are_true(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    """Against the plan itself, without the relations: attributes, and kinds of the objects pointed at."""
    for room, questions in asked:
        for q in questions:
            first = room.furnishings[q.object_ids[0]]
            if q.form.startswith("color"):
                assert q.answers[0] == first.color
            elif q.form == "shape_of":
                assert q.answers[0] == first.shape
            elif q.form.startswith("material"):
                assert q.answers == (first.material,)
            elif q.form == "count_parts":
                assert int(q.answers[0]) in {number for _, number in first.num_parts}
            elif q.form.startswith(("what_", "kind_", "type_")) or q.form.endswith("_what"):
                assert q.answers[0] == first.kind


def test_counts_against_a_plain_count(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    checked = 0
    for room, questions in asked:
        for q in (q for q in questions if q.form == "count_kind"):
            kind = room.furnishings[q.object_ids[0]].kind
            assert plural(kind) in q.text
            assert int(q.answers[0]) == sum(covers(kind, f.kind) for f in room.furnishings)
            checked += 1
    assert checked > NUM_ROOMS


def test_bare_nouns_are_unique(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    """`the desk`, without more, is only said in rooms where nothing else could be meant."""
    for room, questions in asked:
        for q in (q for q in questions if q.form == "color_of"):
            kind = room.furnishings[q.object_ids[0]].kind
            if re.search(rf"\bthe {kind}\b", q.text):
                assert sum(covers(kind, f.kind) for f in room.furnishings) == 1, q


def test_known_answers(bedroom: Room) -> None:
    found = {(c.form, c.slots.get("ref"), c.answers) for c in candidates(bedroom)}
    for expected in (
        ("color_of", "the desk", ("brown",)),
        ("what_under", "the desk", ("trash can",)),
        ("what_above", "the bed", ("picture",)),
        ("what_on", "the nightstand", ("lamp",)),
        ("where_on", "the monitor", ("on desk",)),
        ("where_hangs", "the picture", ("above bed",)),
        ("where_stands", "the plant", ("in corner",)),
        ("what_extreme", None, ("wardrobe",)),
        ("count_on", "the bed", ("2",)),
        ("side_of", "the bed", ("right", "right side")),
    ):
        assert expected in found, expected


def test_colors_of_parts_count_where_one_object_is_asked_for(bedroom: Room) -> None:
    def found(room: Room) -> set[str]:
        return {c.answers[0] for c in candidates(room) if c.form == "what_colored" and c.slots["color"] == "purple"}

    framed = tuple(replace(f, accents=("purple",)) if f.kind == "bed" else f for f in bedroom.furnishings)
    assert found(bedroom) == {"stool"} and not found(replace(bedroom, furnishings=framed))


def test_colors_of_parts_are_no_answer_to_what_is_of_that_color_somewhere(bedroom: Room) -> None:
    """The white pillow and the red one lie on the bed; a lamp is put there that is yellow and may have a red foot."""

    def found(*accents: str) -> set[tuple[str, ...]]:
        lamp = {"support": 0, "center": (2.0, 2.6, 1.0), "size": (0.35, 0.35, 0.4), "accents": accents}
        items = tuple(replace(f, **lamp) if f.kind == "lamp" else f for f in bedroom.furnishings)
        asked = candidates(replace(bedroom, furnishings=items))
        return {c.answers for c in asked if c.form == "what_colored_placed" and c.slots["color"] == "red"}

    assert found() == {("pillow",)} and found("red") == set()


def test_same_generator_same_questions(bedroom: Room) -> None:
    first, second = (ask(bedroom, np.random.default_rng(3)) for _ in range(2))
    assert first == second != ask(bedroom, np.random.default_rng(4))


def test_small_rooms_are_asked_less(bedroom: Room) -> None:
    for number in (0, 1, 2):
        room = replace(bedroom, furnishings=bedroom.furnishings[:number])
        assert len(ask(room, np.random.default_rng(0))) <= 20 * number


def test_fitting_evens_out_answers() -> None:
    """Offered 8 to 1, red and blue end up asked about equally often, and the shipped table has that shape."""
    pool = [_color_candidate("red" if k % 9 else "blue", k) for k in range(450)]
    table = fit(
        lambda t: [c for k in range(450) for c in choose(pool[k : k + 1], np.random.default_rng(k), t)], rounds=3
    )
    drawn = [c for k in range(450) for c in choose(pool[k : k + 1], np.random.default_rng(k), table)]
    counts = Counter(c.answers[0] for c in drawn)
    assert 0.4 < counts["red"] / counts.total() < 0.6
    assert all(0 < p < 1 for rows in balance.chances().values() for row in rows.values() for p in row.values())


def _color_candidate(color: str, target: int) -> Candidate:
    return Candidate(form="color_of", context="chair", answers=(color,), targets=(target,), slots={"ref": "the chair"})


def test_no_answer_dominates(asked: list[tuple[Room, tuple[RoomQuestion, ...]]]) -> None:
    """The most frequent answer of each family, right for at most 40 % of all questions."""
    by_form: dict[str, Counter[str]] = {}
    for _, questions in asked:
        for q in questions:
            by_form.setdefault(q.form, Counter()).update(q.answers)
    total = sum(len(questions) for _, questions in asked)
    assert sum(counts.most_common(1)[0][1] for counts in by_form.values()) < 0.4 * total
