"""`demo`: everything on generated rooms, from nothing to a report, on two processor cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from askscan.cli.arguments import Processes, Teacher
from askscan.cli.collections import prepare, render, rooms
from askscan.cli.console import console, progress, say, table
from askscan.files import claim

if TYPE_CHECKING:
    from askscan.data.folder import DataFolder
    from askscan.evaluate.runs import Run
    from askscan.evaluate.score import Scores
    from askscan.models.teacher import Teacher as FrozenTeacher
    from askscan.train.config import AnswerConfig, LoopConfig

# Budgets, for two cores and eight minutes. Seeds: no other collection of ours has rooms from here on.
NUM_TRAIN, NUM_UNSEEN, FIRST_SEED = 80, 16, 890_000
PRETRAIN_STEPS, ANSWER_STEPS, FINE_TUNE_STEPS = 80, 400, 100
FINE_TUNE_RATE = 5e-5
"""Learning rate from weights of the package on: the recipe's would spoil them in so few rooms."""
RECIPE = "tiny"
SPLIT = "val"

MANIFEST = "demo.json"
SHIPPED = Path(__file__).parents[1] / "shipped"
"""Runs that the package may carry: an encoder and a model to start from, and the large model."""
_OF_PACKAGE = {"tiny-answers": "tiny-answers", "shipped": "rooms"}
_ANSWERING = ("question-only", "scratch", "pre-trained", "tiny-answers", "fine-tuned", "shipped")
_ENCODERS = ("encoder-untrained", "encoder-packaged", "encoder")
"""New weights; those of the package, which pre-training starts from; and what came of them."""
_FIGURES = ("EM@1", "Acc@0.25", "Acc@0.5")
_RETRIEVAL = ("R@1 scene -> sentence", "R@5 scene -> sentence")


@dataclass(frozen=True, slots=True)
class _Places:
    """Where everything of a demo is."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    def run(self, name: str) -> Path:
        return self.root / "runs" / name

    @property
    def report(self) -> Path:
        return self.root / "report.html"


def demo(
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR", help="Folder to write; run again, it goes on.")] = Path("demo"),
    teacher: Teacher = "default",
    processes: Processes = 0,
) -> None:
    """Everything on generated rooms, from nothing to a report.

    Generate, pre-train, train, evaluate on unseen rooms: 5 minutes on 2 cores.
    """
    from askscan.models.teacher import Teacher as FrozenTeacher

    started, places = time.monotonic(), _Places(out)
    budget = {"rooms": [FIRST_SEED, NUM_TRAIN, NUM_UNSEEN], "steps": [PRETRAIN_STEPS, ANSWER_STEPS, FINE_TUNE_STEPS]}
    claim(out, MANIFEST, {**budget, "teacher": teacher}, what="demo files")
    with progress("teacher") as update:
        frozen = FrozenTeacher.load(teacher)
        update(1, 1)

    def collection() -> None:
        rooms(places.data, scenes=NUM_TRAIN + NUM_UNSEEN, seed=FIRST_SEED, val=NUM_UNSEEN, processes=processes)
        prepare(places.data, processes=processes)
        render(places.data, processes=processes)

    train = partial(partial, _train, places, frozen)
    # With the seconds that each takes on two cores.
    stages: list[tuple[str, int, Callable[[], None]]] = [
        (f"{NUM_TRAIN} rooms to learn from, {NUM_UNSEEN} to be asked about", 60, collection),
        ("pre-training of the 3D encoder, guided by the teacher", 25, partial(_pretrain, places, frozen)),
        ("question-only: never sees the room", 10, train("question-only")),
        ("from scratch: sees the room", 65, train("scratch")),
        ("pre-trained: the same from the pre-trained encoder", 65, train("pre-trained")),
        ("fine-tuned: the package's tiny model goes on in these rooms", 20, train("fine-tuned")),
        ("questions about the unseen rooms", 35, partial(_evaluate, places, frozen)),
        ("report", 5, partial(_report, places)),
    ]
    took, usual, left = 0.0, 0, sum(seconds for _, seconds, _ in stages)
    for number, (title, seconds, stage) in enumerate(stages, start=1):
        minutes = f"{(took / usual if usual else 1) * left / 60:.1f}".removesuffix(".0")
        console.print(f"\n[bold]{number}/{len(stages)}[/bold] {title} [dim](about {minutes} minutes left)[/dim]")
        begun, left = time.monotonic(), left - seconds
        stage()
        if (spent := time.monotonic() - begun) > 0.2 * seconds:  # else it was done before
            took, usual = took + spent, usual + seconds
    _conclude(places)
    say(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes. Open {places.report} in a browser.")


# --- stages -----------------------------------------------------------------------------------------------------------


def _pretrain(places: _Places, teacher: FrozenTeacher) -> None:
    from askscan.train.pretrain import pretrain
    from askscan.train.recipes import recipe

    config = recipe(RECIPE).pretrain
    start = _carried(RECIPE)
    if start is not None:
        config = replace(config, optim=replace(config.optim, learning_rate=FINE_TUNE_RATE))
        say("It starts from weights of the package that were pre-trained on other generated rooms.")
    with progress("pretrain") as update:
        pretrain(
            _folder(places),
            places.run("encoder"),
            replace(config, loop=_loop(config.loop, PRETRAIN_STEPS)),
            teacher=teacher,
            init=start,
            say=say,
            on_progress=update,
        )


def _train(places: _Places, teacher: FrozenTeacher, name: str) -> None:
    from askscan.train.answer import train_answers
    from askscan.train.recipes import recipe

    config: AnswerConfig = recipe(RECIPE).answers
    steps, start = ANSWER_STEPS, places.run("encoder") if name == "pre-trained" else None
    if name == "fine-tuned":
        steps, start = FINE_TUNE_STEPS, _carried("tiny-answers")
        config = replace(config, optim=replace(config.optim, learning_rate=FINE_TUNE_RATE))
        if start is None:
            say("The package carries no tiny model to start from: it is left out.")
            return
        say("It starts from a model of the package that learnt to answer about 1,000 other generated rooms.")
    with progress("train") as update:
        train_answers(
            _folder(places),
            places.run(name),
            replace(config, question_only=name == "question-only", loop=_loop(config.loop, steps)),
            teacher=teacher,
            init=start,
            say=say,
            on_progress=update,
        )


def _loop(loop: LoopConfig, num_steps: int) -> LoopConfig:
    """Validated once, at the end: the unseen rooms choose nothing."""
    return replace(loop, num_steps=num_steps, evaluate_every=num_steps, log_every=5)


def _evaluate(places: _Places, teacher: FrozenTeacher) -> None:
    """Scores, answers and maps of every run, of the shipped model, and of the encoder before its pre-training."""
    from askscan.evaluate.evaluate import EvaluationFiles, evaluate
    from askscan.evaluate.maps import map_path, map_scenes
    from askscan.evaluate.runs import load_run
    from askscan.models.scan_qa import QuestionOnly

    folder = _folder(places)
    for name in _ANSWERING:
        place = places.run(name)
        weights = _carried(_OF_PACKAGE[name]) if name in _OF_PACKAGE else place if place.is_dir() else None
        if weights is None:
            say(f"The package carries no model for `{name}`: it is left out.")
            continue
        if _newer(EvaluationFiles.of(place, SPLIT).scores, place / "model.safetensors"):
            continue
        run = load_run(weights)
        frozen = teacher if run.teacher_identity == teacher.identity else run.teacher()
        with progress(f"evaluate {name}") as update:
            if not isinstance(run.module, QuestionOnly):
                map_scenes(run, folder, SPLIT, out=place, progress=update)
            evaluate(run, folder, SPLIT, out=place, teacher=frozen, java=False, progress=update)
    encoder = places.run("encoder")
    if not _newer(map_path(encoder, SPLIT), encoder / "model.safetensors"):
        run, start = load_run(encoder), _carried(RECIPE)
        with progress("evaluate encoder") as update:
            for name, each in zip(_ENCODERS, (_untrained(run), load_run(start) if start else None, run), strict=True):
                if each is not None:
                    map_scenes(each, folder, SPLIT, out=places.run(name), teacher=teacher, progress=update)


def _carried(name: str) -> Path | None:
    """A run of the package, where it carries it."""
    return SHIPPED / name if (SHIPPED / name / "model.safetensors").is_file() else None


def _untrained(run: Run) -> Run:
    """The same network with the weights that a training from nothing starts from."""
    from askscan.models.pretrainer import Pretrainer
    from askscan.train.config import PretrainConfig
    from askscan.train.stage import build

    assert isinstance(run.config, PretrainConfig)
    return replace(run, module=build(Pretrainer, run.config.model, run.config.loop.seed).eval())


def _report(places: _Places) -> None:
    from askscan.evaluate.report import write_report

    runs = [places.run(name) for name in (*_ANSWERING, *_ENCODERS) if places.run(name).is_dir()]
    title = f"askscan demo: {NUM_UNSEEN} unseen rooms"
    write_report(
        runs, places.report, data=places.data, split=SPLIT, title=title, summary=_lesson(_answering_scores(places))
    )


def _answering_scores(places: _Places) -> dict[str, Scores]:
    from askscan.evaluate.evaluate import EvaluationFiles
    from askscan.evaluate.score import Scores

    paths = {name: EvaluationFiles.of(places.run(name), SPLIT).scores for name in _ANSWERING}
    return {name: Scores.load(path) for name, path in paths.items() if path.is_file()}


def _conclude(places: _Places) -> None:
    """The one table: what looking at the room, and pre-training, are worth."""
    from askscan.evaluate.baselines import most_frequent_answers, score_rows
    from askscan.evaluate.maps import map_path, read_map

    systems = {"most frequent answer": most_frequent_answers(_folder(places), SPLIT), **_answering_scores(places)}
    console.print()
    header, *cells = score_rows(systems, _FIGURES)
    table(f"Answers about {NUM_UNSEEN} unseen rooms, % [95 % interval]", header, cells)
    rows: list[list[object]] = []
    for name in _ENCODERS:
        if map_path(places.run(name), SPLIT).is_file():
            scores = read_map(map_path(places.run(name), SPLIT)).scores
            rows.append([name, *(scores[figure] for figure in _RETRIEVAL)])
    rows.append(["by chance", *(scores[figure.split()[0] + " chance"] for figure in _RETRIEVAL)])
    table(f"Sentence of a room among those of {NUM_UNSEEN}, %", ("encoder", *_RETRIEVAL), rows)
    say(_lesson(systems))


def _lesson(systems: Mapping[str, Scores]) -> str:
    """What the table supports: which of the models answer better than one that never sees the room."""
    blind = systems["question-only"].intervals["EM@1"]
    seeing = [name for name in _ANSWERING[1:] if name in systems]
    clear = [name for name in seeing if systems[name].intervals["EM@1"][0] > blind[1]]
    sentences = [f"Answers clearly better than question-only's (EM@1, intervals apart): {', '.join(clear) or 'none'}."]
    if unclear := [name for name in seeing if name not in clear]:
        sentences.append(
            f"Not clearly: {', '.join(unclear)}. A few minutes on a processor teach which answers are common, hardly "
            "to look at the room; what pre-training gives there shows in the boxes (Acc) and in the retrieval."
        )
    if "fine-tuned" in seeing:
        sentences.append(
            "`fine-tuned` starts from `tiny-answers` of the package: it learnt from 1,000 other rooms on a GPU."
        )
    if "shipped" in seeing:
        sentences.append("`shipped` is the large one that `askscan ask` uses, also trained on a GPU.")
    return " ".join(sentences)


def _folder(places: _Places) -> DataFolder:
    from askscan.data.folder import DataFolder

    return DataFolder(places.data)


def _newer(path: Path, than: Path) -> bool:
    """Whether a file is there and made after another (which the shipped model does not have)."""
    return path.is_file() and (not than.is_file() or path.stat().st_mtime >= than.stat().st_mtime)
