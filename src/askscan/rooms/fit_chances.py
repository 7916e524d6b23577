"""Fit and write the chances that keep answers even: `python -m askscan.rooms.fit_chances`.

To be run again after a change of the rooms or of the question families. The rooms are of seeds from 700,000 on, which
nothing else uses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np

from askscan.rooms import balance, questions, situations
from askscan.rooms.layout import plan_room
from askscan.rooms.templates import Candidate

FIRST_SEED = 700_000
NUM_ROOMS = 2000


def main() -> None:
    """Plan rooms, fit the chances of questions and of situated questions on them, replace the file."""
    asked, situated = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + NUM_ROOMS):
        room = plan_room(seed).room
        asked.append(questions.candidates(room))
        situated.append(situations.options(room, np.random.default_rng(seed)))

    def ask(table: balance.Chances) -> Sequence[Candidate]:
        return [c for k, pool in enumerate(asked) for c in questions.choose(pool, np.random.default_rng(k), table)]

    def situate(table: balance.Chances) -> Sequence[Candidate]:
        drawn = (situations.choose(pool, np.random.default_rng(k), table) for k, pool in enumerate(situated))
        return [candidate for pairs in drawn for _, candidate in pairs]

    table = {**balance.fit(ask), **balance.fit(situate)}
    unfinished = balance.FILE.with_suffix(".part")
    unfinished.write_text(json.dumps(table, separators=(",", ":"), sort_keys=True) + "\n")
    os.replace(unfinished, balance.FILE)


if __name__ == "__main__":
    main()
