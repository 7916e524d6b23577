"""SQA3D-like situations: where somebody sits or stands in a generated room, and a question from that point of view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from askscan.rooms import balance
from askscan.rooms.poses import DIRECTIONS, Pose, View, poses, view
from askscan.rooms.questions import leaks
from askscan.rooms.references import Finder, Reference, find
from askscan.rooms.room import Room
from askscan.rooms.templates import Candidate
from askscan.rooms.words import PLURAL_KINDS, SHAPE_ANSWERS, article, has_clear_color, plural

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six")
WAYS = {"front": "forward", "behind": "backward", "left": "left", "right": "right"}
MAX_QUESTIONS = 10
MAX_POSES = 6

FORMS: dict[str, tuple[str, ...]] = {
    "sit_closest": ("What is the closest thing {where}?", "What object {where} is nearest to me?"),
    "sit_colored": ("What is the {color} object {where}?", "What {color} thing is {where}?"),
    "sit_color": ("What color is the {noun} {where}?", "What is the color of the {noun} {where}?"),
    "sit_shape": ("What shape is the {noun} {where}?", "What is the shape of the {noun} {where}?"),
    "sit_count": ("How many {nouns} are {where}?", "How many {nouns} can be counted {where}?"),
    "sit_odd": ("Is the number of {nouns} {where} odd or even?",),
    "sit_side": ("Is {ref} on my left or on my right?", "Is {ref} to my right or to my left?"),
    "sit_ahead": ("Is {ref} in front of me or behind me?",),
    "sit_there": ("Is there {a_noun} {where}?", "Are there any {nouns} {where}?"),
    "sit_see": ("Can I see {ref} without turning my head?", "Can I look at {ref} without turning around?"),
    "sit_way": ("Which direction should I go to reach {ref}?", "Which way should I go to get to {ref}?"),
    "sit_closer": ("Which is closer to me, {ref} or {other}?",),
    "sit_turn": ("If I turn {turn}, will {ref} be in front of me?", "If I turn {turn}, do I face {ref}?"),
}
"""Form -> paraphrases of questions about a situation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSituation:
    """A situation in a room with one question and its one answer."""

    text: str
    alternatives: tuple[str, str]
    """The same situation in other words."""
    position: tuple[float, float]
    """Where the agent is, in the room's frame, metres."""
    heading_rad: float
    """Direction the agent looks to: (cos, sin) in x, y."""
    question: str
    answer: str
    form: str


def ask(room: Room, rng: np.random.Generator) -> tuple[RoomSituation, ...]:
    """Situated questions about a room: a pure function of the room and the generator's state.

    Args:
        room: The furnished room.
        rng: Source of the choices.

    Returns:
        Four to ten situated questions; fewer where the room offers no place to sit or stand.
    """
    situations = []
    for pose, candidate in choose(options(room, rng), rng, balance.chances()):
        texts = [pose.texts[k] for k in rng.permutation(len(pose.texts))[:3]]
        wordings = FORMS[candidate.form]
        situations.append(
            RoomSituation(
                text=texts[0],
                alternatives=(texts[1], texts[2]),
                position=pose.position,
                heading_rad=pose.heading_rad,
                question=wordings[rng.integers(len(wordings))].format(**candidate.slots),
                answer=candidate.answers[0],
                form=candidate.form,
            )
        )
    return tuple(situations)


def options(room: Room, rng: np.random.Generator) -> list[tuple[Pose, Candidate]]:
    """All that could be asked from a few places of a room."""
    finder = find(room)
    places = list(poses(finder))
    chosen = rng.permutation(len(places))[:MAX_POSES]
    return [(places[p], c) for p in chosen for c in candidates(finder, places[p]) if not leaks(c)]


def choose(
    pool: Sequence[tuple[Pose, Candidate]], rng: np.random.Generator, table: balance.Chances
) -> list[tuple[Pose, Candidate]]:
    """Draw what to ask: every form as often as any other, answers as even as the room allows."""
    by_form: dict[str, list[tuple[Pose, Candidate]]] = {form: [] for form in FORMS}
    kept = rng.random(len(pool)) < [balance.keep_chance(candidate, table) for _, candidate in pool]
    for (pose, candidate), keep in zip(pool, kept, strict=True):
        if keep:
            by_form[candidate.form].append((pose, candidate))
    chosen = [pool[rng.integers(len(pool))] for pool in by_form.values() if pool]
    return [chosen[k] for k in rng.permutation(len(chosen))[:MAX_QUESTIONS]]


def candidates(finder: Finder, pose: Pose) -> Iterator[Candidate]:
    """Everything that can be asked from a pose."""
    seen = view(finder, pose)
    yield from _by_direction(finder, seen)
    yield from _by_reference(finder, pose, seen)


def _candidate(form: str, context: str, answer: str, target: int, **slots: str) -> Candidate:
    return Candidate(form=form, context=context, answers=(answer,), targets=(target,), slots=slots)


def _by_direction(finder: Finder, seen: View) -> Iterator[Candidate]:
    for direction, where in DIRECTIONS:
        sure, maybe = seen.sure[direction], seen.maybe[direction]
        yield from _closest(finder, seen, sure, maybe, where)
        yield from _colored(finder, sure, maybe, where)
        for noun in sorted({f.kind for f in finder.room.furnishings} - PLURAL_KINDS):
            named = finder.named(noun)
            ours = [i for i in named if sure[i] and finder.kind(i) == noun]
            others = [i for i in named if maybe[i]]
            if ours == others:
                yield from _of_kind(finder, noun, ours, where)


def _closest(finder: Finder, seen: View, sure: np.ndarray, maybe: np.ndarray, where: str) -> Iterator[Candidate]:
    near = [int(i) for i in np.flatnonzero(maybe) if finder.kind(int(i)) not in PLURAL_KINDS]
    if not near:
        return
    best = min(near, key=lambda i: seen.distance_m[i])
    rest = [seen.distance_m[i] for i in near if finder.kind(i) != finder.kind(best)]
    if sure[best] and 0.1 < seen.distance_m[best] < 2.5 and min(rest, default=9.0) - seen.distance_m[best] > 0.4:
        yield _candidate("sit_closest", where, finder.kind(best), best, where=where)


def _colored(finder: Finder, sure: np.ndarray, maybe: np.ndarray, where: str) -> Iterator[Candidate]:
    items = finder.room.furnishings
    for color in sorted({f.color for f in items if sure[f.object_id] and has_clear_color(f)}):
        like = [f for f in items if maybe[f.object_id] and (color in (f.color, *f.accents) or not has_clear_color(f))]
        if len(like) == 1 and max(like[0].size) > 0.3 and like[0].kind not in PLURAL_KINDS:
            yield _candidate("sit_colored", color, like[0].kind, like[0].object_id, color=color, where=where)


def _of_kind(finder: Finder, noun: str, members: list[int], where: str) -> Iterator[Candidate]:
    """Questions about the objects of a kind in one direction; asked of kinds that the room has somewhere."""
    nouns, target = plural(noun), members[0] if members else finder.named(noun)[0]
    answer = "yes" if members else "no"
    yield _candidate("sit_there", noun, answer, target, a_noun=article(noun), nouns=nouns, where=where)
    small = any(max(finder.room.furnishings[i].size) < 0.3 for i in finder.named(noun))
    if len(members) < len(NUMBER_WORDS) and not small:
        yield _candidate("sit_count", noun, NUMBER_WORDS[len(members)], target, nouns=nouns, where=where)
        if members:
            answer = "odd" if len(members) % 2 else "even"
            yield _candidate("sit_odd", "", answer, target, nouns=nouns, where=where)
    if len(members) == 1:
        item = finder.room.furnishings[members[0]]
        if has_clear_color(item) and max(item.size) > 0.3:
            yield _candidate("sit_color", noun, item.color, target, noun=noun, where=where)
        if item.kind.endswith(("table", "desk", "mirror", "stool")) and item.shape in SHAPE_ANSWERS:
            yield _candidate("sit_shape", noun, item.shape, target, noun=noun, where=where)


def _by_reference(finder: Finder, pose: Pose, seen: View) -> Iterator[Candidate]:
    named = [r[0] for r in finder.simple if r and r[0].target not in pose.used and seen.distance_m[r[0].target] > 0.3]
    for reference in named:
        i = reference.target
        where = [name for name, _ in DIRECTIONS if seen.sure[name][i]]
        blurred = [name for name, _ in DIRECTIONS if seen.maybe[name][i]]
        text = reference.text
        if len(where) == 1:
            side = where[0]
            if blurred == where:
                form = "sit_side" if side in ("left", "right") else "sit_ahead"
                yield _candidate(form, pose.manner, {"front": "in front"}.get(side, side), i, ref=text)
            yield _candidate("sit_way", pose.manner, WAYS[side], i, ref=text)
        bearing = abs(float(seen.bearing_rad[i]))
        if bearing < np.radians(40) or bearing > np.radians(125):
            yield _candidate("sit_see", pose.manner, "yes" if bearing < 1 else "no", i, ref=text)
        for turn, faced in (("left", "left"), ("right", "right"), ("around", "behind")):
            if seen.sure[faced][i] or not seen.maybe[faced][i]:
                yield _candidate(
                    "sit_turn", f"{pose.manner} {turn}", "yes" if seen.sure[faced][i] else "no", i, ref=text, turn=turn
                )
    yield from _closer(finder, seen, named)


def _closer(finder: Finder, seen: View, named: list[Reference]) -> Iterator[Candidate]:
    for first in named:
        for second in named:
            pair = (first.target, second.target)
            # Either order of mention comes up, so that it tells nothing.
            ahead_m = float(seen.distance_m[pair[1]] - seen.distance_m[pair[0]])
            if abs(ahead_m) > 0.8 and finder.kind(pair[0]) != finder.kind(pair[1]):
                best = int(ahead_m < 0)
                answer = finder.kind(pair[best])
                yield _candidate("sit_closer", "", answer, pair[best], ref=first.text, other=second.text)
