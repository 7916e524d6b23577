"""`evaluate`, `predict`, `score`, `embed`, `report`: from runs to predictions, figures, features and a page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from askscan.cli.arguments import AsJson, Data, Device, Run, RunPosition, Task, TeacherPlace
from askscan.cli.console import progress, say, table
from askscan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askscan.data.folder import DataFolder
    from askscan.evaluate.score import Scores

NoJava = Annotated[bool, tyro.conf.arg(help="Leave METEOR and SPICE out: Java programs, which may take minutes.")]
Split = Annotated[str, tyro.conf.arg(metavar="SPLIT", help="Whose questions.")]
OutOrRun = Annotated[
    Path | None,
    tyro.conf.arg(
        metavar="DIR",
        help="For the files.",
        help_behavior_hint="(default: the run's folder; needed for runs of the package or the Hub)",
    ),
]
_COMPARED = ("EM@1", "EM@10", "CIDEr", "Acc@0.25", "Acc@0.5")


def evaluate(
    run: RunPosition,
    data: Data,
    *,
    split: Split = "val",
    out: OutOrRun = None,
    shuffle_scenes: bool = False,
    baselines: bool = False,
    no_java: NoJava = False,
    beside: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="RUN...",
            help="Evaluated runs for the same table, such as the question-only one.",
            help_behavior_hint="",
        ),
    ] = (),
    teacher: TeacherPlace = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Answer the questions of a split and score them.

    Of a pre-training run: map its scenes and measure retrieval.

    Writes predictions, scores, details and a map, each named after the split.

    Args:
        shuffle_scenes: A control: show each question another room's scan.
        baselines: Also score the most frequent answers, a random proposal and the best one (in `baselines/`).
    """
    if shuffle_scenes and baselines:
        raise ConfigError("--baselines are of answers about the own rooms: leave --shuffle-scenes out.")
    from askscan.data.folder import DataFolder
    from askscan.evaluate.baselines import score_rows
    from askscan.evaluate.evaluate import evaluate as evaluate_run
    from askscan.evaluate.maps import map_scenes
    from askscan.evaluate.runs import load_run, pick_device
    from askscan.models.pretrainer import Pretrainer
    from askscan.models.scan_qa import QuestionOnly

    folder, place = DataFolder(data), _place(run, out)
    others = {name: _evaluated(Path(name), split) for name in beside}
    loaded = load_run(run, pick_device(device))
    if isinstance(loaded.module, Pretrainer) and (shuffle_scenes or baselines or beside):
        raise ConfigError(f"{run}: answers no questions, so there are no controls and baselines of its answers.")
    frozen = loaded.teacher(next(loaded.module.parameters()).device, name=teacher)
    with progress("evaluate") as update:
        if isinstance(loaded.module, Pretrainer):
            figures = map_scenes(loaded, folder, split, out=place, teacher=frozen, progress=update).scores
            _show(f"{run}, split {split}", figures, as_json)
            return
        scores = evaluate_run(
            loaded,
            folder,
            split,
            out=place,
            teacher=frozen,
            shuffle_scenes=shuffle_scenes,
            java=not no_java,
            progress=update,
        )
        if not isinstance(loaded.module, QuestionOnly) and not shuffle_scenes:
            map_scenes(loaded, folder, split, out=place, progress=update)
    if baselines:
        others |= _baselines(folder, split, place, loaded.task)
    _show_scores(scores, as_json, others)
    if others and not as_json:
        header, *rows = score_rows({run: scores} | others, _COMPARED)
        table("beside others, % [95 % interval]", header, rows)


def predict(
    run: RunPosition,
    data: Data,
    *,
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="test_w_obj, test_wo_obj, val.")] = "test_w_obj",
    out: OutOrRun = None,
    teacher: TeacherPlace = None,
    device: Device = "auto",
) -> None:
    """Write the benchmark's submission file; the split's answers are not looked at."""
    from askscan.data.folder import DataFolder
    from askscan.evaluate.evaluate import predict_submission, submittable
    from askscan.evaluate.runs import load_run, pick_device

    folder, place = DataFolder(data), _place(run, out)
    loaded = load_run(run, pick_device(device))
    frozen = loaded.teacher(next(loaded.module.parameters()).device, name=teacher)
    with progress("predict") as update:
        path = predict_submission(loaded, folder, split, out=place, teacher=frozen, progress=update)
    if submittable(loaded):
        say(f"{path}: written and checked against the benchmark's format.")
    else:
        say(f"{path}: written; the benchmark's server does not take it, which wants ScanQA's ten answers and a box.")


def score(
    predictions: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PREDICTIONS", help="A prediction file.")],
    data: Data,
    *,
    split: Split = "val",
    task: Task = "scanqa",
    no_java: NoJava = False,
    as_json: AsJson = False,
) -> None:
    """Score any system's prediction file in the benchmark's format: no model, no GPU."""
    from askscan.data.folder import DataFolder
    from askscan.evaluate.score import score_file

    _show_scores(score_file(predictions, DataFolder(data), split, task=task, java=not no_java), as_json)


def embed(
    data: Data,
    *,
    run: Run = "default",
    out: Annotated[Path, tyro.conf.arg(metavar="DIR", help="New folder, or one of the same weights to go on in.")],
    device: Device = "auto",
) -> None:
    """Write features of every prepared scene and its proposals, for other models.

    Each file has `scene` (d), `proposals` (k, c), `objectness` (k), and in metres
    `center` and `size` (k, 3) of their boxes in the aligned frame.
    """
    from askscan.data.folder import DataFolder
    from askscan.evaluate.answerer import load
    from askscan.evaluate.embeddings import write_embeddings

    folder = DataFolder(data)
    with progress("embed") as update:
        written = write_embeddings(load(run, device=device), folder, out, progress=update)
    say(f"{out}: {written.num_new} scenes embedded, {written.num_kept} were there already.")


def report(
    runs: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="RUN...",
            help="Run folders, or folders that `evaluate --out` wrote.",
            help_behavior_hint="(required)",
        ),
    ],
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="The page.")] = Path("report.html"),
    data: Annotated[Path | None, tyro.conf.arg(metavar="DATA", help="Collection with the top-down pictures.")] = None,
    split: Split = "val",
) -> None:
    """One HTML page that compares runs; it needs no network.

    Run `askscan evaluate` on each run first: the page shows what that wrote.
    """
    from askscan.evaluate.report import write_report

    if data is not None and not data.is_dir():
        raise DataError(f"{data}: no such folder; give the collection that the runs were evaluated on.")
    without = write_report(runs, out, data=data, split=split)
    if data is not None and without:
        say(f"note: {len(without)} scenes (first {without[0]}) have no picture of ours; run `askscan render {data}`.")
    if unseen := [str(run) for run in runs if not any(run.glob(f"*.{split}.json"))]:
        say(f"note: {', '.join(unseen)}: not evaluated on split {split}, so no scores and answers of it are shown.")
    say(f"{out}: written; open it in a browser.")


def _baselines(folder: DataFolder, split: str, place: Path, task: Task) -> dict[str, Scores]:
    """Score the baselines beside a run, in folders that `report` takes."""
    from askscan.evaluate.baselines import most_frequent_answers, proposal_baselines
    from askscan.evaluate.evaluate import EvaluationFiles

    def files(name: str) -> EvaluationFiles:
        return EvaluationFiles.of(place / "baselines" / name.replace(" ", "-"), split)

    found: dict[str, Scores] = {}
    try:
        name = "most frequent answer"
        found[name] = most_frequent_answers(folder, split, task=task, details=files(name).details)
    except DataError as error:
        print(f"The most frequent answers are left out: {error}", file=sys.stderr)
    if task == "scanqa":
        found |= proposal_baselines(EvaluationFiles.of(place, split).details, folder, split)
    for name, scores in found.items():
        scores.save(files(name).scores)
    return found


def _evaluated(folder: Path, split: str) -> Scores:
    """Scores of a run, or of a folder of `evaluate --out`."""
    from askscan.evaluate.evaluate import EvaluationFiles
    from askscan.evaluate.score import Scores

    path = EvaluationFiles.of(folder, split).scores
    if not path.is_file():
        raise ConfigError(f"{folder}: has no scores of split {split}; run `askscan evaluate` on it first.")
    return Scores.load(path)


def _place(run: str, out: Path | None) -> Path:
    """Where files about a run go: nothing is written into the package or the Hub's cache."""
    if out is not None:
        return out
    from askscan.evaluate.runs import SHIPPED, resolve_run

    folder = resolve_run(run)
    if folder != Path(run) or folder.resolve().is_relative_to(SHIPPED.resolve()):
        raise ConfigError(
            f"{run}: is a run of the package or the Hub, and nothing is written there; "
            f"say where its files go, such as --out runs/{Path(run).name}."
        )
    return folder


def _show_scores(scores: Scores, as_json: bool, others: Mapping[str, Scores] | None = None) -> None:
    if as_json:
        beside = {"beside": {name: other.to_plain() for name, other in others.items()}} if others else {}
        print(json.dumps(scores.to_plain() | beside, indent=2))
        return
    spans = scores.intervals
    rows = [
        (name, value, "{:.1f} – {:.1f}".format(*spans[name]) if name in spans else "")
        for name, value in scores.figures.items()
        if not name.startswith(("AP@", "AR@")) or " " not in name  # of single classes: the score file has them
    ]
    table(f"{scores.num_questions} questions, split {scores.split}", ("score", "%", "95 % interval"), rows)
    for note in scores.notes:
        say(f"note: {note}")


def _show(title: str, figures: Mapping[str, float], as_json: bool) -> None:
    if as_json:
        print(json.dumps(dict(figures), indent=2))
    else:
        table(title, ("figure", "%"), list(figures.items()))
