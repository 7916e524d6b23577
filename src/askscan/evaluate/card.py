"""The model card of a run: what it is, what it was trained on and how, how it scores, what it must not be taken for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from askscan import __version__
from askscan.errors import DataError
from askscan.evaluate.baselines import score_rows
from askscan.evaluate.runs import Run, description_of
from askscan.evaluate.score import Scores
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import QuestionOnly
from askscan.plain import flat, to_plain
from askscan.train.config import PretrainConfig
from askscan.train.recipes import RECIPES, recipe, situated

_SET_BY_DATA = ("model.num_answers", "model.text_width", "model.embedding_width")
_MOST_CHANGES = 40
_SHOWN = ("EM@1", "EM@10", "EM@1 answerable", "Acc@0.25", "Acc@0.5", "CIDEr", "mAP@0.25")
_TITLES = {
    Pretrainer: "a 3D encoder of indoor scans, pre-trained with the guidance of a CLIP",
    QuestionOnly: "a baseline that answers questions about scans without seeing them",
}
_TERMS = (
    " The data that they were trained on have terms of their own: those of ScanNet and ScanRefer, and ScanQA's "
    "licence, do not allow commercial use."
)
_SITUATED = "a model that answers the questions of an agent in a scanned room (SQA3D)"
_TITLE = "a model that answers questions about 3D scans of rooms, in words and with the box of what was asked about"


def write_card(run: Run, path: Path, *, licence: str, name: str) -> None:
    """Write the README.md of a run's folder, in the format of the Hugging Face Hub.

    Args:
        run: Of this project.
        path: Where to.
        licence: Of the weights, by its name on the Hub, such as `apache-2.0` or `cc-by-nc-sa-4.0`.
        name: What the run is called, such as `owner/name`.
    """
    path.write_text(card(run, licence=licence, name=name), encoding="utf-8")


def card(run: Run, *, licence: str, name: str) -> str:
    """The text of a run's model card."""
    about = description_of(run.folder)
    head = {
        "library_name": "askscan",
        "license": licence,
        "pipeline_tag": "visual-question-answering",
        "tags": ["3d", "point-cloud", "scan", "3d-question-answering", "clip"],
    }
    title = _TITLES.get(type(run.module), _SITUATED if run.task == "sqa3d" else _TITLE)
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {name}\n\nThis is {title}, trained with askscan {about.get('version', __version__)}. The method is that of "
        "Parelli et al., CLIP-Guided Vision-Language Pre-training for Question Answering in 3D Scenes (CVPR Workshops "
        "2023).",
        _use(run, name),
        "## Training data\n\n" + "\n".join(f"- {line}" for line in _data(run, about)),
        "## Recipe\n\n" + "\n".join(f"- {line}" for line in _recipe(run, about)),
        "## Teacher\n\n" + _teacher(run),
        "## Scores\n\n" + _scores(run.folder.path),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in _limits(run, about)),
        f"## Licence\n\nThe weights: {licence}.{'' if _generated(about) else _TERMS}",
    ]
    return "\n\n".join(parts) + "\n"


def _use(run: Run, name: str) -> str:
    evaluate = f"```\naskscan evaluate {name} DATA --out FOLDER\n```"
    if isinstance(run.module, QuestionOnly):
        return f"## Use\n\n{evaluate}"
    if run.task == "sqa3d":
        return f"## Use\n\nIt answers from an agent's place (SQA3D):\n\n{evaluate}"
    ask = 'model.ask(scan, "What is next to the bed?")' if run.answer_counts else "model.embed(scan)"
    return (
        f'## Use\n\n```python\nimport askscan\nmodel = askscan.load("{name}")\n'
        f'scan = askscan.read_scan("room.glb")\n{ask}\n```'
    )


def _data(run: Run, about: Mapping[str, Any]) -> Iterator[str]:
    yield str(about.get("collection", "a collection that the run does not describe"))
    yield f"content hash of its texts: `{about.get('data')}`"
    if run.answer_counts:
        yield f"{len(run.answer_counts)} different answers, of {sum(run.answer_counts.values())} in all"
    if run.object_names:
        yield (
            f"{len(run.object_names)} kinds of objects in the questions: {', '.join(sorted(run.object_names)[:40])}"
            + (", ..." if len(run.object_names) > 40 else "")
        )


def _recipe(run: Run, about: Mapping[str, Any]) -> Iterator[str]:
    name, changes = nearest_recipe(run)
    shown = [f"`{path}={value}`" for path, value in list(changes.items())[:_MOST_CHANGES]]
    shown += [f"and {len(changes) - _MOST_CHANGES} more"] * (len(changes) > _MOST_CHANGES)
    yield f"recipe `{name}`" + (f", changed: {', '.join(shown)}" if shown else ", as it stands")
    yield f"stage `{about.get('stage')}`, task `{run.task}`, seed {run.config.loop.seed}"
    init = about.get("init")
    yield "started from random weights" if init is None else f"started from weights with the content hash `{init}`"
    inputs = run.config.inputs
    seen = {"color": "colours", "normals": "normals", "height": "heights above the floor"}
    words = ["positions", *(word for name, word in seen.items() if getattr(inputs, name))]
    yield f"it sees {inputs.num_points} points of a scan: their {', '.join(words)}"


def nearest_recipe(run: Run) -> tuple[str, dict[str, Any]]:
    """The recipe that a run's configuration is closest to, and the fields that differ, with the run's values."""
    mine = flat(to_plain(run.config))
    found = {}
    for name in RECIPES:
        stages = recipe(name)
        answers = situated(stages.answers) if run.task == "sqa3d" else stages.answers
        theirs = flat(to_plain(stages.pretrain if isinstance(run.config, PretrainConfig) else answers))
        paths = [*mine, *(path for path in theirs if path not in mine)]
        found[name] = {p: mine.get(p) for p in paths if mine.get(p) != theirs.get(p) and p not in _SET_BY_DATA}
    best = min(found, key=lambda name: len(found[name]))
    return best, found[best]


def _teacher(run: Run) -> str:
    beside = (run.folder.path / "teacher").is_dir()
    shown = "the small CLIP that comes with askscan" if run.teacher_name == "default" else f"`{run.teacher_name}`"
    place = "in the folder `teacher`" if beside else shown
    return f"A frozen CLIP, {place}; content hash `{run.teacher_identity}`. Its weights are no part of this model."


def _scores(folder: Path) -> str:
    found = {}
    for path in sorted(folder.glob("scores.*.json")):
        with suppress(DataError):
            found[path.name.removeprefix("scores.").removesuffix(".json")] = Scores.load(path)
    if not found:
        return "None were computed: run `askscan evaluate`."
    (_, *names), *rows = score_rows(found, _SHOWN)
    lines = [f"| split | questions | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    lines += [f"| {split} | {found[split].num_questions} | {' | '.join(cells)} |" for split, *cells in rows]
    lines += [
        "",
        "x100, with 95 % intervals over scenes; computed by `askscan evaluate` on the collection's own split.",
    ]
    return "\n".join(lines)


def _generated(about: Mapping[str, Any]) -> bool:
    return str(about.get("collection", "")).startswith("generated")


def _limits(run: Run, about: Mapping[str, Any]) -> Iterator[str]:
    if _generated(about):
        yield "trained on generated rooms only: in real rooms it is often wrong"
    if run.answer_counts:
        yield "it can only give answers of its vocabulary, and gives one to any question, also where none is right"
    yield "not for decisions that matter to somebody's safety or rights"
