"""Noun phrases that single out one object of a room, each with what it says about the object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from askscan.rooms.relations import Graded, Relations, between, closest, extreme, farthest, own_size, relate
from askscan.rooms.room import Room
from askscan.rooms.words import MATERIAL_ADJECTIVES, PLURAL_KINDS, covers, has_clear_color

DISTANCES: tuple[tuple[str, Callable[..., int | None]], ...] = (("closest to", closest), ("farthest from", farthest))
SIZE_WORDS = ("largest", "smallest", "tallest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A phrase such as `the brown chair next to the desk` that fits one object of its room and no other."""

    text: str
    target: int
    """objectId."""
    says: frozenset[str]
    """What the phrase tells: `color`, `material`, `shape`, `size`, `place` (a relation to something else)."""
    anchors: tuple[int, ...] = ()
    """Objects that the phrase mentions beside the target."""


class Finder:
    """The references of one room, by target; made by `find`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.relations: Relations = relate(room)
        self.own_size = own_size(room.furnishings)
        self._rivals = [self._confusable(i) for i in range(len(room.furnishings))]
        self.simple = [tuple(self._simple(i)) for i in range(len(room.furnishings))]
        self._related: dict[int, tuple[Reference, ...]] = {}

    def kind(self, i: int) -> str:
        """The raw label of an object."""
        return self.room.furnishings[i].kind

    def named(self, noun: str) -> list[int]:
        """Every object that somebody may mean by the noun."""
        return [f.object_id for f in self.room.furnishings if covers(noun, f.kind)]

    def _confusable(self, i: int) -> list[int]:
        return [j for j in self.named(self.kind(i)) if j != i]

    def _simple(self, i: int) -> Iterator[Reference]:
        """The bare noun, or the noun with one adjective that no rival shares."""
        items, item, rivals = self.room.furnishings, self.room.furnishings[i], self._rivals[i]
        if item.kind in PLURAL_KINDS:
            return
        if not rivals:
            yield Reference(text=f"the {item.kind}", target=i, says=frozenset())
        if has_clear_color(item) and all(items[j].color != item.color for j in rivals):
            yield Reference(text=f"the {item.color} {item.kind}", target=i, says=frozenset({"color"}))
        adjective = MATERIAL_ADJECTIVES.get(item.material)
        if adjective and rivals and all(items[j].material != item.material for j in rivals):
            yield Reference(text=f"the {adjective} {item.kind}", target=i, says=frozenset({"material"}))
        if _telling_shape(item.shape, rivals) and all(items[j].shape not in ("", item.shape) for j in rivals):
            yield Reference(text=f"the {item.shape} {item.kind}", target=i, says=frozenset({"shape"}))
        for word in SIZE_WORDS:
            if any(self.kind(j) == item.kind for j in rivals) and self.extreme_of(word, [i, *rivals]) == i:
                yield Reference(text=f"the {word} {item.kind}", target=i, says=frozenset({"size"}))

    def extreme_of(self, word: str, members: list[int]) -> int | None:
        """The largest, smallest or tallest of some objects where a person would see it at once, else None."""
        size = self.own_size[members]
        if word == "tallest":
            return _member(members, extreme(size[:, 2], ratio=1.15, margin=0.1))
        volume = np.cbrt(size.prod(-1))
        if word == "largest":
            best = extreme(volume, ratio=1.15, margin=0.05)
            return _member(members, best if best == int(np.argmax(size[:, :2].prod(-1))) else None)
        best = extreme(1 / np.maximum(volume, 1e-3), ratio=1.15, margin=0.0)
        return _member(members, best if best == int(np.argmin(size[:, :2].prod(-1))) else None)

    def is_landmark(self, anchor: int, i: int) -> bool:
        """Whether people would place an object by that other one: nobody finds a bed by its stool."""
        size = self.relations.high - self.relations.low
        return bool(size[anchor].prod() > 0.2 * size[i].prod() or size[anchor].max() > 0.8 * size[i].max())

    def related(self, i: int) -> tuple[Reference, ...]:
        """Phrases that place the object: `the chair next to the bed`, `the box closest to the door`."""
        if i not in self._related:
            self._related[i] = () if self.kind(i) in PLURAL_KINDS else tuple(self._relational(i))
        return self._related[i]

    def _relational(self, i: int) -> Iterator[Reference]:
        rel, members = self.relations, [i, *self._rivals[i]]
        for name, graded in (("in the corner", rel.corner), ("in the middle of the room", rel.middle)):
            if graded.sure[i] and not graded.maybe[members[1:]].any():
                yield self._place(i, name)
        for phrase, graded in relation_phrases(rel):
            yield from self._by_relation(i, members[1:], phrase, graded)
        if len(members) > 1:
            yield from self._by_distance(i, members)
        yield from self._by_between(i, members[1:])

    def _place(self, i: int, phrase: str, *anchors: int) -> Reference:
        return Reference(text=f"the {self.kind(i)} {phrase}", target=i, says=frozenset({"place"}), anchors=anchors)

    def _anchors(self, members: list[int]) -> Iterator[Reference]:
        """Unique things that a phrase may lean on: none of the objects that have to be told apart."""
        for a, phrases in enumerate(self.simple):
            if phrases and a not in members and phrases[0].says <= {"color"}:
                yield phrases[0]

    def _by_relation(self, i: int, rivals: list[int], phrase: str, graded: Graded) -> Iterator[Reference]:
        for anchor in self._anchors([i, *rivals]):
            if not self.is_landmark(anchor.target, i):
                continue
            if graded.sure[i, anchor.target] and not graded.maybe[rivals, anchor.target].any():
                yield self._place(i, f"{phrase} {anchor.text}", anchor.target)

    def _by_distance(self, i: int, members: list[int]) -> Iterator[Reference]:
        for anchor in self._anchors(members):
            # Near and far are said of things that do not move: doors, windows, beds and the like.
            if self.relations.high[anchor.target, 2] - self.relations.low[anchor.target, 2] < 0.4:
                continue
            for phrase, choose in DISTANCES:
                if choose(self.relations, anchor.target, members) == i:
                    yield self._place(i, f"{phrase} {anchor.text}", anchor.target)

    def _by_between(self, i: int, rivals: list[int]) -> Iterator[Reference]:
        near = [a for a in self._anchors([i, *rivals]) if self.relations.gap_m[i, a.target] < 0.8]
        for x, first in enumerate(near):
            for second in near[x + 1 :]:
                graded = between(self.relations, first.target, second.target)
                if graded.sure[i] and not graded.maybe[rivals].any():
                    yield self._place(i, f"between {first.text} and {second.text}", first.target, second.target)


def relation_phrases(rel: Relations) -> tuple[tuple[str, Graded], ...]:
    """How each two-place relation is said."""
    return (("on", rel.on), ("under", rel.under), ("above", rel.above), ("next to", rel.next_to))


def _telling_shape(shape: str, rivals: list[int]) -> bool:
    return bool(rivals) and shape not in ("", "rectangular")


def _member(members: list[int], position: int | None) -> int | None:
    return None if position is None else members[position]


@lru_cache(maxsize=8)
def find(room: Room) -> Finder:
    """The references of a room, worked out once."""
    return Finder(room)
