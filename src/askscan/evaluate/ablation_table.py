"""The tables over all runs of an ablation, and what they can be taken to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from askscan.errors import DataError
from askscan.evaluate.ablation import Ablation, Row, Stage
from askscan.evaluate.cases import QUESTIONS, SHARES, Estimate, difference, share_of

_NOTHING, _FEW = "–", " *"
_FEW_RUNS = 3
"""Fewer say next to nothing about how runs differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures of the variants that have a run."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Heading and table."""
        lines = [_line(self.header), "|---|" + "---:|" * (len(self.header) - 1), *map(_line, self.rows)]
        return "\n".join([f"## {self.title}", "", *lines, ""])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What all runs so far say."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    """What the figures are, a sentence or two each."""
    origins: tuple[str, ...]
    """Which runs come from which device and commit."""
    commands: dict[str, tuple[str, ...]]
    """Of all runs of each variant."""

    def markdown(self) -> str:
        """A page with the tables, the notes and the commands."""
        lines = [table.markdown() for table in self.tables]
        for note in self.notes:
            lines += [note, ""]
        if self.commands:
            lines += ["## Where the runs were done", "", *(f"- {origin}" for origin in self.origins), ""]
            lines += ["## Commands", ""]
        for variant, commands in self.commands.items():
            lines += [f"{variant}:", "", "```", *commands, "```", ""]
        return "\n".join(lines)


def _score(stage: Stage | None, name: str) -> float | None:
    return None if stage is None else stage.scores.get(name)


Figure = Callable[[Row], float | None]
Middle = Callable[[list[float]], Any]
_ANSWERS: dict[str, Figure] = {
    "mAP@0.5": lambda row: _score(row.answers, "mAP@0.5"),
    "CIDEr": lambda row: _score(row.answers, "CIDEr"),
}
_EMBEDDINGS: dict[str, Figure] = {
    "sentence R@10": lambda row: _score(row.pretrain, "R@10 scene -> sentence"),
    "picture R@10": lambda row: _score(row.pretrain, "R@10 scene -> picture"),
    "k-NN pre-trained": lambda row: _score(row.pretrain, "room type k-NN"),
    "silhouette pre-trained": lambda row: _score(row.pretrain, "room type silhouette"),
    "k-NN answering": lambda row: _score(row.answers, "room type k-NN"),
}
"""Columns that are means over runs."""
_COSTS: dict[str, Figure] = {
    "pre-training, s": lambda row: None if row.pretrain is None else row.pretrain.seconds,
    "answering, s": lambda row: row.answers.seconds,
    "GPU GiB": lambda row: max((s.peak_gib for s in row.stages if s.peak_gib), default=None),
}
"""Columns that are medians over runs: the first training of a process also embeds sentences and compiles."""


def summarize(ablation: Ablation, rows: Sequence[Row]) -> Summary:
    """Means over runs; shares of questions, and their differences to the references, with 95 % intervals.

    Intervals are by bootstrap over rooms and over runs at once (Owen 2007). Differences are paired: both variants' runs
    of a seed, and both answers to a room's questions, are drawn together.

    Raises:
        DataError: The runs were not evaluated on the same questions.
    """
    found = {v.name: sorted((r for r in rows if r.variant == v.name), key=lambda r: r.seed) for v in ablation.variants}
    found = {name: own for name, own in found.items() if own}
    if not found:
        return Summary(tables=(), notes=("No run is done yet.",), origins=(), commands={})
    _same_questions([row for own in found.values() for row in own])
    references = [name for name in ablation.references if name in found and len(found) > 1]
    return Summary(
        tables=(_answers(found), *(_differences(found, name) for name in references), *_embeddings_and_costs(found)),
        notes=_notes(ablation, found),
        origins=_origins(found),
        commands={
            name: tuple(c for row in own for stage in row.stages for c in stage.commands) for name, own in found.items()
        },
    )


def _answers(found: Mapping[str, Sequence[Row]]) -> Table:
    rows = []
    for name, own in found.items():
        shares = [_share(own, name) for name in SHARES]
        rows.append((name, _number(own), *shares, *(_over_runs(np.mean, figure, own) for figure in _ANSWERS.values())))
    return Table(title="Answers", header=("variant", "runs", *SHARES, *_ANSWERS), rows=tuple(rows))


def _share(own: Sequence[Row], name: str) -> str:
    """With its interval where rooms were counted; rows may have counted EM@1 alone."""
    counted = share_of([row.rooms for row in own], name)
    return _text(counted) if counted else _over_runs(np.mean, lambda row: _score(row.answers, name), own)


def _differences(found: Mapping[str, Sequence[Row]], reference: str) -> Table:
    rows = []
    for name, own in found.items():
        if name == reference:
            continue
        seeds = {row.seed for row in own} & {row.seed for row in found[reference]}
        # Without a common seed, the runs of either side are drawn on their own.
        ours, theirs = ([row for row in side if not seeds or row.seed in seeds] for side in (own, found[reference]))
        pairs = _number(ours) if seeds else f"unpaired{_FEW if min(len(ours), len(theirs)) < _FEW_RUNS else ''}"
        sides = [row.rooms for row in ours], [row.rooms for row in theirs]
        gains = [difference(*sides, share, paired=bool(seeds)) for share in SHARES]
        rows.append((name, pairs, *(_text(gain, signed=True) for gain in gains)))
    title, header = f"Difference to {reference}", ("variant", "pairs", *SHARES)
    # Rows may have counted EM@1 alone.
    kept = [i for i in range(len(header)) if any(row[i] != _text(None) for row in rows)]
    return Table(
        title=title, header=tuple(header[i] for i in kept), rows=tuple(tuple(r[i] for i in kept) for r in rows)
    )


def _embeddings_and_costs(found: Mapping[str, Sequence[Row]]) -> Iterator[Table]:
    kinds: tuple[tuple[str, dict[str, Figure], Middle], ...] = (
        ("Scene embeddings", _EMBEDDINGS, np.mean),
        ("Cost", _COSTS, np.median),
    )
    for title, figures, middle in kinds:
        rows = (
            (name, *(_over_runs(middle, figure, own) for figure in figures.values())) for name, own in found.items()
        )
        yield Table(title=title, header=("variant", *figures), rows=tuple(rows))


def _number(rows: Sequence[Row]) -> str:
    return f"{len(rows)}{_FEW if len(rows) < _FEW_RUNS else ''}"


def _text(estimate: Estimate | None, *, signed: bool = False) -> str:
    return _NOTHING if estimate is None else estimate.text(signed=signed)


def _same_questions(rows: Sequence[Row]) -> None:
    numbers = [{room: counts[QUESTIONS] for room, counts in row.rooms.items()} for row in rows]
    for row, own in zip(rows, numbers, strict=True):
        if own != numbers[0]:
            raise DataError(
                f"{row.variant}, seed {row.seed}: was evaluated on other questions than {rows[0].variant}, seed "
                f"{rows[0].seed}; delete the row.json and the qa.json of the wrong one and run again."
            )


def _over_runs(middle: Middle, figure: Figure, rows: Sequence[Row]) -> str:
    known = [value for row in rows if (value := figure(row)) is not None]
    return f"{middle(known):.1f}" if known else _NOTHING


def _notes(ablation: Ablation, found: Mapping[str, Sequence[Row]]) -> tuple[str, ...]:
    rows = [row for own in found.values() for row in own]
    counts = [counts[QUESTIONS] for counts in rows[0].rooms.values()]
    chance = next((value for row in rows if (value := _score(row.pretrain, "R@10 chance")) is not None), None)
    by_chance = "" if chance is None else f" R@10 by chance: {chance:.1f}."
    return (
        f"Recipe `{ablation.recipe}`, {len(counts)} unseen rooms, {sum(counts)} questions. Per cent, means over runs, "
        f"with 95 % intervals by bootstrap over rooms and runs.{by_chance}",
        "Differences are in points, paired by seed and room over the seeds that both variants have; unpaired: there is "
        "no such seed, so over all runs, paired by room alone. Where an interval holds 0, no difference was seen; "
        "where there is none, one interval of twenty does not hold it.",
        f"*: fewer than {_FEW_RUNS} runs or pairs. Few make intervals too narrow, and one tells nothing of how runs "
        "differ: its interval is of this very run, not of the variant.",
        "Times hold everything that a training loads; the GPU's memory is the larger of both trainings; both are "
        "medians over runs.",
    )


def _origins(found: Mapping[str, Sequence[Row]]) -> tuple[str, ...]:
    """A sentence per device, version of torch and commit, with the seeds of each variant that were trained there."""
    seeds: dict[str, dict[str, list[str]]] = {}
    for name, own in found.items():
        for row in own:
            # One that went on elsewhere after its pre-training is named twice.
            for place in dict.fromkeys(_origin(stage) for stage in row.stages):
                seeds.setdefault(place, {}).setdefault(name, []).append(str(row.seed))
    return tuple(
        f"{where}: " + "; ".join(f"{name} {', '.join(own)}" for name, own in variants.items())
        for where, variants in seeds.items()
    )


def _origin(stage: Stage) -> str:
    device, torch, commit = (stage.environment.get(key, "unknown") for key in ("device", "torch", "commit"))
    return f"{device}, torch {torch}, commit {commit}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
