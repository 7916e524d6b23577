"""`ablate`: every variant of an ablation file trained and evaluated with every seed, and one table.

Several processes may share the output folder: each run is claimed by a lock that the system drops when its process
ends, however it ends.
"""

from __future__ import annotations

import gc
import json
import shlex
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from askscan.cli.arguments import Data, Out, Teacher
from askscan.cli.console import progress, say, table
from askscan.cli.training import Accelerator, override
from askscan.errors import ConfigError, UserError

if TYPE_CHECKING:
    from askscan.data.folder import DataFolder
    from askscan.evaluate.ablation import Ablation, Row, Stage, Variant
    from askscan.train.config import AnswerConfig, PretrainConfig
    from askscan.train.embeddings import OnProgress, TeacherLike
    from askscan.train.loop import RunResult

SPLIT = "val"
MANIFEST, SETTINGS, ROW, ERROR, TABLE = "ablation.json", "settings.json", "row.json", "error.txt", "table.md"


def ablate(
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE", help="Such as bench/ablation.yaml.")],
    data: Data,
    test: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TEST", help="Unseen rooms: its val.")],
    *,
    out: Out,
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME...", help="Only these variants.")] = (),
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="S...", help="These, in place of the file's.")] = (),
    teacher: Teacher = "default",
    device: Accelerator = "auto",
    table_only: Annotated[bool, tyro.conf.arg(name="table", help="Train nothing; the table of what is done.")] = False,
) -> None:
    """Pre-train, train and evaluate every variant of a file with every seed, and put them into one table.

    Start it once per GPU (CUDA_VISIBLE_DEVICES) with the same --out: the processes divide the runs. Again, it goes on.
    """
    from askscan.evaluate.ablation import read_ablation

    ablation = read_ablation(file)
    variants = ablation.selected(only)
    failed: list[str] = []
    if not table_only:
        plans = [_plan(ablation.recipe, variant, seed) for seed in seeds or ablation.seeds for variant in variants]
        failed = _Ablater.open(data, test, out, ablation.recipe, teacher, device).run_all(plans)
    _show(ablation, out)
    if failed:
        raise ConfigError(f"{len(failed)} runs failed ({', '.join(failed)}); the reasons are in their {ERROR}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One run, and what decides it."""

    variant: Variant
    seed: int
    recipe: str
    pretrain: PretrainConfig
    answers: AnswerConfig

    @property
    def name(self) -> str:
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        return Path(self.variant.folder) / str(self.seed)

    def settings(self, settings: tuple[str, ...] | None) -> list[str]:
        return ["--recipe", self.recipe, "--set", *(settings or ()), f"loop.seed={self.seed}"]


def _plan(recipe: str, variant: Variant, seed: int) -> _Plan:
    """The configurations of a run, checked before anything is trained."""
    from askscan.train.recipes import recipe as find_recipe

    base, own = find_recipe(recipe), f"loop.seed={seed}"
    try:
        return _Plan(
            variant=variant,
            seed=seed,
            recipe=recipe,
            pretrain=override(base.pretrain, [*(variant.pretrain or ()), own]),
            answers=override(replace(base.answers, question_only=variant.question_only), [*variant.answers, own]),
        )
    except ConfigError as error:
        raise ConfigError(f"variant {variant.name!r}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ablater:
    """Does the runs of one output folder on one device."""

    data: DataFolder
    test: DataFolder
    out: Path
    teacher: TeacherLike
    teacher_name: str
    accelerator: str

    @classmethod
    def open(cls, data: Path, test: Path, out: Path, recipe: str, teacher: str, accelerator: str) -> _Ablater:
        """Check the collections and claim the folder.

        Raises:
            ConfigError: The folder is of another ablation, or has files that are not ours.
            OSError: A collection has no questions or sentences.
        """
        from askscan.cli.training import _teacher_device
        from askscan.data.folder import DataFolder
        from askscan.models.teacher import Teacher as FrozenTeacher

        data_folder, test_folder = DataFolder(data), DataFolder(test)
        frozen = FrozenTeacher.load(teacher, _teacher_device(accelerator))
        asked = {
            "recipe": recipe,
            "teacher": frozen.identity,
            "data": _content([data_folder.scanqa("train"), data_folder.scanrefer("train")]),
            "test": _content([test_folder.scanqa(SPLIT)]),
        }
        _claim(out, asked)
        return cls(
            data=data_folder, test=test_folder, out=out, teacher=frozen, teacher_name=teacher, accelerator=accelerator
        )

    def run_all(self, plans: list[_Plan]) -> list[str]:
        """Do what nobody has done or is doing; names of the runs that failed.

        Raises:
            ConfigError: A run is there already, with other settings.
        """
        for plan in plans:
            _same_settings(self.out / plan.folder / SETTINGS, plan)
        failed, busy = [], 0
        for plan in plans:
            place = self.out / plan.folder
            if (place / ROW).is_file():
                continue
            with _locked(place / ".lock") as mine:
                if not mine:
                    busy += 1
                elif not (place / ROW).is_file() and not self._attempt(plan, place):
                    failed.append(plan.name)
            _free_memory()
        if busy:
            say(f"{busy} runs are being done by other processes.")
        return failed

    def _attempt(self, plan: _Plan, place: Path) -> bool:
        """Whether the run was done; if not, why is said and written down, and the others go on."""
        from askscan.evaluate.ablation import save_record

        say(f"\n{plan.name}")
        error_file = place / ERROR
        try:
            save_record(place / ROW, self._run(plan, place))
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else traceback.format_exc()
            error_file.write_text(reason + "\n", encoding="utf-8")
            say(f"{plan.name}: failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})")
            return False
        error_file.unlink(missing_ok=True)
        return True

    def _run(self, plan: _Plan, place: Path) -> Row:
        from askscan import __version__
        from askscan.bench.timing import environment
        from askscan.evaluate.ablation import Row, room_shares
        from askscan.evaluate.evaluate import EvaluationFiles
        from askscan.evaluate.runs import pick_device
        from askscan.plain import to_plain
        from askscan.train.checkpoint import write_json

        write_json(place / SETTINGS, to_plain(plan.variant))
        pretrained = self._pretrain(plan, place) if plan.variant.pretrains else None
        _free_memory()
        answers = self._answer(plan, place)
        where = environment(pick_device(self.accelerator))
        if where["commit"] == "no checkout":
            where["commit"] = f"askscan {__version__}"
        return Row(
            variant=plan.variant.name,
            seed=plan.seed,
            pretrain=pretrained,
            answers=answers,
            rooms=room_shares(EvaluationFiles.of(place / "qa", SPLIT).details),
            environment=where,
        )

    def _pretrain(self, plan: _Plan, place: Path) -> Stage:
        from askscan.train.pretrain import pretrain

        run, data = place / "pre", self.data.root
        command = _command("pretrain", data, "--out", run, *self._teacher(), *plan.settings(plan.variant.pretrain))
        commands = command, _command("evaluate", run, self.test.root)

        def train(update: OnProgress) -> RunResult:
            return pretrain(self.data, run, plan.pretrain, on_progress=update, **self._training())

        return self._stage(place / "pre.json", f"pretrain {plan.name}", commands, train, lambda: self._map(run))

    def _answer(self, plan: _Plan, place: Path) -> Stage:
        from askscan.train.answer import train_answers

        run, data, variant = place / "qa", self.data.root, plan.variant
        init = place / "pre" if variant.pretrains else None
        start = ["--init", init] if init else ["--question-only"] if variant.question_only else []
        settings = plan.settings(variant.answers)
        command = _command("train", data, "--out", run, *start, *self._teacher(), *settings)
        commands = command, _command("evaluate", run, self.test.root)

        def train(update: OnProgress) -> RunResult:
            return train_answers(self.data, run, plan.answers, init=init, on_progress=update, **self._training())

        def evaluate() -> dict[str, float]:
            return self._answers(run) | ({} if variant.question_only else self._map(run))

        return self._stage(place / "qa.json", f"train {plan.name}", commands, train, evaluate)

    def _stage(
        self,
        path: Path,
        title: str,
        commands: tuple[str, ...],
        train: Callable[[OnProgress], RunResult],
        evaluate: Callable[[], dict[str, float]],
    ) -> Stage:
        """Train and evaluate, unless an earlier call did."""
        import torch

        from askscan.evaluate.ablation import Stage, load_stage, save_record

        if path.is_file():
            return load_stage(path)
        cuda = torch.cuda.is_available() and self.accelerator != "cpu"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        started = time.monotonic()
        with progress(title) as update:
            result = train(update)
        seconds = time.monotonic() - started
        peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
        _free_memory()
        stage = Stage(
            commands=commands,
            num_steps=result.num_steps,
            seconds=None if result.resumed_at else seconds,
            peak_gib=None if result.resumed_at else peak,
            scores=evaluate(),
        )
        save_record(path, stage)
        return stage

    def _answers(self, folder: Path) -> dict[str, float]:
        """Scores of a question-answering run on the unseen rooms."""
        from askscan.evaluate.evaluate import evaluate
        from askscan.evaluate.runs import load_run, pick_device

        run = load_run(folder, pick_device(self.accelerator))
        scores = evaluate(run, self.test, SPLIT, out=folder, teacher=self.teacher, java=False)
        return {name: value for name, value in scores.figures.items() if not name.startswith("AP@")}

    def _map(self, folder: Path) -> dict[str, float]:
        """What the scene embeddings of a run are worth on the unseen rooms."""
        from askscan.evaluate.maps import map_scenes
        from askscan.evaluate.runs import load_run, pick_device

        run = load_run(folder, pick_device(self.accelerator))
        return map_scenes(run, self.test, SPLIT, teacher=self.teacher).scores

    def _training(self) -> dict[str, Any]:
        from askscan.train.devices import Devices

        return {"teacher": self.teacher, "devices": Devices(accelerator=self.accelerator), "say": say}

    def _teacher(self) -> list[str]:
        return [] if self.teacher_name == "default" else ["--teacher", self.teacher_name]


def _command(*arguments: object) -> str:
    return shlex.join(["askscan", *map(str, arguments)])


def _claim(out: Path, asked: dict[str, Any]) -> None:
    """Make the folder this ablation's, or refuse."""
    from askscan.train.checkpoint import write_json

    # Names with a dot: of a process that claims the folder at this moment.
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.exists() else set()
    if MANIFEST in names:
        _same(out / MANIFEST, asked)
    elif names:
        raise ConfigError(f"{out}: is not empty and holds no ablation; give a new folder with --out.")
    else:
        write_json(out / MANIFEST, asked)


def _same_settings(path: Path, plan: _Plan) -> None:
    """Refuse to go on in, or to take for done, a run with other settings of its variant."""
    from askscan.plain import to_plain

    if path.is_file():
        _same(path, to_plain(plan.variant))


def _same(path: Path, asked: dict[str, Any]) -> None:
    from askscan.data.json_fields import read_json
    from askscan.plain import first_difference

    difference = first_difference(read_json(path, expected=dict), json.loads(json.dumps(asked)))
    if difference is not None:
        raise ConfigError(f"{path}: this began with something else ({difference}); give a new folder with --out.")


def _content(paths: list[Path]) -> str:
    """A hash of files."""
    import hashlib

    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock of a file could be had at once; it is held inside the block, and never beyond the process."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _free_memory() -> None:
    """Give back what an earlier training held: its networks and recordings refer to each other."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def _show(ablation: Ablation, out: Path) -> None:
    """Print the table of all rows, and write it down."""
    from askscan.evaluate.ablation import ablation_table, load_row
    from askscan.files import replacing

    if not (out / MANIFEST).is_file():
        raise ConfigError(f"{out}: holds no ablation; give the folder of one with --out.")
    folders = {variant.folder for variant in ablation.variants}
    paths = sorted(path for path in out.glob(f"*/*/{ROW}") if path.parts[-3] in folders)
    found = ablation_table(ablation, [load_row(path) for path in paths])
    # Two, so that they fit a terminal.
    for title, columns in (("Answers", slice(1, 7)), ("Scene embeddings and cost", slice(7, None))):
        header, *rows = ((cells[0], *cells[columns]) for cells in (found.header, *found.rows))
        table(f"{title}, recipe {ablation.recipe}", header, rows)
    for note in found.notes:
        say(note)
    with replacing(out / TABLE) as temporary:
        temporary.write_text(found.markdown(), encoding="utf-8")
