"""Prepared scenes on disk: one safetensors file each, with what it was made from, so that a stale file is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy import ndarray

from askscan.errors import DataError
from askscan.files import replacing
from askscan.records import PreparedScene
from askscan.shapes import NUM_CLASSES

FORMAT = "askscan scene 2"
"""Changes whenever the content or its meaning changes; files of another format are prepared again.

It is the only metadata key, with everything that is no array as JSON: safetensors writes several keys in random order.
"""

_ABOUT = ("scene_id", "scene_type", "identity", "notes")

_ROWS = {"xyz": "n", "rgb": "n", "normals": "n", "instance": "n", "boxes": "o", "box_class": "o", "object_id": "o"}
_ROWS |= {"scan_frame": "4"}
_COLUMNS = {"xyz": 3, "rgb": 3, "normals": 3, "boxes": 6}
_DTYPES = {"xyz": "float32", "rgb": "uint8", "normals": "int8", "boxes": "float32", "scan_frame": "float32"}
_OPTIONAL = ("rgb", "normals", "scan_frame")


def save_prepared(path: Path, scene: PreparedScene, *, identity: str = "", notes: tuple[str, ...] = ()) -> None:
    """Write a scene.

    Args:
        path: Where to; replaced as a whole.
        scene: What to write.
        identity: Names the sources and options that the scene was made from.
        notes: What was found or assumed in making it.

    Raises:
        DataError: the place cannot be written to.
    """
    from safetensors.numpy import save

    arrays = {name: getattr(scene, name) for name in _ROWS}
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    about = {"scene_id": scene.scene_id, "scene_type": scene.scene_type, "identity": identity}
    about["notes"] = "\n".join(notes)
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, {FORMAT: json.dumps(about)}))


def load_prepared(path: Path) -> PreparedScene:
    """Read and verify a scene.

    Raises:
        DataError: the file is missing, damaged, of another format, or its parts contradict one another.
    """
    about, tensors = _read(path, with_tensors=True)
    wrong = _fault(tensors)
    if wrong:
        raise _damaged(path, wrong)
    arrays = {name: tensors.get(name) for name in _ROWS}
    return PreparedScene(scene_id=about["scene_id"], scene_type=about["scene_type"], **arrays)  # type: ignore[arg-type]


def read_about(path: Path) -> dict[str, str]:
    """scene_id, scene_type, identity and notes (one a line) of a prepared file; its length is verified.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return _read(path, with_tensors=False)[0]


def _damaged(path: Path, what: object) -> DataError:
    return DataError(f"{path}: not a prepared scene ({what!s:.160}); delete it and run `askscan prepare` again")


def _read(path: Path, *, with_tensors: bool) -> tuple[dict[str, str], dict[str, ndarray]]:
    from safetensors import safe_open

    if not path.is_file():
        raise DataError(f"{path}: no such file; run `askscan prepare` on the data folder")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get(FORMAT, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except Exception as error:  # safetensors lets several kinds of errors through on damaged files
        raise _damaged(path, error) from error
    if not isinstance(about, dict) or any(not isinstance(about.get(key), str) for key in _ABOUT):
        raise _damaged(path, f"expected the format `{FORMAT}`")
    return about, tensors


def _fault(tensors: dict[str, ndarray]) -> str:
    """What is wrong with the arrays of a file; empty where nothing is."""
    counts = {"4": 4}
    for name, rows in _ROWS.items():
        if name not in tensors:
            if name in _OPTIONAL:
                continue
            return f"no `{name}`"
        array = tensors[name]
        shape = (
            counts.setdefault(rows, len(array) if array.ndim else -1),
            *((_COLUMNS[name],) if name in _COLUMNS else ()),
        )
        if array.shape != shape or array.dtype != _DTYPES.get(name, "int32"):
            return f"`{name}` is {array.dtype} {array.shape}"
    measured = (tensors[name] for name in ("xyz", "boxes", "scan_frame") if name in tensors)
    if not all(np.isfinite(array).all() for array in measured):
        return "coordinates that are not finite"
    if not _within(tensors["instance"], counts["o"] + 1) or not _within(tensors["box_class"], NUM_CLASSES):
        return "an object or class number out of range"
    return ""


def _within(values: ndarray, end: int) -> bool:
    return bool(((values >= 0) & (values < end)).all())
