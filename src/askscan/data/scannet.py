"""One scene of a data folder: ScanNet's mesh, alignment, segments and objects, or arrays prepared from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, Int32
from numpy import ndarray

from askscan.data.folder import ARRAY_NAMES, DataFolder
from askscan.data.json_fields import Fields, read_json
from askscan.data.labels import box_class, read_label_table
from askscan.data.ply import read_ply
from askscan.errors import DataError
from askscan.geometry.meshes import vertex_normals
from askscan.records import Mesh, PreparedScene, Scan

MIN_POINTS = 100
"""Fewer points than this are no scan of a room."""

MAX_COORDINATE_M = 10_000.0
"""A point farther from the origin than this is damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneInfo:
    """What ScanNet's `<scene>.txt` tells."""

    alignment: Float[ndarray, "4 4"] | None
    """Rigid motion that turns the walls along x and y; None where the file has none (test scans)."""
    scene_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An annotated object: its raw label and the segments that make it up."""

    object_id: int
    label: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObjects:
    """Boxed objects of a scene and the object of each point (row + 1, 0: none), as in PreparedScene."""

    instance: Int32[ndarray, "n"]
    boxes: Float32[ndarray, "o 6"]
    box_class: Int32[ndarray, "o"]
    object_id: Int32[ndarray, "o"]


def scene_sources(folder: DataFolder, scene_id: str) -> tuple[Path, ...]:
    """The files a scene is read from, the geometry first; empty where there is no geometry.

    ScanNet's mesh comes before prepared arrays, those before a scan of another origin.
    """
    if folder.mesh(scene_id).is_file():
        files = [folder.mesh(scene_id), folder.info(scene_id), folder.aggregation(scene_id), folder.segments(scene_id)]
        return tuple(path for path in (*files, folder.label_table) if path.is_file())
    arrays = [folder.array(scene_id, name) for name in ARRAY_NAMES]
    if arrays[0].is_file():
        return tuple(path for path in (*arrays, folder.info(scene_id)) if path.is_file())
    foreign = folder.foreign_scan(scene_id)
    return (foreign,) if foreign else ()


def read_aligned(folder: DataFolder, scene_id: str) -> Scan:
    """Geometry of a scene in the aligned frame, all its points, with the triangles where there are some.

    Raises:
        DataError: the scene has no mesh, arrays or other scan; or the file is damaged, or has points that are not
            finite or far off.
    """
    sources = scene_sources(folder, scene_id)
    if not sources:
        raise DataError(
            f"{folder.mesh(scene_id)}: no such file; scene {scene_id} has no mesh and no prepared arrays; "
            "download it, or leave its folder out"
        )
    path = sources[0]
    if path == folder.mesh(scene_id):
        scan = _aligned_mesh(scene_id, read_ply(path), folder.info(scene_id))
    elif path.suffix == ".npy":
        scan = _aligned_array(scene_id, path, folder.info(scene_id))
    else:
        from askscan.data.scan_files import read_scan

        scan = read_scan(path)
        scan = replace(scan, name=scene_id, notes=tuple(f"{scene_id}: {note}" for note in scan.notes))
    num_wrong = int((~(np.abs(scan.mesh.vertices) < MAX_COORDINATE_M)).any(axis=1).sum())
    if num_wrong:
        raise DataError(f"{path}: {num_wrong} points are not finite or kilometres away; export the scan again")
    if len(scan.mesh.vertices) < MIN_POINTS:
        raise DataError(
            f"{path}: {len(scan.mesh.vertices)} points, at least {MIN_POINTS} are needed for a scan; get it again"
        )
    return scan


def read_scene(
    folder: DataFolder, scene_id: str, *, skip_unknown_labels: bool = False
) -> tuple[PreparedScene, tuple[str, ...]]:
    """A whole scene, not thinned, and what was found or assumed on the way (sentences for the user).

    Args:
        folder: The data folder.
        scene_id: A scene with geometry in it.
        skip_unknown_labels: Leave out objects whose raw label is not in the label table, instead of raising.

    Raises:
        DataError: a file is missing or damaged, or files contradict one another.
    """
    scan = read_aligned(folder, scene_id)
    mesh, notes = scan.mesh, list(scan.notes)
    if folder.mesh(scene_id).is_file():
        objects = _objects_of_segments(folder, scene_id, mesh.vertices, skip_unknown_labels, notes)
    elif folder.array(scene_id, "aligned_vert").is_file():
        objects = _objects_of_arrays(folder, scene_id, len(mesh.vertices), notes)
    else:
        objects = _no_objects(len(mesh.vertices))
    normals, info = mesh.normals, read_info(folder.info(scene_id))
    if normals is None and len(mesh.faces):
        normals = vertex_normals(mesh.vertices, mesh.faces)
    scene = PreparedScene(
        scene_id=scene_id,
        xyz=mesh.vertices,
        rgb=mesh.colors,
        normals=None if normals is None else np.rint(normals * 127).astype(np.int8),
        instance=objects.instance,
        boxes=objects.boxes,
        box_class=objects.box_class,
        object_id=objects.object_id,
        scene_type=info.scene_type,
        scan_frame=scan_frame(mesh.vertices, info.alignment),
    )
    return scene, tuple(notes)


# --- geometry ---------------------------------------------------------------------------------------------------


def read_info(path: Path) -> SceneInfo:
    """Read `key = value` lines; a missing file tells nothing.

    Raises:
        DataError: axisAlignment is not a rigid motion of 16 numbers, or the file is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text; copy ScanNet's file again") from error
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    if "axisAlignment" not in values:
        return SceneInfo(alignment=None, scene_type=values.get("sceneType", ""))
    try:
        numbers = np.array([float(word) for word in values["axisAlignment"].split()])
    except ValueError:
        numbers = np.zeros(0)
    if numbers.size != 16 or not _is_rigid(numbers.reshape(4, 4)):
        raise DataError(
            f"{path}: axisAlignment should be a rotation and translation of 16 numbers, row by row; copy it again"
        )
    return SceneInfo(alignment=numbers.reshape(4, 4), scene_type=values.get("sceneType", ""))


def _is_rigid(matrix: ndarray) -> bool:
    rotation = matrix[:3, :3]
    if not (np.abs(matrix) < 1e6).all():
        return False
    return np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2) and np.allclose(matrix[3], (0, 0, 0, 1))


def _rotated(normals: ndarray, rotation: ndarray) -> ndarray:
    return (normals @ rotation.T).astype(np.float32)


def _aligned_mesh(scene_id: str, mesh: Mesh, info_path: Path) -> Scan:
    matrix, notes = read_info(info_path).alignment, []
    if matrix is None:
        notes.append(f"{scene_id}: no axisAlignment in {info_path.name}, the scan is used as it stands")
    else:
        rotation, shift = matrix[:3, :3], matrix[:3, 3]
        with np.errstate(over="ignore", invalid="ignore"):
            vertices = (mesh.vertices @ rotation.T + shift).astype(np.float32)
        normals = None if mesh.normals is None else _rotated(mesh.normals, rotation)
        mesh = replace(mesh, vertices=vertices, normals=normals)
    if mesh.colors is None:
        notes.append(f"{scene_id}: the mesh has no colours")
    return Scan(name=scene_id, mesh=mesh, from_file=np.eye(4) if matrix is None else matrix, notes=tuple(notes))


def _aligned_array(scene_id: str, path: Path, info_path: Path) -> Scan:
    """ScanRefer's `_aligned_vert.npy`: positions are aligned already, normals (where there are some) are not."""
    rows = _read_array(path, "f", 2)
    if rows.shape[1] not in (6, 9):
        raise DataError(f"{path}: expected 9 columns (xyz, rgb, normal), got {rows.shape[1]}; prepare the arrays again")
    normals, notes = None, []
    if rows.shape[1] == 9:
        normals = np.nan_to_num(rows[:, 6:9], posinf=0, neginf=0).clip(-1, 1).astype(np.float32)
        matrix = read_info(info_path).alignment
        if matrix is None:
            notes.append(f"{scene_id}: normals of {path.name} stay unaligned, there is no axisAlignment for them")
        else:
            normals = _rotated(normals, matrix[:3, :3])
    with np.errstate(over="ignore"):
        mesh = Mesh(
            vertices=rows[:, :3].astype(np.float32),
            faces=np.zeros((0, 3), np.int32),
            colors=np.rint(np.nan_to_num(rows[:, 3:6]).clip(0, 255)).astype(np.uint8),
            normals=None if normals is None else normals.clip(-1, 1),
        )
    return Scan(name=scene_id, mesh=mesh, from_file=np.eye(4), notes=tuple(notes))


def scan_frame(aligned: Float32[ndarray, "v 3"], alignment: Float[ndarray, "4 4"] | None) -> Float32[ndarray, "4"]:
    """Middle of the extent along the file's axes, in aligned metres, and the turn about z from these to the aligned.

    Args:
        aligned: All vertices of the scan, aligned.
        alignment: From the file's coordinates to the aligned ones; None: they are the same.
    """
    rotation, shift = (np.eye(3), np.zeros(3)) if alignment is None else (alignment[:3, :3], alignment[:3, 3])
    in_file = (aligned - shift) @ rotation
    middle = rotation @ ((in_file.min(axis=0) + in_file.max(axis=0)) / 2) + shift
    return np.array([*middle, np.arctan2(rotation[1, 0], rotation[0, 0])], np.float32)


# --- objects ----------------------------------------------------------------------------------------------------


def read_aggregation(path: Path) -> tuple[Group, ...]:
    """Annotated objects of `<scene>.aggregation.json`; a repeated objectId (with its label) adds segments.

    Raises:
        DataError: the file is damaged, or one objectId has two labels.
    """
    groups: dict[int, Group] = {}
    for number, value in enumerate(Fields(path, "top", read_json(path, expected=dict)).items("segGroups")):
        entry = Fields(path, f"segGroups {number}", value)
        group = Group(object_id=entry.count("objectId"), label=entry.text("label"), segments=entry.counts("segments"))
        known = groups.get(group.object_id)
        if known and known.label != group.label:
            raise entry.fault(
                "objectId", f"another than {known.object_id}, which is a {known.label:.40}", group.object_id
            )
        groups[group.object_id] = replace(group, segments=known.segments + group.segments) if known else group
    return tuple(groups.values())


def _no_objects(num_points: int) -> SceneObjects:
    none = np.zeros(0, np.int32)
    return SceneObjects(
        instance=np.zeros(num_points, np.int32), boxes=np.zeros((0, 6), np.float32), box_class=none, object_id=none
    )


def _read_segments(path: Path, num_points: int) -> Int[ndarray, "v"]:
    values = Fields(path, "top", read_json(path, expected=dict)).items("segIndices")
    try:
        segments = np.array(values)
    except (ValueError, OverflowError):
        segments = np.zeros(0)
    if segments.dtype.kind != "i" or segments.ndim != 1:
        raise DataError(f"{path}: `segIndices` should be one whole number per vertex; download the file again")
    if len(segments) != num_points:
        raise DataError(
            f"{path}: {len(segments)} segment numbers for {num_points} vertices; download mesh and segments again"
        )
    return segments


def _objects_of_segments(
    folder: DataFolder, scene_id: str, vertices: ndarray, skip_unknown_labels: bool, notes: list[str]
) -> SceneObjects:
    """Objects of aggregation and segments; a box spans all vertices of its segments."""
    aggregation, segments_path = folder.aggregation(scene_id), folder.segments(scene_id)
    if not aggregation.is_file() and not segments_path.is_file():
        notes.append(f"{scene_id}: no aggregation and no segments, the scene has no objects")
        return _no_objects(len(vertices))
    groups = read_aggregation(aggregation)
    segments, segment_of = np.unique(_read_segments(segments_path, len(vertices)), return_inverse=True)
    order = np.argsort(segment_of, kind="stable")
    starts = np.searchsorted(segment_of[order], np.arange(len(segments)))
    low = np.minimum.reduceat(vertices[order], starts)
    high = np.maximum.reduceat(vertices[order], starts)

    classes = _classes(folder, aggregation, groups, skip_unknown_labels, notes)
    row_of_segment = np.zeros(len(segments), np.int32)
    extents, kept_classes, object_ids = [], [], []
    for group, class_index in zip(groups, classes, strict=True):
        mine = np.flatnonzero(np.isin(segments, group.segments))
        row_of_segment[mine] = 0  # a segment of two objects belongs to the later one, whether that has a box or not
        if class_index >= 0 and len(mine):
            extents.append((low[mine].min(axis=0), high[mine].max(axis=0)))
            kept_classes.append(class_index)
            object_ids.append(group.object_id)
            row_of_segment[mine] = len(object_ids)
    corners = np.array(extents, np.float64).reshape(-1, 2, 3)
    boxes = np.concatenate([corners.mean(axis=1), corners[:, 1] - corners[:, 0]], axis=1)
    return SceneObjects(
        instance=row_of_segment[segment_of],
        boxes=boxes.astype(np.float32),
        box_class=np.array(kept_classes, np.int32),
        object_id=np.array(object_ids, np.int32),
    )


def _classes(
    folder: DataFolder, path: Path, groups: tuple[Group, ...], skip_unknown_labels: bool, notes: list[str]
) -> list[int]:
    """Class of each group, -1 for those that get no box."""
    table = read_label_table(folder.label_table)
    unknown = sorted({group.label for group in groups} - table.nyu40_of.keys())
    if unknown and not skip_unknown_labels:
        shown = ", ".join(f"`{label:.40}`" for label in unknown[:5])
        raise DataError(f"{path}: {shown} not in {table.path.name}; mend it, or prepare with --skip-unknown-labels")
    if unknown:
        notes.append(f"{path.name}: objects without a known label left out: {', '.join(unknown)}")
    nyu40 = np.array([table.nyu40_of.get(group.label, 0) for group in groups], np.int64)
    return [int(index) for index in box_class(nyu40)]


def _objects_of_arrays(folder: DataFolder, scene_id: str, num_points: int, notes: list[str]) -> SceneObjects:
    """Objects of `_aligned_bbox.npy`, `_ins_label.npy` (objectId + 1) and `_sem_label.npy` (nyu40 ids)."""
    path = folder.array(scene_id, "aligned_bbox")
    rows = _read_array(path, "f", 2) if path.is_file() else np.zeros((0, 8))
    if rows.shape[1] != 8:
        raise DataError(
            f"{path}: expected 8 columns (centre, size, nyu40 id, objectId), got {rows.shape[1]}; prepare it again"
        )
    rows = rows[(rows != 0).any(axis=1)]  # test scans have one row of zeros
    is_wrong = (~(np.abs(rows) < 2**31)).any(axis=1) | (rows[:, 3:6] < 0).any(axis=1) | (rows[:, 7] < 0)
    if is_wrong.any():
        raise DataError(
            f"{path}: {is_wrong.sum()} boxes have a size, a label or an id that cannot be; prepare it again"
        )
    classes = box_class(rows[:, 6].astype(np.int64))
    rows, classes = rows[classes >= 0], classes[classes >= 0]
    if not len(rows):
        notes.append(f"{scene_id}: no boxes in the prepared arrays, the scene has no objects")
        return _no_objects(num_points)
    labels = []
    for name in ("ins_label", "sem_label"):
        values = _read_array(folder.array(scene_id, name), "iu", 1)
        if len(values) != num_points:
            vertices = folder.array(scene_id, "aligned_vert").name
            raise DataError(
                f"{folder.array(scene_id, name)}: {len(values)} labels for the {num_points} points of {vertices}; "
                "prepare the arrays again"
            )
        labels.append(values)
    row_of = {int(object_id) + 1: row for row, object_id in enumerate(rows[:, 7], start=1)}
    distinct, place = np.unique(labels[0], return_inverse=True)
    instance = np.array([row_of.get(int(label), 0) for label in distinct], np.int32)[place]
    has_box = box_class(labels[1].astype(np.int64)) >= 0
    return SceneObjects(
        instance=np.where(has_box, instance, np.int32(0)),
        boxes=rows[:, :6].astype(np.float32),
        box_class=classes,
        object_id=rows[:, 7].astype(np.int32),
    )


def _read_array(path: Path, kinds: str, num_axes: int) -> ndarray:
    """A .npy array without pickled objects; mapped, so that a forged shape allocates nothing."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; put the other prepared arrays of the scene beside it") from error
    except Exception as error:  # numpy's header parser lets half a dozen kinds of errors through
        raise DataError(f"{path}: not a readable .npy array; prepare it again") from error
    if not isinstance(array, ndarray) or array.dtype.kind not in kinds or array.ndim != num_axes:
        shown = f"{array.dtype} {array.shape}" if isinstance(array, ndarray) else "an archive"
        raise DataError(f"{path}: expected numbers along {num_axes} axes (kind {kinds}), got {shown}; prepare it again")
    return np.array(array)
