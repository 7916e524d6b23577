"""What a data folder has, what is missing for which command, and what in it looks wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from askscan.data.annotations import read_descriptions, read_questions, read_sqa3d
from askscan.data.folder import SCANQA_SPLITS, SCANREFER_SPLITS, SQA3D_SPLITS, DataFolder, read_scene_list
from askscan.data.labels import LabelTable, read_label_table
from askscan.data.ply import count_points
from askscan.data.prepared import load_prepared, read_about
from askscan.data.scannet import read_aggregation, read_info, scene_sources
from askscan.errors import DataError
from askscan.records import Description, Question

_NUM_EXAMPLES = 3
_NO_ALIGNMENT = "scene without axisAlignment (used as it stands)"
_NO_SCAN = "annotated scene without scan"
_NO_LABEL = "unknown label in questions (taken as others)"
_HARMLESS = (_NO_ALIGNMENT, _NO_SCAN, _NO_LABEL)
"""Test scans have no alignment, few people have all scans, and what needs one that is not there refuses to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of data in the folder."""

    name: str
    count: int
    """How many there are; 0: absent."""
    detail: str
    """Where it is, or belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that looks wrong, gathered over the folder."""

    kind: str
    count: int
    examples: tuple[str, ...]
    harmless: bool
    """Worth knowing, but no scene or training comes out wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What `check` found."""

    parts: tuple[Part, ...]
    missing: dict[str, tuple[str, ...]]
    """Per command what it still needs; nothing: it can run."""
    problems: tuple[Problem, ...]

    def tables(self) -> dict[tuple[str, str, str], list[tuple[str, str, str]]]:
        """Rows to print, by their column titles."""
        parts = [(part.name, f"{part.count:,}" if part.count else "-", part.detail) for part in self.parts]
        commands = [(c, "not ready" if needs else "ready", "\n".join(needs)) for c, needs in self.missing.items()]
        problems, notes = (
            [(p.kind, f"{p.count:,}", "\n".join(p.examples)) for p in self.problems if p.harmless == harmless]
            for harmless in (False, True)
        )
        return {
            ("what", "found", "where"): parts,
            ("askscan ...", "is", "needs"): commands,
            ("looks wrong", "times", "such as"): problems,
            ("worth knowing", "times", "such as"): notes,
        }

    def json(self) -> dict[str, object]:
        """The same for programs: `parts`, `missing`, `problems`."""
        return asdict(self)


class _Problems:
    def __init__(self) -> None:
        self.found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, example: str) -> None:
        self.found[kind].append(example)

    def report(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(kind=kind, count=len(all_), examples=tuple(all_[:_NUM_EXAMPLES]), harmless=kind in _HARMLESS)
            for kind, all_ in self.found.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotations:
    """All that could be read, by split."""

    descriptions: dict[str, tuple[Description, ...]]
    questions: dict[str, tuple[Question, ...]]
    situated: dict[str, tuple[Question, ...]]

    def scenes(self) -> dict[str, set[str]]:
        """Scenes that each file is about, by the name of its part."""
        found = {f"ScanRefer {s}": {entry.scene_id for entry in texts} for s, texts in self.descriptions.items()}
        for name, asked in (("ScanQA", self.questions), ("SQA3D", self.situated)):
            found |= {f"{name} {s}": {entry.scene_id for entry in texts} for s, texts in asked.items()}
        return found


def check(folder: DataFolder) -> CheckReport:
    """Look at everything in a data folder but the insides of the meshes; a damaged file becomes a problem, no error."""
    problems = _Problems()
    annotations = _read_annotations(folder, problems)
    try:
        table = read_label_table(folder.label_table) if folder.label_table.is_file() else None
    except DataError as error:
        table = None
        problems.add("unreadable file", str(error))
    scans = folder.scans_on_disk()
    kinds, objects = _check_scans(folder, scans, table, problems)
    _check_annotations(annotations, objects, table, problems)
    scenes = annotations.scenes()
    for scene_id in sorted(set().union(*scenes.values()) - set(scans)):
        problems.add(_NO_SCAN, scene_id)
    parts = _parts(folder, kinds, annotations, problems)
    return CheckReport(parts=parts, missing=_missing(folder, parts, scenes), problems=problems.report())


def _read_annotations(folder: DataFolder, problems: _Problems) -> _Annotations:
    found = _Annotations(descriptions={}, questions={}, situated={})
    wanted = [(found.descriptions, read_descriptions, s, folder.scanrefer(s)) for s in SCANREFER_SPLITS]
    wanted += [(found.questions, read_questions, s, folder.scanqa(s)) for s in SCANQA_SPLITS]  # type: ignore[misc]
    wanted += [(found.situated, read_sqa3d, s, folder.sqa3d_questions(s)) for s in SQA3D_SPLITS]  # type: ignore[misc]
    for into, read, split, path in wanted:
        if path.is_file():
            try:
                into[split] = read(folder, split)
            except DataError as error:
                problems.add("unreadable file", str(error))
    return found


def _check_scans(
    folder: DataFolder, scans: Iterable[str], table: LabelTable | None, problems: _Problems
) -> tuple[dict[str, int], dict[str, set[int]]]:
    """Number of scans of each kind of source, and the objectIds of the scenes that are annotated."""
    kinds: dict[str, int] = defaultdict(int)
    objects: dict[str, set[int]] = {}
    for scene_id in scans:
        try:
            sources = scene_sources(folder, scene_id)
            if not sources:
                problems.add("scene without mesh", scene_id)
                continue
            if sources[0] == folder.mesh(scene_id):
                kinds["meshes"] += 1
                count_points(sources[0])
                _check_alignment(folder.info(scene_id), scene_id, problems)
            else:
                kinds["prepared arrays" if sources[0].suffix == ".npy" else "scans of another origin"] += 1
            _check_objects(folder, scene_id, table, objects, problems)
        except DataError as error:
            problems.add("unreadable file", str(error))
    return dict(kinds), objects


def _check_alignment(path: Path, scene_id: str, problems: _Problems) -> None:
    if read_info(path).alignment is None:
        problems.add(_NO_ALIGNMENT, scene_id)


def _check_objects(
    folder: DataFolder, scene_id: str, table: LabelTable | None, objects: dict[str, set[int]], problems: _Problems
) -> None:
    aggregation, segments = folder.aggregation(scene_id), folder.segments(scene_id)
    if aggregation.is_file():
        groups = read_aggregation(aggregation)
        objects[scene_id] = {group.object_id for group in groups}
        for label in sorted({g.label for g in groups} - table.nyu40_of.keys() if table else ()):
            problems.add("unknown label in a scan", f"{scene_id}: {label}")
    elif folder.prepared(scene_id).is_file():
        scene = load_prepared(folder.prepared(scene_id))
        if len(scene.object_id):
            objects[scene_id] = {int(object_id) for object_id in scene.object_id}
    if aggregation.is_file() != segments.is_file():
        problems.add("scene with only one of aggregation and segments", scene_id)


def _check_annotations(
    annotations: _Annotations, objects: dict[str, set[int]], table: LabelTable | None, problems: _Problems
) -> None:
    for sentence in (s for split in annotations.descriptions.values() for s in split):
        if sentence.object_id not in objects.get(sentence.scene_id, {sentence.object_id}):
            problems.add("sentence about an object that is not there", f"{sentence.scene_id}: {sentence.object_id}")
    unknown: set[str] = set()
    for task, questions_of in (("", annotations.questions), ("situated ", annotations.situated)):
        for split, questions in questions_of.items():
            seen: set[str] = set()
            for question in questions:
                _check_question(question, task, split, objects, problems)
                if question.question_id in seen:
                    problems.add(f"{task}question id used twice", question.question_id)
                seen.add(question.question_id)
                unknown.update(question.object_names)
    for label in sorted(unknown - table.nyu40_of.keys() if table else ()):
        problems.add(_NO_LABEL, label)


def _check_question(
    question: Question, task: str, split: str, objects: dict[str, set[int]], problems: _Problems
) -> None:
    there = objects.get(question.scene_id)
    gone = set(question.object_ids) - there if there is not None else ()
    if gone:
        problems.add("question about an object that is not there", f"{question.question_id}: {sorted(gone)}")
    if not question.answers and not split.startswith("test_"):
        problems.add(f"{task}question without answers", question.question_id)


def _parts(folder: DataFolder, kinds: dict[str, int], found: _Annotations, problems: _Problems) -> tuple[Part, ...]:
    parts = [
        Part(name=name, count=kinds.get(name, 0), detail=detail)
        for name, detail in (
            ("meshes", "scannet/scans/<scene>/<scene>_vh_clean_2.ply"),
            ("prepared arrays", "scannet/scannet_data/<scene>_aligned_vert.npy"),
            ("scans of another origin", "scannet/scans/<scene>/<scene>.ply, .glb, .obj or .pcd"),
        )
    ]

    def add(name: str, count: int, path: Path) -> None:
        parts.append(Part(name=name, count=count, detail=str(path.relative_to(folder.root))))

    add("label table", int(folder.label_table.is_file()), folder.label_table)
    for split in ("train", "val", "test"):
        path = folder.scannet_list(split)
        try:
            add(f"ScanNet {split} list", len(read_scene_list(path)) if path.is_file() else 0, path)
        except DataError as error:
            problems.add("unreadable file", str(error))
    for split in SCANREFER_SPLITS:
        add(f"ScanRefer {split}", len(found.descriptions.get(split, ())), folder.scanrefer(split))
    for split in SCANQA_SPLITS:
        add(f"ScanQA {split}", len(found.questions.get(split, ())), folder.scanqa(split))
    for split in SQA3D_SPLITS:
        add(f"SQA3D {split}", len(found.situated.get(split, ())), folder.sqa3d_questions(split))
    for split in ("train", "val"):
        path = folder.picture("*", split)
        add(f"pictures {split}", sum(1 for _ in path.parent.glob(path.name)), path.parent)
    add("prepared scenes", _count_prepared(folder, problems), folder.prepared("").parent)
    add("DepthContrast weights", int(folder.depthcontrast.is_file()), folder.depthcontrast)
    return tuple(parts)


def _count_prepared(folder: DataFolder, problems: _Problems) -> int:
    count = 0
    for path in sorted(folder.prepared("").parent.glob("*.safetensors")):
        try:
            read_about(path)
            count += 1
        except DataError as error:
            problems.add("unreadable file", str(error))
    return count


_NEEDS = {
    "pretrain": "ScanRefer train",
    "train": "ScanQA train",
    "train --task sqa3d": "SQA3D train",
    "evaluate": "ScanQA val",
    "predict --split test_w_obj": "ScanQA test_w_obj",
    "predict --split test_wo_obj": "ScanQA test_wo_obj",
}
"""Whose texts a command reads."""


def _missing(folder: DataFolder, parts: tuple[Part, ...], scenes: dict[str, set[str]]) -> dict[str, tuple[str, ...]]:
    part_of = {part.name: part for part in parts}
    scans = () if any(part.count for part in parts[:3]) else (f"scans ({parts[0].detail})",)
    prepared = () if part_of["prepared scenes"].count else ("prepared scenes (run askscan prepare)",)
    found: dict[str, tuple[str, ...]] = {"prepare": scans, "render": scans, "embed": prepared}
    for command, texts in _NEEDS.items():
        asked = scenes.get(texts, set())
        needs = [] if part_of[texts].count else [f"{texts} ({part_of[texts].detail})"]
        needs += _absent("prepared scenes", "prepare", [folder.prepared(scene_id) for scene_id in asked])
        if command == "pretrain":
            needs += _absent("pictures", "render", [folder.picture(scene_id, "train") for scene_id in asked])
        found[command] = tuple(needs)
    return found


def _absent(name: str, command: str, paths: list[Path]) -> list[str]:
    absent = sum(not path.is_file() for path in paths)
    return [f"{name} ({absent:,} of {len(paths):,} are missing: run askscan {command})"] if absent else []
