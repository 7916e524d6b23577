"""Question candidates about what one object is like, where it is, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from askscan.rooms.references import Finder, Reference
from askscan.rooms.room import Furnishing
from askscan.rooms.templates import Candidate
from askscan.rooms.words import COLOR_ANSWERS, PLURAL_KINDS, SHAPE_ANSWERS, has_clear_color, plural

SHAPED = frozenset(
    (
        "table",
        "coffee table",
        "end table",
        "desk",
        "couch",
        "ottoman",
        "stool",
        "picture",
        "bathtub",
        "sink",
        "trash can",
    )
)
"""Kinds that come in shapes which a person tells apart at a glance."""

COUNTED_PARTS = frozenset({"drawer", "shelf", "door"})
NUM_ANSWERS = range(1, 7)
SMALL_M = 0.3
MAX_PHRASES = 3


def _slots(reference: Reference, noun: str) -> dict[str, str]:
    text = reference.text
    return {"ref": text, "Ref": text[0].upper() + text[1:], "where": text.removeprefix(f"the {noun} "), "noun": noun}


def _about(form: str, context: str, answers: tuple[str, ...], reference: Reference, noun: str) -> Candidate:
    targets = (reference.target, *reference.anchors)
    return Candidate(form=form, context=context, answers=answers, targets=targets, slots=_slots(reference, noun))


def _visible(item: Furnishing) -> bool:
    return max(item.size) >= SMALL_M and item.kind not in PLURAL_KINDS


def colors(finder: Finder) -> Iterator[Candidate]:
    """What colour is it: objects named by themselves, and by where they are."""
    for item in finder.room.furnishings:
        if not (_visible(item) and has_clear_color(item)):
            continue
        answers = COLOR_ANSWERS.get(item.color, (item.color,))
        for reference in finder.simple[item.object_id]:
            if "color" not in reference.says:
                yield _about("color_of", item.kind, answers, reference, item.kind)
        for reference in finder.related(item.object_id)[:MAX_PHRASES]:
            yield _about("color_placed", item.kind, answers, reference, item.kind)
    for kind, members in _kinds(finder):
        shades = {finder.room.furnishings[i].color for i in members}
        if len(members) > 1 and len(shades) == 1 and all(has_clear_color(finder.room.furnishings[i]) for i in members):
            color = shades.pop()
            yield Candidate(
                form="color_all",
                context=kind,
                answers=COLOR_ANSWERS.get(color, (color,)),
                targets=tuple(members),
                slots={"nouns": plural(kind)},
            )


def _kinds(finder: Finder) -> Iterator[tuple[str, list[int]]]:
    """Kinds that can be counted: nobody would count an object of another kind among them, none is tiny."""
    for kind in sorted({f.kind for f in finder.room.furnishings} - PLURAL_KINDS):
        members = finder.named(kind)
        items = [finder.room.furnishings[i] for i in members]
        if all(f.kind == kind and sorted(f.size)[1] >= 0.25 and max(f.size) >= SMALL_M for f in items):
            yield kind, members


def _count(form: str, context: str, members: list[int], first: int | None = None, **slots: str) -> Iterator[Candidate]:
    if len(members) in NUM_ANSWERS:
        targets = (*(() if first is None else (first,)), *members)
        yield Candidate(form=form, context=context, answers=(str(len(members)),), targets=targets, slots=slots)


def counts(finder: Finder) -> Iterator[Candidate]:
    """How many of a kind, of a colour, at a table, on a bed, against the walls."""
    rel, items = finder.relations, finder.room.furnishings
    for kind, members in _kinds(finder):
        nouns = plural(kind)
        yield from _count("count_kind", kind, members, nouns=nouns)
        for color in sorted({items[i].color for i in members}):
            chosen = [i for i in members if items[i].color == color]
            if len(members) > len(chosen) and all(has_clear_color(items[i]) for i in members):
                yield from _count("count_color", kind, chosen, nouns=nouns, color=color)
        standing = [i for i in members if rel.wall.sure[i]]
        if len(members) > 1 and standing == [i for i in members if rel.wall.maybe[i]]:
            yield from _count("count_wall", kind, standing, nouns=nouns)
        for anchor in _named(finder):
            on = [i for i in members if rel.on.sure[i, anchor.target]]
            if on and on == [i for i in members if rel.on.maybe[i, anchor.target]]:
                yield from _count("count_on", kind, on, anchor.target, nouns=nouns, ref=anchor.text)
            at = [i for i in members if items[i].group == anchor.target and rel.gap_m[i, anchor.target] < 0.7]
            near = [i for i in members if rel.gap_m[i, anchor.target] < 1.1]
            if at and at == near and _seats(kind) and not _seats(finder.kind(anchor.target)):
                yield from _count("count_at", kind, at, anchor.target, nouns=nouns, ref=anchor.text)


def _seats(kind: str) -> bool:
    return kind.endswith(("chair", "stool", "bench"))


def _named(finder: Finder) -> Iterator[Reference]:
    """One phrase for each object that has any."""
    for i, phrases in enumerate(finder.simple):
        yield from (phrases or finder.related(i))[:1]


def parts(finder: Finder) -> Iterator[Candidate]:
    """How many drawers, shelves or doors: on pieces large enough for a scan to show them."""
    for item in finder.room.furnishings:
        for reference in finder.simple[item.object_id][:2]:
            for part, number in item.num_parts:
                if part in COUNTED_PARTS and number in NUM_ANSWERS and item.size[2] >= 0.6:
                    slots = {"ref": reference.text, "parts": plural(part)}
                    answers, targets = (str(number),), (item.object_id,)
                    yield Candidate(
                        form="count_parts", context=f"{part} {item.kind}", answers=answers, targets=targets, slots=slots
                    )


def shapes(finder: Finder) -> Iterator[Candidate]:
    """What shape is it, seen from above or from the front."""
    for item in finder.room.furnishings:
        if item.kind in SHAPED and item.shape in SHAPE_ANSWERS and _shows_shape(item):
            for reference in (*finder.simple[item.object_id], *finder.related(item.object_id)[:MAX_PHRASES]):
                if "shape" not in reference.says:
                    yield _about("shape_of", item.kind, SHAPE_ANSWERS[item.shape], reference, item.kind)


def _shows_shape(item: Furnishing) -> bool:
    """Whether the proportions bear the word out: of the face on the wall, or seen from above."""
    width, height = sorted(item.size)[1:] if item.on_wall else sorted(item.size[:2])
    ratio = height / width
    oblong = ratio > 1.2 if item.shape in ("rectangular", "oval") else ratio < 1.15
    turned = bool(abs(np.sin(2 * item.heading_rad)) > 0.2)
    return height >= SMALL_M and (oblong or turned or item.shape == "l-shaped")


def materials(finder: Finder) -> Iterator[Candidate]:
    """What is it made of: materials that a scan of a few centimetres can show, on pieces of furniture."""
    for item in finder.room.furnishings:
        if item.material not in ("leaf", "paint", "paper", "") and min(sorted(item.size)[1:]) >= 0.35:
            for reference in finder.simple[item.object_id]:
                if "material" not in reference.says:
                    for form in ("material_of", "material_type"):
                        yield _about(form, item.kind, (item.material,), reference, item.kind)


def places(finder: Finder) -> Iterator[Candidate]:
    """Where is it: on, under or above something, in the corner, in the middle, next to something."""
    for item in finder.room.furnishings:
        form, answers = _place(finder, item)
        if answers:
            for reference in finder.simple[item.object_id]:
                yield _about(form, item.kind, answers[:3], reference, item.kind)


def _place(finder: Finder, item: Furnishing) -> tuple[str, tuple[str, ...]]:
    rel, i = finder.relations, item.object_id
    on = _kinds_where(finder, rel.on.sure[i])
    under = _kinds_where(finder, rel.under.sure[i])
    if on or under:
        return "where_on", (*(f"on {kind}" for kind in on), *(f"under {kind}" for kind in under))
    if item.on_wall and item.kind not in ("door",):
        return "where_hangs", tuple(f"above {kind}" for kind in _kinds_where(finder, rel.above.sure[i] & rel.standing))
    if item.support is not None:
        return "where_stands", ()
    fixed = (*(("in corner",) * bool(rel.corner.sure[i])), *(("in middle of room",) * bool(rel.middle.sure[i])))
    fixed_kinds = np.array([finder.kind(j) in ("door", "window") for j in range(len(rel.standing))])
    prominent = np.array([finder.is_landmark(j, i) for j in range(len(rel.standing))])
    landmarks = rel.next_to.sure[i] & prominent & (rel.standing | fixed_kinds)
    beside = sorted(_kinds_where(finder, landmarks), key=lambda kind: -_bulk(finder, kind))
    return "where_stands", (*fixed, *(f"next to {kind}" for kind in beside if kind != item.kind))


def _kinds_where(finder: Finder, row: Bool[ndarray, "o"]) -> list[str]:
    return list(dict.fromkeys(finder.kind(int(j)) for j in np.flatnonzero(row)))


def _bulk(finder: Finder, kind: str) -> float:
    return max(f.size[0] * f.size[1] * f.size[2] for f in finder.room.furnishings if f.kind == kind)
