"""`rooms`, `prepare`, `render`: from nothing, or from what the user has, to a collection that trainings can read."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from askscan.cli.arguments import AsJson, Data, Processes
from askscan.cli.console import console, progress, say, table, worker_count
from askscan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from askscan.data.folder import DataFolder
    from askscan.records import Mesh

OutPosition = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT", help="Folder of the new collection.")]


def rooms(
    out: OutPosition,
    *,
    scenes: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None,
    seed: int = 0,
    val: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None,
    layout: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE...", help_behavior_hint="")] = (),
    min_questions: int = 25,
    processes: Processes = 0,
) -> None:
    """Generate furnished, scanned rooms with sentences and questions.

    Their files are laid out as those of ScanNet, ScanRefer and ScanQA.

    Args:
        scenes: Rooms to generate; default: 30, and none with --layout.
        seed: Of the first room; room i has seed + i, and everything about it follows from that number.
        val: Rooms at the end that make the split val; default: a fifth.
        layout: Layout files (labelled boxes in JSON) that become rooms after the generated ones.
        min_questions: Rooms of which fewer would be asked get more, as far as there is something to ask.
    """
    from askscan.rooms.writer import write_collection

    with progress("rooms") as update:
        written = write_collection(
            out,
            scenes if scenes is not None else 0 if layout else 30,
            seed,
            num_val=val,
            layouts=layout,
            min_questions=min_questions,
            processes=worker_count(processes),
            progress=update,
        )
    say(f"{out}: {written.num_new} rooms written, {written.num_kept} were there already.")


def prepare(
    data: Data,
    *,
    check: bool = False,
    as_json: AsJson = False,
    skip_unknown_labels: bool = False,
    max_points: int = 50_000,
    processes: Processes = 0,
) -> None:
    """Read all scans into DATA/prepared, one file each; what is done is skipped.

    Args:
        check: Only report what the folder has, what is missing for which command, and what looks wrong.
        skip_unknown_labels: Leave out objects whose label is not in the label table, instead of failing the scene.
        max_points: Vertices kept per scene, drawn at random once.
    """
    from askscan.data.check import check as check_folder
    from askscan.data.folder import DataFolder
    from askscan.data.prepare import prepare as prepare_folder

    if as_json and not check:
        raise ConfigError("--json goes with --check.")
    folder = DataFolder(data)
    if check:
        report = check_folder(folder)
        if as_json:
            print(json.dumps(report.json(), indent=2))
        else:
            for columns, rows in report.tables().items():
                if rows:
                    table("", columns, rows)
        if wrong := [problem.kind for problem in report.problems if not problem.harmless]:
            raise DataError(f"{data}: looks wrong ({', '.join(wrong)}); mend what is listed.")
        return
    with progress("prepare") as update:
        outcome = prepare_folder(
            folder,
            processes=worker_count(processes),
            max_points=max_points,
            skip_unknown_labels=skip_unknown_labels,
            progress=update,
        )
    say(f"{data}: {len(outcome.made)} scenes prepared, {len(outcome.kept)} were done already.")
    _tell("note", outcome.notes)
    if outcome.errors:
        _tell("failed", outcome.errors)
        raise DataError(f"{data}: {len(outcome.errors)} scenes could not be prepared (the first: {outcome.errors[0]})")


def render(
    data: Data,
    *,
    scene: Annotated[str | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint="(default: all)")] = None,
    size: int = 320,
    orthographic: bool = False,
    views: int = 0,
    view_size: int = 224,
    processes: Processes = 0,
) -> None:
    """Make a picture from above of every scene, with its camera; needs no display.

    Val is kept apart; a scan that no list names is train; test needs no picture.

    Args:
        scene: Only this scene.
        size: Side of the square picture from above, pixels.
        orthographic: One scale everywhere; by default the camera also sees the inner side of the walls.
        views: Pictures of each scene from inside the room, too, in DATA/views.
        view_size: Side of these square pictures, pixels.
    """
    from askscan.data.folder import SCANQA_SPLITS, DataFolder
    from askscan.render.collection import RenderConfig, render_collection

    for name, number, least in (("--size", size, 1), ("--views", views, 0), ("--view-size", view_size, 1)):
        if number < least:
            raise ConfigError(f"{name} must be at least {least}, not {number}.")
    folder = DataFolder(data)
    on_disk = set(folder.scans_on_disk())
    wanted = on_disk if scene is None else on_disk & {scene}
    splits = {split: _scenes(folder, split) for split in ("train", "val", "test", *SCANQA_SPLITS[2:])}
    listed = set().union(*splits.values())
    splits = {"train": (splits["train"] | (wanted - listed)) & wanted, "val": splits["val"] & wanted}
    if not any(splits.values()):
        what = "no scans" if scene is None else f"no scan of scene {scene!r}"
        raise DataError(f"{folder.scans}: {what} of split train or val; put one folder per scene there.")
    with progress("render") as update:
        report = render_collection(
            {name: folder.pictures(name, split, views) for split in splits for name in sorted(splits[split])},
            partial(_mesh, folder),
            RenderConfig(size=size, orthographic=orthographic, view_size=view_size),
            num_processes=worker_count(processes),
            progress=update,
        )
    say(f"{data}: pictures of {len(report.rendered)} scenes made, those of {len(report.present)} were there already.")
    if report.failed:
        _tell("failed", tuple(report.failed.values()))
        raise DataError(f"{data}: {len(report.failed)} scenes could not be rendered.")


def _mesh(folder: DataFolder, scene_id: str) -> Mesh:
    from askscan.data.scannet import read_aligned

    return read_aligned(folder, scene_id).mesh


def _scenes(folder: DataFolder, split: str) -> set[str]:
    try:
        return set(folder.scenes(split))
    except DataError:
        return set()


def _tell(kind: str, sentences: tuple[str, ...], most: int = 5) -> None:
    for sentence in sentences[:most]:
        console.print(f"{kind}: {sentence}", markup=False)
    if len(sentences) > most:
        say(f"... and {len(sentences) - most} more")
