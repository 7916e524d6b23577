"""Ablations: the file that names the variants, what is kept of each run, and the table over all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from jaxtyping import Float
from numpy import ndarray

from askscan.data.json_fields import read_json
from askscan.errors import ConfigError, DataError
from askscan.evaluate.score import AGAIN
from askscan.metrics.intervals import resampled_shares, span
from askscan.plain import from_plain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A recipe with some settings changed."""

    name: str = ""
    """What the table calls it."""
    pretrain: tuple[str, ...] | None = ()
    """Settings of pre-training, each FIELD=VALUE; None: question answering starts from scratch."""
    answers: tuple[str, ...] = ()
    """Settings of question answering."""
    question_only: bool = False
    """The baseline that never sees the scan, without pre-training."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"name {self.name!r}: expected letters, digits, spaces, dots or dashes, at most 40.")
        if self.question_only and self.pretrain:
            raise ConfigError(f"{self.name}: the question-only baseline has no pre-training; leave `pretrain` out.")

    @property
    def pretrains(self) -> bool:
        """Whether question answering starts from a pre-training."""
        return self.pretrain is not None and not self.question_only

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """What an ablation file asks for."""

    recipe: str = ""
    """The recipe of all variants."""
    seeds: tuple[int, ...] = ()
    """Each variant is trained once with each."""
    variants: tuple[Variant, ...] = ()
    """Differences are to the first."""

    def __post_init__(self) -> None:
        for name in ("recipe", "seeds", "variants"):
            if not getattr(self, name):
                raise ConfigError(f"no {name} given.")
        folders = [f"variant {variant.folder}" for variant in self.variants]
        name, count = Counter([f"seed {seed}" for seed in self.seeds] + folders).most_common(1)[0]
        if count > 1:
            raise ConfigError(f"{name} is there twice.")

    def selected(self, names: Sequence[str]) -> tuple[Variant, ...]:
        """The variants of those names, in the order of the file; all where no name is given.

        Raises:
            ConfigError: There is none of a name.
        """
        known = {key for variant in self.variants for key in (variant.name, variant.folder)}
        for name in names:
            if name not in known:
                raise ConfigError(f"no variant {name!r}; known are {', '.join(v.name for v in self.variants)}.")
        return tuple(v for v in self.variants if not names or {v.name, v.folder} & set(names))


def read_ablation(path: Path) -> Ablation:
    """Read an ablation file.

    Raises:
        ConfigError: It is missing, no YAML, or a field is unknown or has a wrong value.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML ({reason:.200}); see bench/ablation.yaml.") from error
    return from_plain(Ablation, plain, str(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training of a run and what came of it."""

    commands: tuple[str, ...]
    """What does the same alone: the training, then the evaluation."""
    num_steps: int
    seconds: float | None
    """Wall time of the training with all that it loads; None where it was interrupted."""
    peak_gib: float | None
    """Most GPU memory in use; None on a CPU."""
    scores: dict[str, float]
    """Figures x100 on unseen rooms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant trained with one seed."""

    variant: str
    seed: int
    pretrain: Stage | None
    answers: Stage
    rooms: dict[str, list[int]]
    """Of each room the questions answered right at once (EM@1) and all questions."""
    environment: dict[str, str]
    """Device, versions, commit."""

    def __post_init__(self) -> None:
        if not self.rooms or not all(0 <= hits <= count and count > 0 for hits, count in self.rooms.values()):
            raise ConfigError("rooms without counts.")


Record = TypeVar("Record", Stage, Row)


def load_record(path: Path, kind: type[Record]) -> Record:
    """Read the JSON file of a stage or a row.

    Raises:
        DataError: The file is something else.
    """
    remedy = "delete it and run again"
    plain = read_json(path, expected=dict, remedy=remedy)
    try:
        return from_plain(kind, plain)
    except (ConfigError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is no record of an ablation ({error}); {remedy}.") from error


def room_shares(details: Path) -> dict[str, list[int]]:
    """EM@1 by room, (hits, questions), from the `details.<split>.json` of an evaluation."""
    shares: dict[str, list[int]] = {}
    for entry in read_json(details, expected=list, remedy=AGAIN):
        share = shares.setdefault(entry["scene_id"], [0, 0])
        share[0] += entry["answers"][0] in entry["right_answers"]
        share[1] += 1
    return shares


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable:
    """What all runs so far say."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """A row per variant that has a run."""
    notes: tuple[str, ...]
    """What the figures are, a sentence each."""
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the first run of each variant."""

    def markdown(self) -> str:
        """A page with the table, the notes and the commands."""
        lines = [_line(self.header), "|---|" + "---:|" * (len(self.header) - 1), *map(_line, self.rows), ""]
        for note in self.notes:
            lines += [note, ""]
        for variant, commands in self.commands.items():
            lines += [f"{variant}:", "", "```", *commands, "```", ""]
        return "\n".join(lines)


def _score(stage: Stage | None, name: str) -> float | None:
    return None if stage is None else stage.scores.get(name)


_FIGURES: dict[str, Callable[[Row], float | None]] = {
    "EM@10": lambda row: _score(row.answers, "EM@10"),
    "Acc@0.25": lambda row: _score(row.answers, "Acc@0.25"),
    "Acc@0.5": lambda row: _score(row.answers, "Acc@0.5"),
    "mAP@0.5": lambda row: _score(row.answers, "mAP@0.5"),
    "sentence R@10": lambda row: _score(row.pretrain, "R@10 scene -> sentence"),
    "picture R@10": lambda row: _score(row.pretrain, "R@10 scene -> picture"),
    "k-NN pre-trained": lambda row: _score(row.pretrain, "room type k-NN"),
    "k-NN answering": lambda row: _score(row.answers, "room type k-NN"),
}
"""Columns that are means over runs."""
_COSTS: dict[str, Callable[[Row], float | None]] = {
    "pre-training, s": lambda row: None if row.pretrain is None else row.pretrain.seconds,
    "answering, s": lambda row: row.answers.seconds,
    "GPU GiB": lambda row: max((s.peak_gib for s in (row.pretrain, row.answers) if s and s.peak_gib), default=None),
}
"""Columns that are medians over runs: the first training of a process also embeds sentences and compiles."""


def ablation_table(ablation: Ablation, rows: Sequence[Row]) -> AblationTable:
    """Means over runs; EM@1, and its difference to the first variant, with 95 % intervals.

    Intervals are by bootstrap over rooms and over runs at once (Owen 2007); differences are paired over rooms.

    Raises:
        DataError: The runs were not evaluated on the same questions.
    """
    found = {v.name: [row for row in rows if row.variant == v.name] for v in ablation.variants}
    found = {name: own for name, own in found.items() if own}
    _same_rooms(rows)
    shares = {name: _resampled(own, index) for index, (name, own) in enumerate(found.items())}
    means = {name: _percent(own) for name, own in found.items()}
    first = ablation.variants[0].name
    table = []
    for name, own in found.items():
        gain = _NOTHING
        if name != first and first in found:
            low, high = span(shares[name] - shares[first])
            gain = f"{means[name] - means[first]:+.1f} [{low:+.1f}, {high:+.1f}]"
        low, high = span(shares[name])
        figures = [_over_runs(np.mean, figure, own) for figure in _FIGURES.values()]
        figures += [_over_runs(np.median, cost, own) for cost in _COSTS.values()]
        table.append((name, str(len(own)), f"{means[name]:.1f} [{low:.1f}, {high:.1f}]", gain, *figures))
    return AblationTable(
        header=("variant", "runs", "EM@1", f"to {first}", *_FIGURES, *_COSTS),
        rows=tuple(table),
        notes=_notes(ablation, rows),
        commands={name: _commands(own[0]) for name, own in found.items()},
    )


def _commands(row: Row) -> tuple[str, ...]:
    return (() if row.pretrain is None else row.pretrain.commands) + row.answers.commands


def _resampled(rows: Sequence[Row], index: int) -> Float[ndarray, "r"]:
    hits = np.array([[row.rooms[room][0] for room in sorted(row.rooms)] for row in rows], np.float64)
    counts = np.array([rows[0].rooms[room][1] for room in sorted(rows[0].rooms)], np.float64)
    return resampled_shares(hits, counts, seed=index)


def _percent(rows: Sequence[Row]) -> float:
    pairs = [pair for row in rows for pair in row.rooms.values()]
    return 100 * sum(hits for hits, _ in pairs) / sum(count for _, count in pairs)


def _same_rooms(rows: Sequence[Row]) -> None:
    counts = [{room: count for room, (_, count) in row.rooms.items()} for row in rows]
    for row, own in zip(rows, counts, strict=True):
        if own != counts[0]:
            raise DataError(
                f"{row.variant}, seed {row.seed}: was evaluated on other rooms than {rows[0].variant}, seed "
                f"{rows[0].seed}; delete the row.json and the qa.json of the wrong one and run again."
            )


def _over_runs(middle: Callable[[list[float]], Any], figure: Callable[[Row], float | None], rows: Sequence[Row]) -> str:
    known = [value for row in rows if (value := figure(row)) is not None]
    return f"{middle(known):.1f}" if known else _NOTHING


def _notes(ablation: Ablation, rows: Sequence[Row]) -> tuple[str, ...]:
    if not rows:
        return ("No run is done yet.",)
    environments = [row.environment for row in rows]
    where = [", ".join(dict.fromkeys(e.get(key, "?") for e in environments)) for key in ("device", "torch", "commit")]
    counts = [count for _, count in rows[0].rooms.values()]
    chance = next((value for row in rows if (value := _score(row.pretrain, "R@10 chance")) is not None), None)
    by_chance = "" if chance is None else f" R@10 by chance: {chance:.1f}."
    return (
        f"Recipe `{ablation.recipe}`, {len(counts)} unseen rooms, {sum(counts)} questions. "
        "Per cent, means over runs, with 95 % intervals by bootstrap over rooms and runs; differences are paired "
        f"over rooms. With few runs their spread is underestimated.{by_chance}",
        f"{where[0]}, torch {where[1]}, commit {where[2]}. Times hold everything that a training loads; the GPU's "
        "memory is the larger of both trainings; both are medians over runs.",
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
