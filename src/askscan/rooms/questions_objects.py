"""Question candidates whose answer is an object: what is next to, on, under, above, between, in the corner, facing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from askscan.rooms.references import Finder, Reference, relation_phrases
from askscan.rooms.relations import Graded, between
from askscan.rooms.templates import Candidate
from askscan.rooms.words import has_clear_color

MAX_KINDS = 3
FRONTED = frozenset({"bed", "sofa", "desk", "refrigerator", "toilet", "bookshelf"})
"""Classes whose front people agree on."""
GENERIC = ("chair", "table", "cabinet")
"""Nouns that stand for several kinds: what type of chair is it?"""


def _answers(finder: Finder, sure: np.ndarray, maybe: np.ndarray) -> tuple[int, ...]:
    """The objects that answer a question: first one that is alone of its kind there, then by size.

    None where there is no such object to point at, or where an answer that may be right would be missing.
    """
    chosen = [int(i) for i in np.flatnonzero(sure)]
    kinds = {finder.kind(i) for i in chosen}
    if not chosen or len(kinds) > MAX_KINDS or {finder.kind(int(i)) for i in np.flatnonzero(maybe)} != kinds:
        return ()
    bulk = (finder.relations.high - finder.relations.low).prod(-1)
    number = Counter(finder.kind(i) for i in chosen)
    ordered = sorted(chosen, key=lambda i: (number[finder.kind(i)] > 1, -float(bulk[i])))
    return tuple(ordered) if number[finder.kind(ordered[0])] == 1 else ()


def _found(
    form: str, context: str, finder: Finder, found: Sequence[int], anchors: Sequence[int] = (), **slots: str
) -> Iterator[Candidate]:
    if found:
        answers = tuple(dict.fromkeys(finder.kind(i) for i in found))
        yield Candidate(form=form, context=context, answers=answers, targets=(*found, *anchors), slots=slots)


def _phrases(finder: Finder, i: int) -> tuple[Reference, ...]:
    """Ways to name an anchor: at most two simple ones, else one by place."""
    return finder.simple[i][:2] or finder.related(i)[:1]


def neighbours(finder: Finder) -> Iterator[Candidate]:
    """What is next to, on, under, above, below an object; and what an object is on, above or next to."""
    rel = finder.relations
    asked: tuple[tuple[tuple[str, ...], Graded, bool], ...] = (
        (("what_next", "next_to_what"), rel.next_to, False),
        (("what_on", "holds_what"), rel.on, False),
        (("what_under",), rel.under, False),
        (("what_above",), rel.above, False),
        (("what_below", "above_what"), rel.above, True),
        (("on_what",), rel.on, True),
        (("what_facing",), rel.facing, True),
    )
    for i in range(len(finder.room.furnishings)):
        for reference in _phrases(finder, i):
            slots = {"ref": reference.text, "Ref": reference.text[0].upper() + reference.text[1:]}
            for forms, graded, by_subject in asked:
                sure = graded.sure[i] if by_subject else graded.sure[:, i]
                maybe = graded.maybe[i] if by_subject else graded.maybe[:, i]
                if forms[0] == "what_facing":
                    if not _looks(finder.kind(i)):
                        continue
                    maybe = sure
                found = _answers(finder, sure, maybe)
                for form in forms:
                    yield from _found(form, finder.kind(i), finder, found, (i, *reference.anchors), **slots)


def _looks(kind: str) -> bool:
    return kind.endswith(("chair", "couch"))


def spots(finder: Finder) -> Iterator[Candidate]:
    """What is in the corner, in the middle of the room, between two things; what is largest or tallest."""
    rel = finder.relations
    corner = _answers(finder, rel.corner.sure, rel.corner.maybe)
    for form in ("what_corner", "corner_what"):
        yield from _found(form, "", finder, corner)
    yield from _found("what_middle", "", finder, _answers(finder, rel.middle.sure, rel.middle.maybe))
    named = [r[0] for r in finder.simple if r and r[0].says <= {"color"}]
    for x, first in enumerate(named):
        for second in named[x + 1 :]:
            if rel.gap_m[first.target, second.target] < 2.5:
                graded = between(rel, first.target, second.target)
                found = _answers(finder, graded.sure, graded.maybe)
                anchors = (first.target, second.target)
                yield from _found("what_between", "", finder, found, anchors, ref=first.text, other=second.text)
    standing = [int(i) for i in np.flatnonzero(rel.standing)]
    for word in ("largest", "tallest"):
        best = finder.extreme_of(word, standing) if len(standing) > 1 else None
        yield from _found("what_extreme", word, finder, () if best is None else (best,), most=word)


def placed(finder: Finder) -> Iterator[Candidate]:
    """What kind of object, what type of chair, what red thing is at a place."""
    items, rel = finder.room.furnishings, finder.relations
    for anchor in (r[0] for r in finder.simple if r):
        for phrase, graded in relation_phrases(rel):
            a, where = anchor.target, f"{phrase} {anchor.text}"
            sure, maybe = graded.sure[:, a], graded.maybe[:, a]
            context = f"{phrase} {finder.kind(a)}"
            yield from _found("kind_placed", context, finder, _answers(finder, sure, maybe), (a,), where=where)
            for color in sorted({f.color for f in items if sure[f.object_id] and has_clear_color(f)}):
                colored = np.array([color in (f.color, *f.accents) or not has_clear_color(f) for f in items])
                # Legs, frames and books of that colour keep a question from being asked but do not answer it.
                own = np.array([f.color == color and has_clear_color(f) for f in items])
                found = _answers(finder, sure & own, maybe & colored)
                yield from _found("what_colored_placed", context, finder, found, (a,), where=where, color=color)
            for noun in GENERIC:
                like = np.isin(np.arange(len(items)), finder.named(noun))
                found = _answers(finder, sure & like, maybe & like)
                if found and all(finder.kind(i).endswith(noun) and finder.kind(i) != noun for i in found):
                    yield from _found("type_placed", f"{noun} {context}", finder, found, (a,), where=where, noun=noun)


def colored(finder: Finder) -> Iterator[Candidate]:
    """What is the only red object in the room."""
    clear = [f for f in finder.room.furnishings if has_clear_color(f)]
    number = Counter(color for f in finder.room.furnishings for color in (f.color, *f.accents))
    number.update((finder.room.wall_color, finder.room.floor_color))
    for item in clear:
        if number[item.color] == 1 and max(item.size) >= 0.3:
            for form in ("what_colored", "kind_colored"):
                yield from _found(form, item.color, finder, (item.object_id,), color=item.color)


def viewed(finder: Finder) -> Iterator[Candidate]:
    """Left and right, seen by somebody who stands in front of a piece that has a front, facing it."""
    rel, items = finder.relations, finder.room.furnishings
    for anchor in (r[0] for r in finder.simple if r):
        a = anchor.target
        item = items[a]
        if item.class_name not in FRONTED or not item.against_wall:
            continue
        for side, graded in (("left", rel.left_of), ("right", rel.right_of)):
            found = _answers(finder, graded.sure[:, a], graded.maybe[:, a] & (rel.gap_m[:, a] < 0.9))
            context = f"{finder.kind(a)}"
            yield from _found("view_what", context, finder, found, (a,), ref=anchor.text, side=side)
            opposite = rel.right_of if side == "left" else rel.left_of
            for i in np.flatnonzero(graded.sure[:, a] & ~opposite.maybe[:, a]):
                for other in finder.simple[int(i)][:1]:
                    yield Candidate(
                        form="side_of",
                        context=finder.kind(int(i)),
                        answers=(side, f"{side} side"),
                        targets=(int(i), a),
                        slots={"ref": anchor.text, "other": other.text},
                    )
