"""The report's scores: each run's own, and how far runs are ahead of the first on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from askscan.evaluate.cases import SHARES, Estimate, difference, room_counts
from askscan.evaluate.figures import table
from askscan.evaluate.report_runs import ReportRun
from askscan.evaluate.score import Scores

_FIRST = ("EM@1", "EM@10", "EM@1 refined", "Acc@0.25", "Acc@0.5", "CIDEr", "language accuracy", "mAP@0.25")
_NOTHING = "–"
_MIN_ROOMS = 6
"""With fewer, a difference of one sign in every room is no rare chance: 2 / 2^5 is over 5 %."""


def scores_section(runs: Sequence[ReportRun]) -> str:
    """What was asked of whom, all figures, and the differences."""
    shown = [(run.name, run.scores) for run in runs if run.scores is not None]
    rows = {
        name: [escape(name), *(_cell(name, scores) for _, scores in shown)]
        for name in dict.fromkeys(name for _, scores in shown for name in scores.figures)
    }
    if not rows:
        return _warning(runs) + _differences(runs)
    columns = ("", *(name for name, _ in shown))
    rest = [row for name, row in rows.items() if name not in _FIRST]
    return (
        _warning(runs)
        + '<p class="note">Figures in percent. Small: 95 % interval, bootstrap over scenes.</p>'
        + table(columns, [rows[name] for name in _FIRST if name in rows], css="scores")
        + _differences(runs)
        + (f"<details><summary>All figures</summary>{table(columns, rest, css='scores')}</details>" if rest else "")
        + _notes(shown)
    )


def _cell(name: str, scores: Scores) -> str:
    value, span = scores.figures.get(name), scores.intervals.get(name)
    if value is None:
        return _NOTHING
    return f"{value:.1f}" if span is None else f"{value:.1f}<small>{span[0]:.1f} – {span[1]:.1f}</small>"


def _notes(shown: Sequence[tuple[str, Scores]]) -> str:
    said: dict[str, list[str]] = {}
    for name, scores in shown:
        for note in scores.notes:
            said.setdefault(note, []).append(name)
    notes = "".join(f"<p>{escape(note)} ({escape(', '.join(names))})</p>" for note, names in said.items())
    return f"<details><summary>What could not be computed</summary>{notes}</details>" if notes else ""


def _warning(runs: Sequence[ReportRun]) -> str:
    """Said where runs were asked different questions; of a run without details only their number is known."""
    asked = {frozenset(case.key for case in run.cases) for run in runs if run.cases}
    counted_by = {run.name: len(run.cases) or (run.scores.num_questions if run.scores else 0) for run in runs}
    numbers = {name: number for name, number in counted_by.items() if number}
    if len(asked) < 2 and len(set(numbers.values())) < 2:
        return ""
    counted = "; ".join(f"{name} {number:,}" for name, number in numbers.items())
    return (
        '<p class="warning"><b>The runs were asked different questions</b> '
        f"({escape(counted)}). Scores are over each run's own and cannot be compared between such runs; differences "
        "are over the questions that both were asked.</p>"
    )


def _differences(runs: Sequence[ReportRun]) -> str:
    """What each run is ahead of the first that has answers, question by question."""
    answered = [run for run in runs if run.cases]
    if len(answered) < 2:
        return ""
    first, *others = answered
    columns, cells = [""], []
    for run in others:
        shared = {case.key for case in first.cases} & {case.key for case in run.cases}
        sides = [room_counts([case for case in side.cases if case.key in shared]) for side in (run, first)]
        whole = len(shared) == len(first.cases) == len(run.cases)
        columns.append(run.name if whole else f"{run.name}: {len(shared):,} shared questions")
        gains = [difference(sides[:1], sides[1:], share) if shared else None for share in SHARES]
        cells.append([_gain(gain, num_rooms=len(sides[0])) for gain in gains])
    rows = [[share, *parts] for share, *parts in zip(SHARES, *cells, strict=True) if set(parts) != {_NOTHING}]
    return (
        f"<h3>Ahead of {escape(first.name)}</h3>"
        '<p class="note">Points on the same questions. Small: 95 % interval, bootstrap over scenes, with both answers '
        f"about a scene drawn together; bold where it excludes 0 and there are at least {_MIN_ROOMS} scenes. It is of "
        "these very runs: another seed of the same training differs as well.</p>" + table(columns, rows, css="scores")
    )


def _gain(gain: Estimate | None, *, num_rooms: int) -> str:
    if gain is None:
        return _NOTHING
    value = f"{gain.value:+.1f}"
    if num_rooms < 2:  # nothing to draw from
        return value
    value = f"<b>{value}</b>" if gain.is_clear and num_rooms >= _MIN_ROOMS else value
    return f"{value}<small>{gain.low:+.1f} to {gain.high:+.1f}</small>"
