"""ScanQA-like questions about a generated room, with their answers and the objects they are about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from askscan.rooms import balance
from askscan.rooms import questions_attributes as attributes
from askscan.rooms import questions_objects as objects
from askscan.rooms.references import Finder, find
from askscan.rooms.room import Room
from askscan.rooms.templates import FAMILIES, OPEN_FORMS, Candidate

GENERATORS: tuple[Callable[[Finder], Iterator[Candidate]], ...] = (
    attributes.colors,
    attributes.counts,
    attributes.parts,
    attributes.shapes,
    attributes.materials,
    attributes.places,
    objects.neighbours,
    objects.spots,
    objects.placed,
    objects.colored,
    objects.viewed,
)
MIN_QUESTIONS = 25
"""Rooms with little in them are asked more about what there is."""
PREPOSITIONS = re.compile(r"^(on|under|above|next to|in middle of|in)\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomQuestion:
    """One question about a room."""

    text: str
    answers: tuple[str, ...]
    """One to three right answers, the most specific first."""
    object_ids: tuple[int, ...]
    """The object that is asked about or that is the answer, then what else the question leans on."""
    object_names: tuple[str, ...]
    form: str
    """Template family."""


def ask(room: Room, rng: np.random.Generator, min_questions: int = MIN_QUESTIONS) -> tuple[RoomQuestion, ...]:
    """Questions about a room: a pure function of the room and the generator's state.

    Args:
        room: The furnished room.
        rng: Source of the choices.
        min_questions: Of which fewer would be asked, more is asked, as far as there is something to ask.

    Returns:
        About 25 to 45 questions, each checked to have only the answers it lists; fewer in rooms with little in them.
    """
    questions = []
    for candidate in choose(candidates(room), rng, balance.chances(), min_questions):
        wordings = FAMILIES[candidate.form][1].split(" | ")
        text = wordings[rng.integers(len(wordings))].format(**candidate.slots)
        questions.append(
            RoomQuestion(
                text=text,
                answers=candidate.answers,
                object_ids=tuple(dict.fromkeys(candidate.targets)),
                object_names=tuple(room.furnishings[i].kind for i in dict.fromkeys(candidate.targets)),
                form=candidate.form,
            )
        )
    unique = {question.text: question for question in questions}
    return tuple(unique.values())


def candidates(room: Room) -> tuple[Candidate, ...]:
    """Everything that could be asked of a room without giving the answer away."""
    finder = find(room)
    return tuple(c for generate in GENERATORS for c in generate(finder) if not leaks(c))


def leaks(candidate: Candidate) -> bool:
    """Whether the question names its own answer."""
    if candidate.form in OPEN_FORMS:
        return False
    text = " ".join(value for key, value in candidate.slots.items() if key != "side")
    cores = (PREPOSITIONS.sub("", answer) for answer in candidate.answers)
    return any(re.search(rf"\b{re.escape(core)}\b", text) for core in cores)


def choose(
    pool: Sequence[Candidate], rng: np.random.Generator, table: balance.Chances, min_questions: int = MIN_QUESTIONS
) -> list[Candidate]:
    """Draw the candidates to ask: per family its share, among those that the balance of answers lets through."""
    by_form: dict[str, list[Candidate]] = defaultdict(list)
    kept = rng.random(len(pool)) < [balance.keep_chance(c, table) for c in pool]
    for candidate, keep in zip(pool, kept, strict=True):
        if keep:
            by_form[candidate.form].append(candidate)
    chosen: list[Candidate] = []
    for form, (share, _) in FAMILIES.items():
        number = int(share + rng.random())
        chosen.extend(_spread(by_form[form], number, rng))
    left = [c for passed in by_form.values() for c in passed if c not in chosen]
    missing = max(min_questions - len(chosen), 0)
    return chosen + [left[k] for k in rng.permutation(len(left))[:missing]]


def _spread(pool: list[Candidate], number: int, rng: np.random.Generator) -> Iterator[Candidate]:
    """Up to so many candidates in random order, each about another object."""
    seen: set[int] = set()
    for position in rng.permutation(len(pool)):
        if len(seen) >= number:
            return
        target = pool[position].targets[0]
        if target not in seen:
            seen.add(target)
            yield pool[position]
