"""Writes a collection of generated rooms in the folder layout of ScanNet, ScanRefer, ScanQA and SQA3D."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from askscan.data.ply import write_ply
from askscan.errors import ConfigError, DataError
from askscan.files import claim, replacing
from askscan.parallel import in_processes
from askscan.rooms.catalogue import KINDS, STRUCTURE
from askscan.rooms.layout import plan_room
from askscan.rooms.layout_file import read_layout
from askscan.rooms.questions import MIN_QUESTIONS
from askscan.rooms.scanner import ScannedRoom, scan_room

MANIFEST = "rooms.json"
_TABLE_COLUMNS = (
    "id",
    "raw_category",
    "category",
    "count",
    "nyu40id",
    "eigen13id",
    "nyuClass",
    "nyu40class",
    "eigen13class",
    "ModelNet40",
    "ModelNet10",
    "ShapeNetCore55",
    "synsetoffset",
    "wnsynsetid",
    "wnsynsetkey",
    "mpcat40",
    "mpcat40index",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a call of `write_collection` did."""

    num_new: int
    num_kept: int
    """Scenes that were there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    out: Path
    scene_id: str
    seed: int
    layout: Path | None
    min_questions: int


def write_collection(
    out: Path,
    num_scenes: int,
    seed: int,
    *,
    num_val: int | None = None,
    layouts: Sequence[Path] = (),
    min_questions: int = MIN_QUESTIONS,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write rooms `seed`, `seed + 1`, ... and the rooms of layout files as one collection.

    The same arguments again go on where a run was interrupted. Room i and its files derive from `seed + i` alone.

    Args:
        out: Folder of the collection: new, empty, or an unfinished one of the same arguments.
        num_scenes: Rooms to generate.
        seed: Of the first room.
        num_val: Scenes at the end that are the split `val`; a fifth, at least one, if None. The others are `train`.
        layouts: Layout files; their scenes follow after the generated ones.
        min_questions: Rooms of which fewer would be asked get more, as far as there is something to ask.
        processes: Worker processes.
        progress: Called with the number of finished scenes and of all scenes.

    Returns:
        How many scenes were written and kept.

    Raises:
        ConfigError: The folder holds something else, or the numbers make no sense.
        DataError: A layout file cannot be used, or the folder not be written to.
    """
    total = num_scenes + len(layouts)
    num_val = max(1, total // 5) if num_val is None else num_val
    asked = {"scenes": num_scenes, "val": num_val, "seed": seed, "min-questions": min_questions}
    for name, value in asked.items():
        if value < 0:
            raise ConfigError(f"--{name} must be 0 or more, not {value}.")
    if total < 1 or num_val > total:
        raise ConfigError(
            f"{total} scenes in all, {num_val} of them for val: at least 1, and not more for val than all."
        )
    for layout in layouts:
        read_layout(layout, seed)  # a file with a fault stops the command before anything is written
    about = {
        "seed": seed,
        "num_scenes": num_scenes,
        "num_val": num_val,
        "layouts": [_digest(p) for p in layouts],
        "min_questions": min_questions,
    }
    claim(out, MANIFEST, about, what="generated rooms")
    tasks = [
        _Task(
            out=out,
            scene_id=f"scene{i:04d}_00",
            seed=seed + i,
            layout=None if i < num_scenes else layouts[i - num_scenes],
            min_questions=min_questions,
        )
        for i in range(total)
    ]
    missing = [t for t in tasks if not _record_path(t.out, t.scene_id).is_file()]
    done = total - len(missing)
    for _ in in_processes(_write_scene, missing, processes, what="rooms"):
        done += 1
        if progress is not None:
            progress(done, total)
    scenes = [t.scene_id for t in tasks]
    _write_lists(out, scenes, num_val)
    return Written(num_new=len(missing), num_kept=total - len(missing))


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]


# --- one scene --------------------------------------------------------------------------------------------------------


def _record_path(out: Path, scene_id: str) -> Path:
    """The plan and the language of a scene; written last, so it marks a scene as complete."""
    return out / "rooms" / f"{scene_id}.json"


def _write_scene(task: _Task) -> None:
    from askscan.rooms import questions, sentences, situations

    plan = plan_room(task.seed) if task.layout is None else read_layout(task.layout, task.seed)
    scan = scan_room(plan)
    _write_scan(task.out / "scannet" / "scans" / task.scene_id, task.scene_id, scan)
    asked = questions.ask(scan.room, np.random.default_rng([task.seed, 3]), task.min_questions)
    situated = situations.ask(scan.room, np.random.default_rng([task.seed, 4]))
    record = {
        "scene_id": task.scene_id,
        "room": asdict(scan.room),
        "sentences": [asdict(s) for s in sentences.describe(scan.room, np.random.default_rng([task.seed, 2]))],
        "questions": [asdict(q) for q in asked],
        "situations": [asdict(s) for s in situated],
        "poses": [_pose_in_file(scan, *s.position, s.heading_rad) for s in situated],
    }
    _write_json(_record_path(task.out, task.scene_id), record)


def _write_scan(folder: Path, scene_id: str, scan: ScannedRoom) -> None:
    """The four files of a scene in ScanNet's formats (Dai et al. 2017)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_ply(folder / f"{scene_id}_vh_clean_2.ply", replace(scan.mesh, normals=None))
    segments = {"params": {}, "sceneId": scene_id, "segIndices": scan.segment.tolist()}
    _write_json(folder / f"{scene_id}_vh_clean_2.0.010000.segs.json", segments, compact=True)
    instance_of = np.full(int(scan.segment.max()) + 1, -1)
    instance_of[scan.segment] = scan.instance  # a segment lies in one instance
    labels = [*(f.kind for f in scan.room.furnishings), *scan.structure]
    groups = [
        {"id": i, "objectId": i, "segments": np.flatnonzero(instance_of == i).tolist(), "label": label}
        for i, label in enumerate(labels)
    ]
    aggregation = {"sceneId": f"scannet.{scene_id}", "appId": "askscan.rooms", "segGroups": groups}
    _write_json(folder / f"{scene_id}.aggregation.json", aggregation, compact=True)
    numbers = " ".join(f"{v:.9f}" for v in scan.alignment.ravel())
    _write_text(folder / f"{scene_id}.txt", f"axisAlignment = {numbers} \nsceneType = {scan.room.scene_type}\n")


# --- lists over all scenes --------------------------------------------------------------------------------------------


def _write_lists(out: Path, scenes: Sequence[str], num_val: int) -> None:
    """Annotation files, scene lists and the label table."""
    labels: set[str] = set()
    cut = len(scenes) - num_val
    for split, members in (("train", scenes[:cut]), ("val", scenes[cut:])):
        records = [_read_record(_record_path(out, s)) for s in members]
        labels.update(f["kind"] for r in records for f in r["room"]["furnishings"])
        lines = "".join(f"{s}\n" for s in members)
        _write_json(out / f"ScanRefer_filtered_{split}.json", [e for r in records for e in _scanrefer(r)])
        _write_text(out / f"ScanRefer_filtered_{split}.txt", lines)
        _write_json(out / "qa" / f"ScanQA_v1.0_{split}.json", [e for r in records for e in _scanqa(r, split)])
        questions, annotations = _sqa3d(records)
        _write_json(out / "sqa3d" / f"v1_balanced_questions_{split}_scannetv2.json", questions)
        _write_json(out / "sqa3d" / f"v1_balanced_sqa_annotations_{split}_scannetv2.json", annotations)
        _write_text(out / "scannet" / "meta_data" / f"scannetv2_{split}.txt", lines)
    _write_text(out / "scannet" / "meta_data" / "scannetv2_test.txt", "")
    _write_text(out / "scannet" / "meta_data" / "scannetv2-labels.combined.tsv", _label_table(labels))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); delete it, and the same command makes the scene again.") from error
    return record


def _scanrefer(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    told: dict[int, int] = {}
    for s in record["sentences"]:
        number = told.get(s["object_id"], 0)
        told[s["object_id"]] = number + 1
        name = record["room"]["furnishings"][s["object_id"]]["kind"].replace(" ", "_")
        yield {
            "scene_id": record["scene_id"],
            "object_id": str(s["object_id"]),
            "object_name": name,
            "ann_id": str(number),
            "description": s["text"],
            "token": s["token"],
        }


def _scanqa(record: Mapping[str, Any], split: str) -> Iterator[dict[str, Any]]:
    for number, q in enumerate(record["questions"]):
        question_id = f"{split}-{record['scene_id'].split('_')[0]}-{number}"
        yield {
            "scene_id": record["scene_id"],
            "question_id": question_id,
            "question": q["text"],
            "answers": q["answers"],
            "object_ids": q["object_ids"],
            "object_names": q["object_names"],
        }


def _pose_in_file(scan: ScannedRoom, x: float, y: float, heading_rad: float) -> list[float]:
    """A place as SQA3D has it: x, y from the middle of the file's extent, and the turn of a frame that looks to -x."""
    rotation, shift = scan.alignment[:2, :2], scan.alignment[:2, 3]
    vertices = scan.mesh.vertices[:, :2]
    place = (np.array([x, y]) - shift) @ rotation - (vertices.min(0) + vertices.max(0)) / 2
    turn = heading_rad - math.atan2(rotation[1, 0], rotation[0, 0]) + math.pi
    return [round(float(value), 6) for value in (*place, turn)]


def _sqa3d(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Questions and annotations as SQA3D has them (Ma et al. 2023)."""
    info = {"description": "Generated rooms in SQA3D's format.", "version": "1.0"}
    kind = {"data_subtype": "askscan rooms", "task_type": "Situated question answering"}
    questions, annotations = [], []
    for record in records:
        first = int(record["scene_id"][5:].split("_")[0]) * 1000
        for number, (s, (x, y, turn_rad)) in enumerate(zip(record["situations"], record["poses"], strict=True)):
            key = {"scene_id": record["scene_id"], "question_id": first + number}
            questions.append(
                {**key, "situation": s["text"], "alternative_situation": s["alternatives"], "question": s["question"]}
            )
            half = turn_rad / 2
            annotations.append(
                {
                    **key,
                    "question_type": "N/A",
                    "answer_type": "other",
                    "answers": [{"answer": s["answer"], "answer_confidence": "yes", "answer_id": 1}],
                    "rotation": {"_x": 0, "_y": 0, "_z": math.sin(half), "_w": math.cos(half)},
                    "position": {"x": x, "y": y, "z": 0},
                }
            )
    return {"info": info, **kind, "questions": questions}, {"info": info, **kind, "annotations": annotations}


def _label_table(labels: set[str]) -> str:
    """Raw labels with their nyu40 ids, in the columns of ScanNet's table; labels of layout files are `otherprop`."""
    rows = {name: (kind.nyu40_id, kind.nyu40_class) for name, kind in KINDS.items()}
    rows |= STRUCTURE | {name: (40, "otherprop") for name in sorted(labels - set(KINDS))}
    lines = ["\t".join(_TABLE_COLUMNS)]
    for number, (name, (nyu, nyu_class)) in enumerate(rows.items(), start=1):
        cells = {
            "id": str(number),
            "raw_category": name,
            "category": name,
            "count": "0",
            "nyu40id": str(nyu),
            "nyuClass": nyu_class,
            "nyu40class": nyu_class,
        }
        lines.append("\t".join(cells.get(column, "") for column in _TABLE_COLUMNS))
    return "\n".join(lines) + "\n"


def _write_json(path: Path, value: object, compact: bool = False) -> None:
    text = json.dumps(value, separators=(",", ":")) if compact else json.dumps(value, indent=1, ensure_ascii=False)
    _write_text(path, text + "\n")


def _write_text(path: Path, text: str) -> None:
    """A file that says so already stays as it is: what was prepared from it would count as stale."""
    if path.is_file() and path.read_bytes() == text.encode():
        return
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())
