"""`ask`: questions to a scan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from askscan.cli.arguments import AsJson, Device, Run, TeacherPlace
from askscan.cli.console import console, say
from askscan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy import ndarray

    from askscan.evaluate.answerer import Answer
    from askscan.records import Scan

ScanPosition = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="SCAN", help="A PLY, GLB, OBJ or PCD file, or a scene id of --data."),
]
ScanData = Annotated[Path | None, tyro.conf.arg(metavar="DATA", help="Collection that the scene id is of.")]
UpAxis = Annotated[
    Literal["auto", "x", "y", "z", "-x", "-y", "-z"],
    tyro.conf.arg(help="Axis of the file that points up; auto finds it."),
]
FileUnit = Annotated[Literal["auto", "m", "cm", "mm"], tyro.conf.arg(help="Unit of the file; auto finds it.")]
AlignWalls = Annotated[
    bool, tyro.conf.FlagConversionOff, tyro.conf.arg(help="Turn the scan until its walls run along the axes.")
]

_COLORS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14), (148, 103, 189), (23, 190, 207),
           (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34))  # fmt: skip


def ask(
    scan: ScanPosition,
    questions: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="QUESTION...", help="One or more questions, each in quotes.", help_behavior_hint="(required)"
        ),
    ],
    *,
    run: Run = "default",
    data: ScanData = None,
    as_json: AsJson = False,
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="Write a top-down picture with boxes.")] = None,
    answers: int = 3,
    up: UpAxis = "auto",
    unit: FileUnit = "auto",
    align_walls: AlignWalls = True,
    teacher: TeacherPlace = None,
    device: Device = "auto",
) -> None:
    """Ask a scan of a room; get ranked answers and the box of what was asked about.

    Boxes are in the axes and units of the file.

    Args:
        answers: Answers to print per question (--json prints all ten).
    """
    if not questions:
        raise ConfigError('no question was given; ask something such as "What is next to the bed?".')
    if not all(question.strip() for question in questions):
        raise ConfigError('a question is empty; ask something such as "What is next to the bed?".')
    if answers < 1:
        raise ConfigError(f"--answers must be at least 1, not {answers}.")
    check_picture(picture)
    read = read_told(scan, data, up, unit, align_walls)
    from askscan.evaluate.answerer import load

    found = load(run, device=device, teacher=teacher).ask(read, *questions)
    for answer in found:
        if answer.warning:
            print(f"warning: {answer.question}: {answer.warning}.", file=sys.stderr)
    if as_json:
        print(json.dumps([as_dict(answer, scan) | {"frame": frame(read)} for answer in found], indent=2))
    else:
        _print(found, answers)
    if picture is not None:
        write_picture(picture, read, found)
        if not as_json:
            say(f"picture: {picture}")


def as_dict(answer: Answer, scan: str) -> dict[str, Any]:
    """An answer as `--json` prints it."""
    return {
        "question": answer.question,
        "answers": [{"answer": a.answer, "confidence": round(a.confidence, 6)} for a in answer.answers],
        "box": {
            "center": answer.center.tolist(),
            "size": answer.size.tolist(),
            "corners": answer.corners.tolist(),
        },
        "label": answer.label,
        "scan": scan,
        "warning": answer.warning,
    }


def frame(scan: Scan) -> dict[str, Any]:
    """For `--json`, how a scan was taken: from the file's axes and units to metres, z up, walls along the axes.

    First the axis `up` is brought to z, then the scan is turned about it.
    """
    import numpy as np

    from askscan.data.alignment import TO_Z_UP

    metres = float(np.cbrt(np.linalg.det(scan.from_file[:3, :3])))
    rotation = scan.from_file[:3, :3] / metres
    k = int(np.abs(rotation[2]).argmax())
    up = "-" * bool(rotation[2, k] < 0) + "xyz"[k]
    turn = rotation @ np.array(TO_Z_UP[up]).T
    return {
        "up": up,
        "metres_per_unit": round(metres, 9),
        "turn_deg": round(float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))), 3),
        "from_file": scan.from_file.tolist(),
        "notes": list(scan.notes),
    }


def write_picture(path: Path, scan: Scan, found: tuple[Answer, ...], size: int = 640) -> None:
    """Write a top-down picture of a scan with the box of each answer, and below it the questions and answers."""
    from PIL import Image

    from askscan.files import replacing
    from askscan.render.draw import Caption, DrawnBox, draw, with_captions
    from askscan.render.pictures import signature
    from askscan.render.topdown import top_down

    boxes, captions = [], []
    for i, answer in enumerate(found):
        number = f"{i + 1}. " if len(found) > 1 else ""
        color, best = _COLORS[i % len(_COLORS)], answer.answers[0]
        boxes.append(DrawnBox(corners=answer.aligned_corners, label=number + best.answer, color=color))
        said = f"{best.answer} ({best.confidence:.0%})"
        captions.append(Caption(color=color, title=number + answer.question, text=said))
    image = with_captions(draw(top_down(scan.mesh, size=size), boxes).image, captions)
    with replacing(path) as temporary:
        kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
        Image.fromarray(image).save(temporary, format=kind, exif=signature())


def check_picture(picture: Path | None) -> None:
    """Refuse a picture that could not be written in the end, or that would replace a file of the user's."""
    if picture is None:
        return
    from askscan.render.pictures import is_ours

    if picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"{picture}: pictures are written as .png or .jpg.")
    if picture.exists() and not is_ours(picture):
        raise ConfigError(f"{picture}: exists and is no picture of ours; give another name.")


def read_told(scan: str, data: Path | None, up: Any, unit: Any, align_walls: bool) -> Scan:
    """Read a scan file, or a scene of a collection, and print what was found or assumed."""
    read = _read(scan, data, up, unit, align_walls)
    for note in read.notes:
        print(f"note: {note}", file=sys.stderr)
    return read


def place(center: ndarray, size: ndarray) -> str:
    """Where a box is, in words."""
    texts = ["(" + ", ".join(f"{v:.2f}" for v in vector) + ")" for vector in (center, size)]
    return "centre {}, size {}".format(*texts)


def _read(scan: str, data: Path | None, up: Any, unit: Any, align_walls: bool) -> Scan:
    if data is None:
        from askscan.data.scan_files import read_scan

        if "." not in Path(scan).name:
            raise DataError(f"{scan}: is no scan file; give a PLY, GLB, OBJ or PCD file, or a scene id with --data.")
        return read_scan(scan, up=up, unit=unit, align_walls=align_walls)
    from askscan.data.folder import DataFolder
    from askscan.data.scannet import read_aligned

    folder = DataFolder(data)
    if scan not in folder.scans_on_disk():
        raise DataError(f"{data}: has no scan of scene {scan!r}; its scans are the folders in {folder.scans}.")
    return read_aligned(folder, scan)


def _print(found: tuple[Answer, ...], num_answers: int) -> None:
    for answer in found:
        console.print(answer.question, style="bold", markup=False)
        for ranked in answer.answers[:num_answers]:
            say(f"  {ranked.confidence:6.1%}  {ranked.answer}")
        say(f"  where: {answer.label}, {place(answer.center, answer.size)}")
