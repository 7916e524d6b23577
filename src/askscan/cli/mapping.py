"""`map`: where in a scan the things are that a phrase is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from askscan.cli.arguments import AsJson, Device, TeacherPlace
from askscan.cli.asking import (
    AlignWalls,
    FileUnit,
    ScanData,
    ScanPosition,
    UpAxis,
    check_picture,
    frame,
    place,
    read_told,
)
from askscan.cli.console import console, say
from askscan.errors import ConfigError

if TYPE_CHECKING:
    from askscan.evaluate.language_map import LanguageMap


def language_map(
    scan: ScanPosition,
    phrases: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="PHRASE...",
            help='One or more phrases in quotes, such as "a bed".',
            help_behavior_hint="(required)",
        ),
    ],
    *,
    run: Annotated[
        str,
        tyro.conf.arg(
            metavar="RUN",
            help="A run of `askscan pretrain`: a folder, a Hub name, or one of the package (see `askscan doctor`).",
        ),
    ],
    data: ScanData = None,
    as_json: AsJson = False,
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="Write a picture, a panel per phrase.")] = None,
    objects: int = 3,
    up: UpAxis = "auto",
    unit: FileUnit = "auto",
    align_walls: AlignWalls = True,
    teacher: TeacherPlace = None,
    device: Device = "auto",
) -> None:
    """Compare a scan's objects with phrases in the space of a run's teacher.

    Cosines of one phrase rank the objects; their height as a whole says little.

    Args:
        objects: Objects to print per phrase (--json prints all).
    """
    if objects < 1:
        raise ConfigError(f"--objects must be at least 1, not {objects}.")
    check_picture(picture)
    read = read_told(scan, data, up, unit, align_walls)
    from askscan.evaluate.answerer import load

    found = load(run, device=device, teacher=teacher).language_map(read, *phrases)
    if as_json:
        print(json.dumps([entry | {"frame": frame(read)} for entry in as_dicts(found, scan)], indent=2))
    else:
        _print(found, objects)
    if picture is not None:
        from askscan.evaluate.language_picture import write_language_map

        write_language_map(picture, read, found)
        if not as_json:
            say(f"picture: {picture}")


def as_dicts(found: LanguageMap, scan: str) -> list[dict[str, Any]]:
    """A map as `--json` prints it: per phrase the objects, the most similar first."""
    return [
        {
            "phrase": phrase,
            "scene_similarity": round(float(found.scene_similarity[i]), 6),
            "objects": [
                {
                    "similarity": round(float(found.similarity[i, k]), 6),
                    "label": found.labels[k],
                    "objectness": round(float(found.objectness[k]), 6),
                    "box": {
                        "center": found.center[k].tolist(),
                        "size": found.size[k].tolist(),
                        "corners": found.corners[k].tolist(),
                    },
                }
                for k in found.ranking(i).tolist()
            ],
            "scan": scan,
        }
        for i, phrase in enumerate(found.phrases)
    ]


def _print(found: LanguageMap, num_objects: int) -> None:
    for i, phrase in enumerate(found.phrases):
        console.print(phrase, style="bold", markup=False)
        for k in found.ranking(i)[:num_objects].tolist():
            say(f"  {found.similarity[i, k]:+.3f}  {found.labels[k]}, {place(found.center[k], found.size[k])}")
