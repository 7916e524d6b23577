"""What a report reads from run folders: scores, answered questions, training curves, configuration, map of scenes."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from askscan.errors import ConfigError, DataError
from askscan.evaluate.cases import Case, read_cases
from askscan.evaluate.maps import SceneMap, map_path, read_map
from askscan.evaluate.runs import description_of
from askscan.evaluate.score import Scores
from askscan.plain import flat
from askscan.train.checkpoint import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun:
    """One column of a report."""

    name: str
    scores: Scores | None
    cases: tuple[Case, ...]
    config: dict[str, str]
    """Flat: `loop.num_steps` and so on, with values as `--set` takes them."""
    curves: dict[str, tuple[tuple[float, ...], tuple[float, ...]]]
    """Steps and values of each column of metrics.csv."""
    scene_map: SceneMap | None


def read_run(folder: Path, split: str, name: str) -> ReportRun:
    """Read whatever a run folder has of scores, details, metrics, configuration and map.

    Raises:
        ConfigError: It has none of them, or its configuration is damaged.
        DataError: Another one is damaged.
    """
    scores, details = folder / f"scores.{split}.json", folder / f"details.{split}.json"
    config, metrics, scene_map = folder / "config.yaml", folder / "metrics.csv", map_path(folder, split)
    if not any(path.is_file() for path in (scores, config, metrics, scene_map)):
        raise ConfigError(
            f"{folder}: is no run folder (it has neither config.yaml nor {scores.name}); "
            "give folders of `askscan train`, `pretrain` or `evaluate`."
        )
    return ReportRun(
        name=name,
        scores=Scores.load(scores) if scores.is_file() else None,
        cases=read_cases(details) if details.is_file() else (),
        config=_config(RunFolder(folder)) if config.is_file() else {},
        curves=_curves(metrics) if metrics.is_file() else {},
        scene_map=read_map(scene_map) if scene_map.is_file() else None,
    )


def _config(folder: RunFolder) -> dict[str, str]:
    return {
        name.removeprefix("config."): value if isinstance(value, str) else json.dumps(value, default=str)
        for name, value in flat(description_of(folder)).items()
        if name != "object_names"  # the vocabulary of `ask`, no setting
    }


def _curves(path: Path) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {}
        for name in rows[0] if rows else ():
            points = [(float(row["step"]), float(row[name])) for row in rows if row[name]]
            if points and name not in ("step", "epoch"):
                found[name] = (tuple(x for x, _ in points), tuple(y for _, y in points))
        return found
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is no metrics file of ours ({error}); restore or delete it.") from error
