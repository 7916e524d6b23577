"""ScanRefer-like sentences: each singles out one object of a room by what it is, looks like and is near."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from askscan.rooms.references import DISTANCES, SIZE_WORDS, Finder, find, relation_phrases
from askscan.rooms.room import Room
from askscan.rooms.words import MATERIAL_ADJECTIVES, PLURAL_KINDS, article, covers, has_clear_color, tokens

MAX_FACTS = 4
TRIES = 12

OPENINGS = (
    "there is {a_noun}.",
    "this is {a_noun}.",
    "it is {a_noun}.",
    "you see {a_noun} in the room.",
    "find {a_noun}.",
)
FOLLOW_UPS = ("it is {fact}.", "the {kind} is {fact}.", "it can be found {fact}.", "you can see it {fact}.")
DIRECT = ("the {noun} is {fact}.", "the {noun} that is {fact}.", "{a_noun} {fact}.", "it is the {noun} {fact}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A description of one object."""

    object_id: int
    text: str
    token: tuple[str, ...]
    """Words and punctuation marks of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that can be said of the described object."""

    text: str
    role: str
    """`color`, `material`, `shape` or `size` (adjectives), or `place`."""
    fits: Bool[ndarray, "o"]
    """Every object of the room of which somebody might say the same."""
    anchor: int | None = None
    """objectId of the other object that the fact mentions."""


def describe(room: Room, rng: np.random.Generator) -> tuple[Sentence, ...]:
    """Sentences about a room: a pure function of the room and the generator's state.

    Args:
        room: The furnished room.
        rng: Source of the choices.

    Returns:
        Two to five different sentences for every object that can be told apart from all others.
    """
    finder = find(room)
    sentences: list[Sentence] = []
    for item in room.furnishings:
        if item.kind in PLURAL_KINDS or max(item.size) < 0.15:
            continue
        texts: dict[str, None] = {}
        wanted = int(rng.integers(2, 6))
        known = tuple(facts(finder, item.object_id))
        for _ in range(TRIES):
            chosen = pick(finder, item.object_id, known, rng)
            if chosen is not None and len(texts) < wanted:
                texts[_write(item.kind, chosen, rng)] = None
        sentences.extend(Sentence(object_id=item.object_id, text=text, token=tokens(text)) for text in texts)
    return tuple(sentences)


def named(finder: Finder, i: int) -> Bool[ndarray, "o"]:
    """The objects that the noun for an object may mean."""
    return np.array([covers(finder.kind(i), f.kind) for f in finder.room.furnishings], dtype=bool)


def facts(finder: Finder, i: int) -> Iterator[Fact]:
    """All that can surely be said of an object, with the others that it may be said of."""
    items, rel, item = finder.room.furnishings, finder.relations, finder.room.furnishings[i]
    if has_clear_color(item):
        fits = np.array([f.color == item.color or not has_clear_color(f) for f in items], dtype=bool)
        yield Fact(text=item.color, role="color", fits=fits)
    if item.material in MATERIAL_ADJECTIVES:
        fits = np.array([f.material == item.material for f in items], dtype=bool)
        yield Fact(text=MATERIAL_ADJECTIVES[item.material], role="material", fits=fits)
    if item.shape not in ("", "rectangular"):
        fits = np.array([f.shape in ("", item.shape) for f in items], dtype=bool)
        yield Fact(text=item.shape, role="shape", fits=fits)
    members = [int(j) for j in np.flatnonzero(named(finder, i))]
    for word in SIZE_WORDS:
        if len(members) > 1 and finder.extreme_of(word, members) == i:
            yield Fact(text=word, role="size", fits=np.arange(len(items)) == i)
    yield from _spots(finder, i)
    for phrase, graded in relation_phrases(rel):
        for j in np.flatnonzero(graded.sure[i]):
            for text, meant in _mentions(finder, int(j)) if finder.is_landmark(int(j), i) else ():
                if meant[i]:
                    continue
                fits = np.asarray(graded.maybe[:, meant].any(axis=1))
                yield Fact(text=f"{phrase} {text}", role="place", fits=fits, anchor=int(j))
    yield from _distances(finder, i, members)


def _spots(finder: Finder, i: int) -> Iterator[Fact]:
    rel = finder.relations
    for text, graded in (
        ("in the corner of the room", rel.corner),
        ("in the middle of the room", rel.middle),
        ("against the wall", rel.wall),
    ):
        if graded.sure[i]:
            yield Fact(text=text, role="place", fits=graded.maybe)


def _mentions(finder: Finder, j: int) -> Iterator[tuple[str, Bool[ndarray, "o"]]]:
    """Ways to mention an anchor, unique or not, with all the objects that may be meant."""
    item, meant = finder.room.furnishings[j], named(finder, j)
    if item.kind in PLURAL_KINDS:
        return
    yield (f"the {item.kind}" if meant.sum() == 1 else article(item.kind)), meant
    if has_clear_color(item):
        alike = np.array([f.color == item.color or not has_clear_color(f) for f in finder.room.furnishings])
        noun = f"{item.color} {item.kind}"
        yield (f"the {noun}" if (meant & alike).sum() == 1 else article(noun)), meant & alike


def _distances(finder: Finder, i: int, members: list[int]) -> Iterator[Fact]:
    if len(members) < 2:
        return
    for phrases in finder.simple:
        if not phrases or phrases[0].target in members or not phrases[0].says <= {"color"}:
            continue
        for word, choose in DISTANCES:
            if choose(finder.relations, phrases[0].target, members) == i:
                only = np.arange(len(finder.room.furnishings)) == i
                yield Fact(text=f"{word} {phrases[0].text}", role="place", fits=only, anchor=phrases[0].target)


def pick(finder: Finder, i: int, known: tuple[Fact, ...], rng: np.random.Generator) -> tuple[Fact, ...] | None:
    """A random set of facts that fit the object alone: at most one per adjective, two places; None if none is found."""
    left, chosen = named(finder, i), list[Fact]()
    at_least = int(rng.integers(1, 3))
    for position in rng.permutation(len(known)):
        fact = known[position]
        roles = [f.role for f in chosen]
        if roles.count(fact.role) >= (2 if fact.role == "place" else 1) or len(chosen) >= MAX_FACTS:
            continue
        if fact.anchor is not None and fact.anchor in {f.anchor for f in chosen}:
            continue
        narrows = (left & fact.fits).sum() < left.sum()
        if narrows or len(chosen) < at_least:
            left, chosen = left & fact.fits, [*chosen, fact]
        if left.sum() == 1 and len(chosen) >= at_least:
            return tuple(chosen)
    return None


def _write(kind: str, chosen: tuple[Fact, ...], rng: np.random.Generator) -> str:
    """Put facts into words: adjectives before the noun, or in a clause of their own; places after it."""
    order = ("size", "shape", "color", "material")
    adjectives = sorted((f for f in chosen if f.role != "place"), key=lambda f: order.index(f.role))
    places = [f.text for f in chosen if f.role == "place"]
    superlative = any(f.role == "size" for f in adjectives)
    noun = " ".join([*(f.text for f in adjectives), kind])
    a_noun = f"the {noun}" if superlative else article(noun)

    def fill(templates: tuple[str, ...], fact: str = "") -> str:
        return templates[rng.integers(len(templates))].format(noun=noun, a_noun=a_noun, kind=kind, fact=fact)

    openings = OPENINGS[1:3] if superlative else OPENINGS
    if not places:
        return fill(openings)
    if len(places) == 1 and rng.random() < 0.5:
        return fill(DIRECT, places[0])
    joined = [" and ".join(places)] if rng.random() < 0.4 else places
    # Nobody sees a thing farthest from another.
    clauses = (fill(FOLLOW_UPS[:2] if "est " in place else FOLLOW_UPS, place) for place in joined)
    return " ".join([fill(openings), *clauses])
