"""Arguments that several commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

Data = Annotated[
    Path,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="DATA", help="Folder of a collection: ScanNet, ScanRefer, ScanQA files, or generated rooms."),
]
Out = Annotated[Path, tyro.conf.arg(metavar="DIR", help="Folder to write; must be new, or a run of the same command.")]
_RUN_HELP = "A run folder, a Hub name, or a run of the package: `default`, `tiny-answers`, `tiny`."
Run = Annotated[str, tyro.conf.arg(metavar="RUN", help=_RUN_HELP)]
RunPosition = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN", help=_RUN_HELP),
]
Teacher = Annotated[
    str,
    tyro.conf.arg(metavar="T", help="`default`, a folder, or a Hub name of a CLIP-like model in Hugging Face format."),
]
Task = Annotated[Literal["scanqa", "sqa3d"], tyro.conf.arg(help="ScanQA, or SQA3D with its situations.")]
Processes = Annotated[int, tyro.conf.arg(metavar="N", help="Worker processes; 0 takes one per core.")]
Force = Annotated[bool, tyro.conf.arg(help="Replace what another configuration left in the output folder.")]
Device = Annotated[str, tyro.conf.arg(metavar="DEVICE", help="`auto`, `cpu`, `cuda` or `cuda:N`.")]
TeacherPlace = Annotated[str | None, tyro.conf.arg(metavar="T", help="Where the run's teacher is, if it moved.")]
AsJson = Annotated[bool, tyro.conf.arg(name="json", help="Print JSON.")]
