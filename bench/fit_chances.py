"""Fit and write the chances that keep answers even: `python bench/fit_chances.py`.

To be run again after a change of the rooms or of the question families. The rooms are of seeds from 700,000 on, which
nothing else uses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from askscan.files import write_json
from askscan.rooms import questions, situations
from askscan.rooms.balance import FILE, Chances
from askscan.rooms.layout import plan_room
from askscan.rooms.templates import Candidate

FIRST_SEED = 700_000
NUM_ROOMS = 2000
EVEN_RANK = 3
"""Every answer of a context is asked for at most as often as its third most frequent one."""
MIN_COUNT = 20
"""Contexts that come up more rarely than that in the fit are left alone."""
NARROW = {1: 0.06, 2: 0.5, 3: 0.85}
"""Contexts with fewer answers than that are asked less, down to these shares."""


def main() -> None:
    """Plan rooms, fit the chances of questions and of situated questions on them, replace the file."""
    asked, situated = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + NUM_ROOMS):
        room = plan_room(seed).room
        asked.append(questions.candidates(room))
        situated.append(situations.options(room, np.random.default_rng(seed)))

    def ask(table: Chances) -> Sequence[Candidate]:
        return [c for k, pool in enumerate(asked) for c in questions.choose(pool, np.random.default_rng(k), table)]

    def situate(table: Chances) -> Sequence[Candidate]:
        drawn = (situations.choose(pool, np.random.default_rng(k), table) for k, pool in enumerate(situated))
        return [candidate for pairs in drawn for _, candidate in pairs]

    write_json(FILE, {**fit(ask), **fit(situate)}, separators=(",", ":"), sort_keys=True)


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


if __name__ == "__main__":
    main()
