"""Flat answer priors: how readily each answer of each question family is asked for.

Rooms offer some answers far more often than others (monitors are on desks, pillows on beds). A candidate question is
kept with the chance that `answer_chances.json` lists for its (form, context, answer), 1 where it lists none; `fit`
found the chances on rooms of seeds that nothing else uses, correcting them until the answers asked for were about as
even as the rooms allow. So a model that reads only the question has little to go by, and a room depends on its seed
alone.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from askscan.rooms.templates import Candidate

Chances = dict[str, dict[str, dict[str, float]]]
"""Form -> context -> answer -> chance."""

FILE = Path(__file__).with_name("answer_chances.json")
EVEN_RANK = 3
"""Every answer of a context is asked for at most as often as its third most frequent one."""
MIN_COUNT = 20
"""Contexts that come up more rarely than that in the fit are left alone."""
NARROW = {1: 0.06, 2: 0.5, 3: 0.85}
"""Contexts with fewer answers than that are asked less, down to these shares."""


@cache
def chances() -> Chances:
    """The fitted chances that ship with the package."""
    table: Chances = json.loads(FILE.read_text())
    return table


def keep_chance(candidate: Candidate, table: Chances) -> float:
    """Chance that a candidate may be asked: that of its most common answer."""
    row = table.get(candidate.form, {}).get(candidate.context, {})
    return min(row.get(answer, 1.0) for answer in candidate.answers)


def fit(sample: Callable[[Chances], Sequence[Candidate]], *, rounds: int = 6) -> Chances:
    """Fit chances by repeated sampling.

    Args:
        sample: Draws the questions of many rooms under given chances.
        rounds: Number of corrections.

    Returns:
        The table; chances from 0.9 are left out.
    """
    table: Chances = {}
    for _ in range(rounds):
        asked: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for candidate in sample(table):
            asked[candidate.form, candidate.context].update(candidate.answers)
        for (form, context), counts in asked.items():
            if counts.total() < MIN_COUNT and context not in table.get(form, {}):
                continue
            row = table.setdefault(form, {}).setdefault(context, {})
            level, narrow = _level(counts)
            for answer, count in counts.items():
                wanted = row.get(answer, 1.0) * level / count
                row[answer] = float(np.clip(wanted if narrow == 1 else min(wanted, narrow), 0.01, 1.0))
    return {
        form: {
            context: kept
            for context, row in sorted(contexts.items())
            if (kept := {answer: round(chance, 2) for answer, chance in sorted(row.items()) if chance < 0.9})
        }
        for form, contexts in sorted(table.items())
    }


def _level(counts: Counter[str]) -> tuple[float, float]:
    """How often an answer should be asked for at most, and the chance left to contexts that have few answers."""
    ranked = [count for _, count in counts.most_common()]
    common = [count for count in ranked if count >= 0.05 * ranked[0]]
    level = ranked[min(EVEN_RANK, len(common)) - 1]
    return float(level), NARROW.get(len(common), 1.0)
