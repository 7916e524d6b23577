"""Run folders to one self-contained HTML page that compares them."""

from __future__ import annotations

import json
import random
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan import __version__
from askscan.data.folder import DataFolder
from askscan.errors import ConfigError
from askscan.evaluate.cases import Case
from askscan.evaluate.figures import (
    Bar,
    Series,
    bars,
    breakable,
    color,
    curves,
    heat_table,
    legend,
    reliability,
    scene_map,
    table,
    type_legend,
)
from askscan.evaluate.report_runs import ReportRun, read_run
from askscan.evaluate.report_scores import scores_section
from askscan.files import replacing
from askscan.geometry.boxes import CORNER_SIGNS
from askscan.geometry.cameras import project
from askscan.metrics.calibration import calibration
from askscan.records import Camera
from askscan.render.pictures import camera_path, load_camera

CONFIDENT = 0.5
"""Wrong answers at least this sure are the confident ones."""
_MARK = b"Made by askscan"
_GALLERY_SIZE = 48
_NUM_FREQUENT = 12
_MAX_LETTERS = 90
_PER_RUN = ("right", "confidence", "IoU")
_FIRST_CURVES = ("loss", "EM@1 answerable", "EM@10 answerable", "R@10 sentence", "R@10 picture")


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    data: Path | None = None,
    split: str = "val",
    title: str = "askscan report",
    summary: str = "",
) -> list[str]:
    """Write the page, and give the scenes of its galleries that have no picture with its camera.

    Args:
        runs: Run folders, or folders that `askscan evaluate --out` wrote, in the order of their columns.
        out: The HTML file; replaced as a whole.
        data: Collection whose top-down pictures the gallery shows; None: no pictures.
        split: Whose scores, answers and maps are shown.
        title: Heading.
        summary: A paragraph under the heading.

    Raises:
        ConfigError: No run was given, one is no run folder or there twice, or `out` is no page of ours.
        DataError: A file of a run is damaged, or the page cannot be written.
    """
    if not runs:
        raise ConfigError("no run was given; name at least one run folder.")
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{out}: a page's name ends in .html; give such a one with --out.")
    if out.exists() and not (out.is_file() and _MARK in out.read_bytes()):
        raise ConfigError(f"{out}: exists and is no page of ours; give another name with --out.")
    names = _names([Path(run) for run in runs])
    found = [read_run(Path(run), split, name) for run, name in zip(runs, names, strict=True)]
    answered = [run for run in found if run.cases]
    content = _data(answered, data, split)
    parts = [
        ("scores", "Scores", scores_section(found)),
        ("types", "By question type", _by_type(found)),
        ("gallery", "Questions on the scans", _gallery(answered)),
        ("confusion", "Frequent answers", _confusion(answered)),
        ("calibration", "Calibration", _calibration(found)),
        ("map", "Map of scenes", _maps(found)),
        ("training", "Training", _training(found)),
        ("configuration", "Configuration", _configuration(found)),
        ("questions", "Every question", _questions(answered)),
    ]
    parts = [part for part in parts if part[2]]
    fill = {
        "title": escape(title),
        "subtitle": escape(_subtitle(found, split)),
        "summary": "<p>" + re.sub("`(.+?)`", r"<code>\1</code>", escape(summary)) + "</p>" if summary else "",
        "links": "".join(f'<a href="#{key}">{heading}</a>' for key, heading, _ in parts),
        "sections": "".join(f'<section id="{key}"><h2>{heading}</h2>{body}</section>' for key, heading, body in parts),
        "version": escape(__version__),
        # Text of questions must not end the script element.
        "data": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    for key, value in fill.items():
        page = page.replace("{{" + key + "}}", value, 2 if key == "title" else 1)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    rows = {i for tabs in content["gallery"] for name, tab in tabs.items() if name != "counts" for i in tab}
    return sorted({content["questions"][i]["scene"] for i in rows} - content["scenes"].keys())


def projected_box(camera: Camera, box: Float[ndarray, "6"]) -> list[float] | None:
    """Pixels of a box's eight corners (x, y, x, y, ...) in the benchmark's order; None where one is not to be seen."""
    corners = box[:3] + 0.5 * np.array(CORNER_SIGNS) * box[3:]
    pixels, _ = project(camera, corners)
    return [round(float(v), 1) for v in pixels.ravel()] if np.isfinite(pixels).all() else None


# --- sections ---------------------------------------------------------------------------------------------------------


def _by_type(runs: Sequence[ReportRun]) -> str:
    groups = []
    for kind in _types(runs):
        name = f"EM@1 {kind}"
        known = [(i, run.name, run.scores) for i, run in enumerate(runs) if run.scores and name in run.scores.figures]
        group = []
        for i, run_name, scores in known:
            low, high = scores.intervals.get(name, (None, None))
            group.append(Bar(name=run_name, color=color(i), value=scores.figures[name], low=low, high=high))
        count = max(sum(case.question_type == kind for case in run.cases) for run in runs)
        groups += [(f"{kind} ({count:,} questions)", group)] if group else []
    if not groups:
        return ""
    return f'<p class="note">EM@1 with 95 % intervals.</p><div class="grid">{bars(groups)}</div>'


def _types(runs: Sequence[ReportRun]) -> list[str]:
    return sorted({case.question_type for run in runs for case in run.cases})


def _gallery(runs: Sequence[ReportRun]) -> str:
    if not runs:
        return ""
    tabs = (("right", "Right"), ("wrong", "Wrong"), ("confident", "Wrong, yet sure"))
    line = '<svg width="26" height="12"><line class="{}" x1="1" y1="6" x2="25" y2="6"/></svg>'
    buttons = "".join(f'<button data-tab="{key}" data-title="{title}">{title}</button>' for key, title in tabs)
    return (
        f'<p class="legend"><span>{line.format("true")}the object that the question is about</span>'
        f"<span>{line.format('given')}what the model points at</span></p>"
        f'<div class="controls"><select id="gallery-run" aria-label="run">{_options(runs)}</select>{buttons}</div>'
        '<div class="cards" id="cards"></div><div class="controls"><button id="more">Show more</button></div>'
    )


def _confusion(runs: Sequence[ReportRun]) -> str:
    if not runs:
        return ""
    tables = "".join(
        f'<div data-of="confusion-run" data-run="{i}">{_confusion_table(run.cases)}</div>' for i, run in enumerate(runs)
    )
    choice = f'<select id="confusion-run" data-choice aria-label="run">{_options(runs)}</select>'
    note = '<p class="note">Rows: the right answer; columns: the answer given. The most frequent ones.</p>'
    return f'{note}<div class="controls">{choice}</div>{tables}'


def _options(runs: Sequence[ReportRun]) -> str:
    """The runs, the best one chosen."""
    best = max(runs, key=lambda run: sum(case.right for case in run.cases) / len(run.cases))
    return "".join(
        f'<option value="{i}"{" selected" if run is best else ""}>{escape(run.name)}</option>'
        for i, run in enumerate(runs)
    )


def _confusion_table(cases: Sequence[Case]) -> str:
    # A question with several right answers counts for the one that was given, else for its first.
    pairs = [(case.answers[0] if case.right else case.truth[0], case.answers[0]) for case in cases if case.truth]
    rows = [answer for answer, _ in Counter(truth for truth, _ in pairs).most_common(_NUM_FREQUENT)]
    given = [answer for answer, _ in Counter(answer for truth, answer in pairs if truth in rows).most_common()]
    columns = rows + [answer for answer in given if answer not in rows][: _NUM_FREQUENT // 2]
    counted = Counter(pairs)
    counts = []
    for truth in rows:
        row = [counted[truth, column] for column in columns]
        counts.append([*row, sum(n for (t, _), n in counted.items() if t == truth) - sum(row)])
    return heat_table(rows, (*columns, "(other)"), counts)


def _calibration(runs: Sequence[ReportRun]) -> str:
    figures = []
    for i, run in enumerate(runs):
        cases = [case for case in run.cases if case.confidence and case.truth]
        if cases:
            found = calibration(np.array([c.confidence[0] for c in cases]), np.array([c.right for c in cases]))
            title = f"{run.name}: ECE {100 * found.ece:.1f} %"
            figures.append(reliability(title, found.bins, color(i)))
    note = (
        '<p class="note">How often an answer of a given confidence is right; on the dashed line confidence can be '
        "taken at its word. ECE: mean distance from it.</p>"
    )
    return f'{note}<div class="grid">{"".join(figures)}</div>' if figures else ""


def _maps(runs: Sequence[ReportRun]) -> str:
    maps = [(run.name, run.scene_map) for run in runs if run.scene_map is not None and len(run.scene_map.xy)]
    if not maps:
        return ""
    types = sorted({name for _, found in maps for name in found.room_types})
    rooms = len({frozenset(found.scene_ids) for _, found in maps})
    warning = (
        '<p class="warning">The runs were shown different rooms: do not compare figures below.</p>' if rooms > 1 else ""
    )
    figures = "".join(scene_map(name, m.xy, m.scene_ids, m.room_types, types) for name, m in maps)
    figures_of = [_merged(found.scores) for _, found in maps]
    names = list(dict.fromkeys(name for values in figures_of for name in values))
    rows = [[escape(name), *(values.get(name, "–") for values in figures_of)] for name in names]
    note = (
        '<p class="note">t-SNE of scene embeddings, coloured by room type. The figures below are in percent; '
        "retrieval as R@1 · R@5 · R@10.</p>"
    )
    figures_table = table(("", *(name for name, _ in maps)), rows, css="scores") if rows else ""
    return f'{warning}{note}{type_legend(types)}<div class="grid">{figures}</div>{figures_table}'


def _merged(scores: dict[str, float]) -> dict[str, str]:
    """`R@1 x`, `R@5 x`, `R@10 x` as one row `x` of three figures."""
    merged: dict[str, list[str]] = {}
    for name, value in scores.items():
        k, _, rest = name.partition(" ")
        row = f"retrieval {rest}".replace("->", "→") if k.startswith("R@") else name
        merged.setdefault(row, []).append(f"{value:.1f}")
    return {name: " · ".join(values) for name, values in merged.items()}


def _training(runs: Sequence[ReportRun]) -> str:
    # One point is no curve.
    names = list(dict.fromkeys(name for run in runs for name, (steps, _) in run.curves.items() if len(steps) > 1))
    if not names:
        return ""

    def drawn(chosen: Sequence[str]) -> str:
        figures = []
        for name in chosen:
            lines = [(color(i), *run.curves[name]) for i, run in enumerate(runs) if name in run.curves]
            figures.append(curves(name, [Series(color=c, x=x, y=y) for c, x, y in lines]))
        return f'<div class="grid">{"".join(figures)}</div>'

    first = [name for name in _FIRST_CURVES if name in names]
    rest = [name for name in names if name not in first]
    more = f"<details><summary>All loss terms</summary>{drawn(rest)}</details>" if rest else ""
    return legend([run.name for run in runs]) + drawn(first) + more


def _configuration(runs: Sequence[ReportRun]) -> str:
    shown = [run for run in runs if run.config]
    rows = []
    for name in dict.fromkeys(name for run in shown for name in run.config):
        values = [run.config.get(name) for run in shown]
        if len(shown) == 1 or len(set(values)) > 1:
            rows.append([f"<code>{breakable(name)}</code>", *(escape(_short(value)) for value in values)])
    if not shown:
        return ""
    note = (
        "What differs between the runs; –: it has no such setting." if len(shown) > 1 else "All that decides the run."
    )
    if not rows:
        note = "The runs have the same settings."
    if without := [run.name for run in runs if not run.config]:
        note += f" Without config.yaml: {', '.join(without)}."
    columns = ("", *(run.name for run in shown))
    return f'<p class="note">{escape(note)}</p>' + (table(columns, rows, css="config") if rows else "")


def _questions(runs: Sequence[ReportRun]) -> str:
    if not runs:
        return ""
    columns = ["question", "right answers"]
    columns += [part for run in runs for part in (run.name, *(f"{run.name}: {name}" for name in _PER_RUN))]
    columns += ["type", "scene", "id"]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    options = "".join(f"<option>{escape(name)}</option>" for name in _types(runs))
    return (
        '<div class="controls"><input type="search" id="search" placeholder="Search questions, answers, scenes">'
        f'<select id="type" aria-label="type"><option value="">all types</option>{options}</select>'
        '<button id="save">Save as CSV</button></div><p class="note" id="count"></p>'
        f'<div class="scroll tall"><table id="rows"><thead><tr>{head}</tr></thead><tbody></tbody></table></div>'
        '<div class="controls"><button id="more-rows">Show more</button></div>'
    )


# --- data for the script ----------------------------------------------------------------------------------------------


def _data(runs: Sequence[ReportRun], data: Path | None, split: str) -> dict[str, Any]:
    """Questions, answers and galleries; pictures once per scene, boxes only where they are shown."""
    cases: dict[tuple[str, str, str], Case] = {}
    for run in runs:
        for case in run.cases:
            cases.setdefault(case.key, case)
    rows = {key: i for i, key in enumerate(cases)}
    galleries = [_chosen_cases(run.cases) for run in runs]
    wanted = {case.key: case.scene_id for tabs in galleries for tab in tabs.values() for case in tab}
    cameras, scenes = _pictures(sorted(set(wanted.values())), data, split)

    def box(case: Case, which: Float[ndarray, "6"] | None) -> list[float] | None:
        if which is None or case.key not in wanted or case.scene_id not in cameras:
            return None
        return projected_box(cameras[case.scene_id], which)

    def given(case: Case | None) -> dict[str, Any] | None:
        if case is None:
            return None
        confidence: list[float | None] = [round(c, 4) for c in case.confidence] or [None for _ in case.answers]
        top = list(zip(case.answers, confidence, strict=True))[:3]
        iou = None if case.iou is None else round(case.iou, 3)
        return {"top": top, "right": case.right, "iou": iou, "box": box(case, case.box)}

    def asked(case: Case) -> dict[str, Any]:
        about = {"id": case.question_id, "scene": case.scene_id, "type": case.question_type, "text": case.question}
        return {**about, "answers": case.truth, "box": box(case, case.true_box)}

    by_key = [{case.key: case for case in run.cases} for run in runs]
    return {
        "scenes": scenes,
        "questions": [asked(case) for case in cases.values()],
        "given": [[given(found.get(key)) for key in cases] for found in by_key],
        "gallery": [
            {"counts": _counts(run), **{key: [rows[case.key] for case in tab] for key, tab in tabs.items()}}
            for run, tabs in zip(runs, galleries, strict=True)
        ],
    }


def _chosen_cases(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Some right and wrong answers in a random, fixed order; the confidently wrong ones, the surest first."""
    mixed = sorted(cases, key=lambda case: case.question_id)
    random.Random(0).shuffle(mixed)
    wrong = [case for case in mixed if not case.right]
    sure = sorted((c for c in wrong if c.confidence and c.confidence[0] >= CONFIDENT), key=lambda c: -c.confidence[0])
    tabs = {"right": [case for case in mixed if case.right], "wrong": wrong, "confident": sure}
    return {key: tab[:_GALLERY_SIZE] for key, tab in tabs.items()}


def _counts(run: ReportRun) -> dict[str, int]:
    wrong = [case for case in run.cases if not case.right]
    sure = sum(bool(case.confidence) and case.confidence[0] >= CONFIDENT for case in wrong)
    return {"right": len(run.cases) - len(wrong), "wrong": len(wrong), "confident": sure}


def _pictures(
    scene_ids: Sequence[str], data: Path | None, split: str
) -> tuple[dict[str, Camera], dict[str, dict[str, Any]]]:
    """Cameras and embedded pictures of the scenes that have them."""
    if data is None:
        return {}, {}
    folder, cameras, scenes = DataFolder(data), {}, {}
    for scene_id in scene_ids:
        path = folder.picture(scene_id, split)
        if path.is_file() and camera_path(path).is_file():
            camera = cameras[scene_id] = load_camera(path)
            picture = "data:image/jpeg;base64," + b64encode(path.read_bytes()).decode("ascii")
            scenes[scene_id] = {"picture": picture, "width": camera.width, "height": camera.height}
    return cameras, scenes


# --- small things -----------------------------------------------------------------------------------------------------


def _subtitle(runs: Sequence[ReportRun], split: str) -> str:
    cases = max((run.cases for run in runs), key=len)
    scenes = len({case.scene_id for case in cases})
    of_questions = f", {len(cases):,} questions about {scenes} scenes" if cases else ""
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}, split {split}{of_questions}"


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names, with as many parents as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    names = []
    for own in parts:
        same = [other for other in parts if other[-1:] == own[-1:]]
        if same.count(own) > 1:
            raise ConfigError(f"{Path(*own)}: is given twice; name each run once.")
        depth = next(n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in same) == 1)
        names.append("/".join(own[-depth:]))
    return names


def _short(value: str | None) -> str:
    text = "–" if value is None else value
    return text if len(text) <= _MAX_LETTERS else text[: _MAX_LETTERS - 1] + "…"
