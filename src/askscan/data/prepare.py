"""Prepare a data folder: every scan becomes one small file, in parallel, resumable; a bad scan stops only itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict

import numpy as np

from askscan.data.folder import DataFolder
from askscan.data.prepared import read_about, save_prepared
from askscan.data.scannet import read_scene, scene_sources
from askscan.errors import ConfigError, DataError
from askscan.parallel import in_processes
from askscan.records import PreparedScene

MAX_POINTS = 50_000
"""Vertices kept per scene (ScanRefer, Chen et al. 2020)."""

Progress = Callable[[int, int], None]
"""Called with the number of scenes done and the number of all scenes."""


class _Options(TypedDict):
    max_points: int
    skip_unknown_labels: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOutcome:
    """What became of one scene."""

    scene_id: str
    made: bool = False
    """False: it was there already, or it failed."""
    error: str = ""
    """Why it failed: one sentence that names the file."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareReport:
    """What became of every scene, by scene id."""

    outcomes: tuple[SceneOutcome, ...]

    @property
    def made(self) -> tuple[str, ...]:
        """Scenes written now."""
        return tuple(o.scene_id for o in self.outcomes if o.made)

    @property
    def kept(self) -> tuple[str, ...]:
        """Scenes that were prepared already, from the same files and with the same options."""
        return tuple(o.scene_id for o in self.outcomes if not o.made and not o.error)

    @property
    def errors(self) -> tuple[str, ...]:
        """One sentence for each scene that failed."""
        return tuple(o.error for o in self.outcomes if o.error)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found or assumed, over all scenes."""
        return tuple(note for o in self.outcomes for note in o.notes)


def prepare(
    folder: DataFolder,
    *,
    processes: int = 1,
    max_points: int = MAX_POINTS,
    skip_unknown_labels: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Write `prepared/<scene>.safetensors` for every scan of a data folder; what is there and up to date is kept.

    The same files and options give the same bytes, whatever the number of processes. It can be stopped at any moment
    and goes on from there.

    Args:
        folder: The data folder.
        processes: How many scenes at a time, each in its own process. With more than one, a script that calls this
            needs the usual `if __name__ == "__main__":`.
        max_points: Vertices kept per scene, drawn at random once.
        skip_unknown_labels: Leave out objects whose label is not in the label table, instead of failing the scene.
        progress: Called after each scene that was not there already.

    Raises:
        DataError: there is no scan at all, or a process died. Faults of single scenes are in the report.
    """
    if max_points < 1 or processes < 1:
        raise ConfigError(f"prepare: max_points {max_points} and processes {processes} must be positive")
    scene_ids = folder.scans_on_disk()
    if not scene_ids:
        raise DataError(f"{folder.scans}: no scans; put one folder per scene there (scene0000_00/...)")
    options: _Options = {"max_points": max_points, "skip_unknown_labels": skip_unknown_labels}
    pending = [scene_id for scene_id in scene_ids if not _is_current(folder, scene_id, options)]
    outcomes = [SceneOutcome(scene_id=scene_id) for scene_id in sorted(set(scene_ids) - set(pending))]
    work = partial(_prepare_scene, folder, options)
    # A process takes longer to start than a few scenes.
    for _, outcome in in_processes(work, pending, min(processes, len(pending) // 2), what="prepare"):
        outcomes.append(outcome)
        if progress:
            progress(len(outcomes), len(scene_ids))
    return PrepareReport(outcomes=tuple(sorted(outcomes, key=lambda o: o.scene_id)))


def _prepare_scene(folder: DataFolder, options: _Options, scene_id: str) -> SceneOutcome:
    identity = _identity(folder, scene_id, options)  # of before the reading: a file that changes meanwhile is noticed
    try:
        scene, notes = read_scene(folder, scene_id, skip_unknown_labels=options["skip_unknown_labels"])
        thin = thinned(scene, options["max_points"])
        save_prepared(folder.prepared(scene_id), thin, identity=identity, notes=notes)
    except DataError as error:
        return SceneOutcome(scene_id=scene_id, error=str(error))
    return SceneOutcome(scene_id=scene_id, made=True, notes=notes)


def thinned(scene: PreparedScene, max_points: int) -> PreparedScene:
    """At most `max_points` points, in a random order that depends on the scene id alone; boxes stay.

    The order is shuffled always: any prefix is then a uniform sample.
    """
    rng = np.random.default_rng(zlib.crc32(scene.scene_id.encode()))
    chosen = rng.permutation(len(scene.xyz))[:max_points]
    return replace(
        scene,
        xyz=scene.xyz[chosen],
        rgb=None if scene.rgb is None else scene.rgb[chosen],
        normals=None if scene.normals is None else scene.normals[chosen],
        instance=scene.instance[chosen],
    )


def _identity(folder: DataFolder, scene_id: str, options: _Options) -> str:
    """Sizes and times of the sources, and the options: a prepared file made from others is stale."""
    stats = {path.name: path.stat() for path in scene_sources(folder, scene_id)}
    sources = {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}
    return json.dumps({"sources": sources, **options})


def _is_current(folder: DataFolder, scene_id: str, options: _Options) -> bool:
    path = folder.prepared(scene_id)
    try:
        return path.is_file() and read_about(path)["identity"] == _identity(folder, scene_id, options)
    except DataError:  # cut off, or of an older format
        return False
