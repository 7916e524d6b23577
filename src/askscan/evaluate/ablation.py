"""Ablations: the file that names the variants, and what is kept of each run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from askscan.data.json_fields import read_json
from askscan.errors import ConfigError, DataError
from askscan.evaluate.cases import QUESTIONS, SHARES
from askscan.plain import from_plain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


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
    """Differences are to the first, and to the one from scratch."""

    def __post_init__(self) -> None:
        for name in ("recipe", "seeds", "variants"):
            if not getattr(self, name):
                raise ConfigError(f"no {name} given.")
        folders = [f"variant {variant.folder}" for variant in self.variants]
        name, count = Counter([f"seed {seed}" for seed in self.seeds] + folders).most_common(1)[0]
        if count > 1:
            raise ConfigError(f"{name} is there twice.")

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the variants that the others are compared to: the first, and the first from scratch."""
        scratch = [v.name for v in self.variants if not v.pretrains and not v.question_only]
        return tuple(dict.fromkeys([self.variants[0].name, *scratch[:1]]))

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
    environment: dict[str, str]
    """Device, versions, commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant trained with one seed."""

    variant: str
    seed: int
    pretrain: Stage | None
    answers: Stage
    rooms: dict[str, dict[str, int]]
    """Of each room the number of `questions`, and how many of them each of `SHARES` counts; without boxes, no Acc."""

    def __post_init__(self) -> None:
        for room, counts in self.rooms.items():
            if not {QUESTIONS, "EM@1"} <= set(counts) <= {QUESTIONS, *SHARES}:
                raise ConfigError(f"rooms.{room}: expected the counts {QUESTIONS}, {', '.join(SHARES)}.")
            if counts[QUESTIONS] < 1 or not all(0 <= hits <= counts[QUESTIONS] for hits in counts.values()):
                raise ConfigError(f"rooms.{room}: some counts are not between 0 and the number of questions.")
        if len({frozenset(counts) for counts in self.rooms.values()}) != 1:
            raise ConfigError("rooms: expected some, all with the same counts.")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Its trainings, the first one first."""
        return (self.answers,) if self.pretrain is None else (self.pretrain, self.answers)


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
    except (ConfigError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is no record of an ablation ({error}); {remedy}.") from error
