"""Flat answer priors: how readily each answer of each question family is asked for.

Rooms offer some answers far more often than others (monitors are on desks, pillows on beds). A candidate question is
kept with the chance that `answer_chances.json` lists for its (form, context, answer), 1 where it lists none;
`bench/fit_chances.py` found the chances on rooms of seeds that nothing else uses, correcting them until the answers
asked for were about as even as the rooms allow. So a model that reads only the question has little to go by, and a
room depends on its seed alone.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from askscan.rooms.templates import Candidate

Chances = dict[str, dict[str, dict[str, float]]]
"""Form -> context -> answer -> chance."""

FILE = Path(__file__).with_name("answer_chances.json")


@cache
def chances() -> Chances:
    """The fitted chances that ship with the package."""
    table: Chances = json.loads(FILE.read_text())
    return table


def keep_chance(candidate: Candidate, table: Chances) -> float:
    """Chance that a candidate may be asked: that of its most common answer."""
    row = table.get(candidate.form, {}).get(candidate.context, {})
    return min(row.get(answer, 1.0) for answer in candidate.answers)
