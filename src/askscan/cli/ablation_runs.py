"""The runs of `ablate`: who does which, and what is kept of each.

Several processes may share the output folder: each run is claimed by a lock that the system drops when its process
ends, however it ends. This module imports heavy ones: it is imported where it is used.
"""

from __future__ import annotations

import gc
import hashlib
import json
import shlex
import time
import traceback
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from askscan.bench.timing import environment
from askscan.cli.console import progress, say
from askscan.cli.training import override
from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.errors import ConfigError, UserError
from askscan.evaluate.ablation import Ablation, Row, Stage, Variant, load_record
from askscan.evaluate.cases import read_cases, room_counts
from askscan.evaluate.evaluate import EvaluationFiles, evaluate
from askscan.evaluate.maps import map_scenes
from askscan.evaluate.runs import load_run, pick_device
from askscan.files import locked, write_json
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import QuestionOnly
from askscan.models.teacher import Teacher
from askscan.plain import first_difference, to_plain
from askscan.train.answer import train_answers
from askscan.train.config import AnswerConfig, PretrainConfig
from askscan.train.devices import Devices
from askscan.train.embeddings import TeacherLike
from askscan.train.pretrain import pretrain
from askscan.train.recipes import recipe as find_recipe

SPLIT = "val"
_REMEDY = "restore the file, or give a new folder with --out"
MANIFEST, SETTINGS, ROW, ERROR = "ablation.json", "settings.json", "row.json", "error.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, and what decides it."""

    variant: Variant
    seed: int
    recipe: str
    pretrain: PretrainConfig
    answers: AnswerConfig

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where it is, in the ablation's."""
        return Path(self.variant.folder) / str(self.seed)


def plan(recipe: str, variant: Variant, seed: int) -> Plan:
    """The configurations of a run, checked before anything is trained.

    Raises:
        ConfigError: There is no such recipe, or a setting of the variant does not fit it.
    """
    base, own = find_recipe(recipe), f"loop.seed={seed}"
    answers = replace(base.answers, question_only=variant.question_only)
    try:
        return Plan(
            variant=variant,
            seed=seed,
            recipe=recipe,
            pretrain=override(base.pretrain, [*(variant.pretrain or ()), own]),
            answers=override(answers, [*variant.answers, own]),
        )
    except ConfigError as error:
        raise ConfigError(f"variant {variant.name!r}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablater:
    """Does the runs of one output folder on one device."""

    data: DataFolder
    test: DataFolder
    out: Path
    teacher: TeacherLike
    teacher_name: str
    device: torch.device

    @classmethod
    def open(cls, data: Path, test: Path, out: Path, recipe: str, teacher: str, device: str) -> Ablater:
        """Check the collections and claim the folder.

        Raises:
            ConfigError: The folder is of another ablation, or has files that are not ours.
            OSError: A collection has no questions or sentences.
        """
        learnt, unseen, where = DataFolder(data), DataFolder(test), pick_device(device)
        frozen = Teacher.load(teacher, where)
        asked = {
            "recipe": recipe,
            "teacher": frozen.identity,
            "data": _content(learnt.scanqa("train"), learnt.scanrefer("train")),
            "test": _content(unseen.scanqa(SPLIT)),
        }
        # Names with a dot: of a process that claims the folder at this moment.
        empty = not out.exists() or all(path.name.startswith(".") for path in out.iterdir())
        if not _began_so(out / MANIFEST, asked):
            if not empty:
                raise ConfigError(f"{out}: is not empty and holds no ablation; give a new folder with --out.")
            write_json(out / MANIFEST, asked, ensure_ascii=False, indent=0)
        return cls(data=learnt, test=unseen, out=out, teacher=frozen, teacher_name=teacher, device=where)

    def run_all(self, plans: list[Plan]) -> list[str]:
        """Do what nobody has done or is doing; names of the runs that failed.

        Raises:
            ConfigError: A run is there already, with other settings.
        """
        for each in plans:
            _began_so(self.out / each.folder / SETTINGS, to_plain(each.variant))
        failed, busy = [], 0
        for each in plans:
            place = self.out / each.folder
            if (place / ROW).is_file():
                continue
            with locked(place / ".lock") as mine:
                if not mine:
                    busy += 1
                elif not (place / ROW).is_file() and not self._attempt(each, place):
                    failed.append(each.name)
        if busy:
            say(f"{busy} runs are being done by other processes.")
        return failed

    def _attempt(self, each: Plan, place: Path) -> bool:
        """Whether the run was done; if not, why is said and written down, and the others go on."""
        say(f"\n{each.name}")
        try:
            write_json(place / SETTINGS, to_plain(each.variant), ensure_ascii=False, indent=0)
            write_json(place / ROW, to_plain(self._run(each, place)), ensure_ascii=False, indent=0)
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else traceback.format_exc()
            (place / ERROR).write_text(reason + "\n", encoding="utf-8")
            say(f"{each.name}: failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})")
            return False
        (place / ERROR).unlink(missing_ok=True)
        return True

    def _run(self, each: Plan, place: Path) -> Row:
        first = place / "pre" if each.variant.pretrains else None
        pretrained = self._stage(each, first) if first else None
        answers = self._stage(each, place / "qa", init=first)
        return Row(
            variant=each.variant.name,
            seed=each.seed,
            pretrain=pretrained,
            answers=answers,
            rooms=room_counts(read_cases(EvaluationFiles.of(place / "qa", SPLIT).details)),
        )

    def _stage(self, each: Plan, run: Path, *, init: Path | None = None) -> Stage:
        """Train `pre` or `qa` and evaluate it, unless an earlier call did."""
        record = run.with_suffix(".json")
        if record.is_file():
            return load_record(record, Stage)
        if run.name == "pre":
            name, settings = "pretrain", each.variant.pretrain or ()
            training = partial(pretrain, self.data, run, each.pretrain)
        else:
            name, settings = "train", each.variant.answers
            training = partial(train_answers, self.data, run, each.answers)
        options = ["--init", init] if init else ["--question-only"] if each.variant.question_only else []
        options += [] if self.teacher_name == "default" else ["--teacher", self.teacher_name]
        options += ["--recipe", each.recipe, "--set", *settings, f"loop.seed={each.seed}"]
        _free_memory()
        if cuda := self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        where, devices, started = environment(self.device), Devices(accelerator=self.device.type), time.monotonic()
        with progress(f"{name} {each.name}") as update:
            result = training(teacher=self.teacher, init=init, devices=devices, say=say, on_progress=update)
        seconds = time.monotonic() - started
        peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
        _free_memory()
        train = _command(name, self.data.root, "--out", run, *options)
        stage = Stage(
            commands=(train, _command("evaluate", run, self.test.root)),
            num_steps=result.num_steps,
            seconds=None if result.resumed_at else seconds,
            peak_gib=None if result.resumed_at else peak,
            scores=self._scores(run),
            environment=where,
        )
        write_json(record, to_plain(stage), ensure_ascii=False, indent=0)
        return stage

    def _scores(self, folder: Path) -> dict[str, float]:
        """Answers of a run about the unseen rooms, and what its scene embeddings are worth there."""
        run = load_run(folder, self.device)
        scores: dict[str, float] = {}
        if not isinstance(run.module, Pretrainer):
            scores |= evaluate(run, self.test, SPLIT, out=folder, teacher=self.teacher, java=False).figures
        if not isinstance(run.module, QuestionOnly):
            scores |= map_scenes(run, self.test, SPLIT, teacher=self.teacher).scores
        return scores


def finished(ablation: Ablation, folder: Path) -> list[Row]:
    """What was done of an ablation.

    Raises:
        ConfigError: The folder holds no ablation, or one of another recipe.
        DataError: A row is damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder}: holds no ablation; give a folder that `askscan ablate` wrote.")
    began = read_json(folder / MANIFEST, expected=dict, remedy=_REMEDY)
    if (difference := first_difference(began, began | {"recipe": ablation.recipe})) is not None:
        raise ConfigError(f"{folder}: holds another ablation ({difference}); give its file, or another folder.")
    paths = [path for variant in ablation.variants for path in sorted(folder.glob(f"{variant.folder}/*/{ROW}"))]
    return [load_record(path, Row) for path in paths]


def _command(*arguments: object) -> str:
    return shlex.join(["askscan", *map(str, arguments)])


def _began_so(path: Path, asked: dict[str, Any]) -> bool:
    """Whether a file is there that says what was asked for.

    Raises:
        ConfigError: It says something else.
    """
    if not path.is_file():
        return False
    difference = first_difference(read_json(path, expected=dict, remedy=_REMEDY), json.loads(json.dumps(asked)))
    if difference is not None:
        raise ConfigError(f"{path}: this began with something else ({difference}); give a new folder with --out.")
    return True


def _content(*paths: Path) -> str:
    """A hash of files."""
    return hashlib.blake2b(b"".join(path.read_bytes() for path in paths), digest_size=8).hexdigest()


def _free_memory() -> None:
    """Give back what an earlier training held: its networks and recordings refer to each other."""
    gc.collect()
    torch.cuda.empty_cache()
