"""PLY files, read with one numpy call per element where rows are alike, and written as ScanNet writes them."""

from __future__ import annotations

import os
import re
import struct
import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy import ndarray

from askscan.errors import DataError
from askscan.files import replacing
from askscan.records import Mesh

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"},
}
_STRUCT = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f8": "d"}
_SIZES = {kind: np.dtype(kind).itemsize for kind in _TYPES.values()}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_MAX_HEADER_LINES = 1000
_MAX_LINE = 4096
_FACE_LISTS = ("vertex_indices", "vertex_index")
_COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Property:
    name: str
    kind: str
    """numpy type of the value, or of the list's items."""
    count_kind: str
    """numpy type of a list's length; empty for a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]

    @property
    def min_row_bytes(self) -> int:
        """Bytes of a row when all its lists are empty."""
        return sum(np.dtype(p.count_kind or p.kind).itemsize for p in self.properties)


@dataclass(frozen=True, slots=True)
class _Lists:
    """A list property: all items in one array, and how many of them each row has."""

    items: ndarray
    lengths: ndarray


_Columns = dict[str, "ndarray | _Lists"]


def read_ply(path: Path) -> Mesh:
    """Read a mesh or a point cloud: ascii or binary of either byte order, scalars of any width, polygons of any size.

    Polygons become fans of triangles; alpha and unknown properties and elements are left out; colours become 8 bits,
    normals unit length. Points that are not finite are kept: the caller decides.

    Raises:
        DataError: the file is missing, is no PLY, is cut off, has no points, or a face names a point that is not there.
    """
    try:
        with path.open("rb") as file:
            order, elements = _read_header(path, file)
            data = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a PLY file") from error
    if not order:
        data, elements = _as_numbers(path, data, elements)
    columns: dict[str, _Columns] = {}
    at = 0
    last = max((i for i, element in enumerate(elements) if element.name in ("vertex", "face")), default=-1)
    for element in elements[: last + 1]:
        columns[element.name], at = _read_rows(path, data, at, element, order)
    if "vertex" not in columns:
        raise DataError(
            f"{path}: the PLY header names no element `vertex`; there are no points in it, export the scan again"
        )
    return _mesh(path, columns["vertex"], columns.get("face", {}))


def count_points(path: Path) -> int:
    """Number of vertices by the header; raises DataError where the file is no PLY or too short for them."""
    try:
        with path.open("rb") as file:
            order, elements = _read_header(path, file)
            size = os.fstat(file.fileno()).st_size - file.tell()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a PLY file") from error
    for element in elements:
        _check_size(path, element, size if order else size * 8)  # an ascii value has at least one of its 8 bytes
    return next((element.count for element in elements if element.name == "vertex"), 0)


def write_ply(path: Path, mesh: Mesh, comments: Sequence[str] = ()) -> None:
    """Write a mesh as ScanNet does: binary little endian, x y z, normals where known, colours with alpha, triangles.

    Args:
        path: Is replaced.
        mesh: What is written.
        comments: Lines for the header, ASCII.
    """
    fields: list[tuple[str, str, ndarray]] = [(n, "<f4", mesh.vertices[:, i]) for i, n in enumerate(("x", "y", "z"))]
    if mesh.normals is not None:
        fields += [(n, "<f4", mesh.normals[:, i]) for i, n in enumerate(("nx", "ny", "nz"))]
    if mesh.colors is not None:
        fields += [(n, "u1", mesh.colors[:, i]) for i, n in enumerate(("red", "green", "blue"))]
        fields.append(("alpha", "u1", np.full(len(mesh.vertices), 255, np.uint8)))
    rows = np.empty(len(mesh.vertices), [(name, kind) for name, kind, _ in fields])
    for name, _, values in fields:
        rows[name] = values
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("vertex_indices", "<i4", 3)])
    faces["count"], faces["vertex_indices"] = 3, mesh.faces
    properties = [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind, _ in fields]
    header = [
        *("ply", "format binary_little_endian 1.0", *(f"comment {text}" for text in comments)),
        *(f"element vertex {len(rows)}", *properties),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""),
    ]
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode("ascii"))
        rows.tofile(file)
        faces.tofile(file)


# --- header -----------------------------------------------------------------------------------------------------


def _read_header(path: Path, file: BinaryIO) -> tuple[str, tuple[_Element, ...]]:
    """Byte order (empty: ascii) and elements; the file stands at the first byte after the header."""
    if file.readline(_MAX_LINE).strip() != b"ply":
        what = "is empty" if path.stat().st_size == 0 else "does not begin with the line `ply`"
        raise DataError(f"{path}: not a PLY file (it {what}); give a PLY file")
    order: str | None = None
    elements: list[tuple[str, int, list[_Property]]] = []
    for _ in range(_MAX_HEADER_LINES):
        line = file.readline(_MAX_LINE)
        words = line.decode("ascii", errors="replace").split()
        match words:
            case ["end_header"] if order is not None:
                return order, tuple(_element(path, *element) for element in elements)
            case ["format", str(name), *_] if name in _ORDERS:
                order = _ORDERS[name]
            case ["element", str(name), str(count)] if re.fullmatch("[0-9]{1,18}", count):
                elements.append((name, int(count), []))
            case ["property", "list", str(count_kind), str(kind), str(name)] if (
                elements and kind in _TYPES and _TYPES.get(count_kind, "f")[0] != "f"
            ):
                elements[-1][2].append(_Property(name=name, kind=_TYPES[kind], count_kind=_TYPES[count_kind]))
            case ["property", str(kind), str(name)] if elements and kind in _TYPES:
                elements[-1][2].append(_Property(name=name, kind=_TYPES[kind], count_kind=""))
            case ["comment" | "obj_info", *_]:
                pass
            case [] if line:
                pass
            case _:
                shown = ascii(" ".join(words))[:60] if line else "the end of the file"
                raise DataError(f"{path}: the PLY header is damaged at {shown}; export the scan again")
    raise DataError(f"{path}: the PLY header has no end within {_MAX_HEADER_LINES} lines; export the scan again")


def _element(path: Path, name: str, count: int, properties: list[_Property]) -> _Element:
    names = [p.name for p in properties]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: element `{name}` of the PLY header names a property twice; export the scan again")
    return _Element(name=name, count=count, properties=tuple(properties))


# --- rows -------------------------------------------------------------------------------------------------------


def _as_numbers(path: Path, text: bytes, elements: tuple[_Element, ...]) -> tuple[bytes, tuple[_Element, ...]]:
    """An ascii body as a binary one in which every value, lengths included, is a float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how older numpy tells of text that is no number
        try:
            numbers = np.fromstring(text, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise DataError(f"{path}: the ascii PLY holds something that is no number; export it again") from error
    as_float = [[replace(p, kind="f8", count_kind=p.count_kind and "f8") for p in e.properties] for e in elements]
    return numbers.tobytes(), tuple(replace(e, properties=tuple(p)) for e, p in zip(elements, as_float, strict=True))


def _check_size(path: Path, element: _Element, size: int) -> None:
    """Refuse a forged or cut-off count before anything of that size is allocated."""
    least = element.count * element.min_row_bytes
    if least > size:
        what = f"{element.count} rows of element `{element.name}`"
        raise DataError(f"{path}: cut off: {what} need at least {least} bytes, {size} are left; copy the file again")


def _read_rows(path: Path, data: bytes, at: int, element: _Element, order: str) -> tuple[_Columns, int]:
    """Columns of the element that begins at byte `at`, and where it ends.

    Lists that are as long in all rows as in the first (triangles) are read as one fixed record.
    """
    _check_size(path, element, len(data) - at)
    if not element.count or not element.properties:
        return {}, at
    first = array("q")
    _places(path, data, at, element, order, first)
    lengths = first[1::2].tolist()
    fields: list[tuple] = []
    for number, (p, length) in enumerate(zip(element.properties, lengths, strict=True)):
        if p.count_kind:
            fields += [(f"#{number}", order + p.count_kind), (p.name, order + p.kind, (length,))]
        else:
            fields.append((p.name, order + p.kind))
    record = np.dtype(fields)
    if at + record.itemsize * element.count > len(data):
        return _walk_rows(path, data, at, element, order)
    rows = np.frombuffer(data, record, element.count, at)
    is_list = [bool(p.count_kind) for p in element.properties]
    if not all((rows[f"#{i}"] == n).all() for i, n in enumerate(lengths) if is_list[i]):
        return _walk_rows(path, data, at, element, order)
    columns: _Columns = {
        p.name: _Lists(rows[p.name].reshape(-1), np.broadcast_to(length, len(rows))) if listed else rows[p.name]
        for p, length, listed in zip(element.properties, lengths, is_list, strict=True)
    }
    return columns, at + record.itemsize * element.count


def _places(path: Path, data: bytes, at: int, element: _Element, order: str, places: array[int]) -> int:
    """Add to `places`, for each property of the row at byte `at`, where its values begin and how many there are.

    Returns:
        The byte after the row.
    """
    for p in element.properties:
        length = 1
        if p.count_kind:
            count = struct.Struct((order or "=") + _STRUCT[p.count_kind])
            if at + count.size > len(data):
                raise DataError(f"{path}: cut off in the rows of element `{element.name}`; copy the file again")
            length = count.unpack_from(data, at)[0]
            at += count.size
        size = _SIZES[p.kind]
        if not 0 <= length * size <= min(len(data) - at, 1 << 30) or length != int(length):
            raise DataError(f"{path}: cut off or damaged in the rows of element `{element.name}`; copy the file again")
        places.extend((at, int(length)))
        at += int(length) * size
    return at


def _walk_rows(path: Path, data: bytes, at: int, element: _Element, order: str) -> tuple[_Columns, int]:
    """Row by row: lists of different lengths, as in meshes with triangles and quads."""
    places = array("q")
    for _ in range(element.count):
        at = _places(path, data, at, element, order, places)
    table = np.frombuffer(places, np.int64).reshape(element.count, len(element.properties), 2)
    raw = np.frombuffer(data, np.uint8)
    columns: _Columns = {}
    for column, p in enumerate(element.properties):
        starts, lengths = table[:, column, 0], table[:, column, 1]
        begins = np.repeat(starts, lengths) + _SIZES[p.kind] * _ranges(lengths)
        items = raw[begins[:, None] + np.arange(_SIZES[p.kind])].view(order + p.kind)[:, 0]
        columns[p.name] = _Lists(items, lengths) if p.count_kind else items
    return columns, at


def _ranges(lengths: ndarray) -> ndarray:
    """0 1 .. for each length, one after the other: (2, 3) -> 0 1 0 1 2."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


# --- columns to mesh --------------------------------------------------------------------------------------------


def _mesh(path: Path, vertex: _Columns, face: _Columns) -> Mesh:
    vertices = _stack(vertex, ("x", "y", "z"))
    if vertices is None or not len(vertices):
        raise DataError(f"{path}: the PLY has no points with x, y and z; export the scan again")
    normals = _stack(vertex, ("nx", "ny", "nz"))
    if normals is not None:
        with np.errstate(all="ignore"):
            length = np.linalg.norm(normals, axis=1, keepdims=True)
            normals = np.where((length > 0) & np.isfinite(length), normals / length, 0).astype(np.float32)
    return Mesh(
        vertices=vertices,
        faces=_triangles(path, face, len(vertices)),
        colors=next((c for c in (_colors(vertex, names) for names in _COLORS) if c is not None), None),
        normals=normals,
    )


def _scalars(columns: _Columns, names: tuple[str, ...]) -> list[ndarray] | None:
    found = [columns.get(name) for name in names]
    arrays = [column for column in found if isinstance(column, ndarray)]
    return arrays if len(arrays) == len(names) else None


def _stack(columns: _Columns, names: tuple[str, ...]) -> ndarray | None:
    found = _scalars(columns, names)
    if found is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack(found, axis=1, dtype=np.float32, casting="unsafe")


def _colors(columns: _Columns, names: tuple[str, ...]) -> ndarray | None:
    """8-bit colours; floats up to 1 and 16-bit integers are scaled."""
    found = _scalars(columns, names)
    if found is None:
        return None
    if all(column.dtype == np.uint8 for column in found):
        return np.stack(found, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.nan_to_num(np.stack(found, axis=1, dtype=np.float64, casting="unsafe"))
    top = values.max(initial=0)
    is_whole = all(column.dtype.kind in "iu" for column in found)
    scale = 1 / 257 if 255 < top <= 65535 else 255 if top <= 1 and not is_whole else 1
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)


def _triangles(path: Path, face: _Columns, num_vertices: int) -> ndarray:
    lists = next((face[name] for name in _FACE_LISTS if name in face), None)
    if not isinstance(lists, _Lists) or not len(lists.items):
        return np.zeros((0, 3), np.int32)
    items = lists.items
    low, high = items.min(), items.max()
    if not (low >= 0 and high < num_vertices):
        wrong = high if low >= 0 else low
        raise DataError(f"{path}: a face names vertex {wrong:g}, there are {num_vertices}; export the scan again")
    if (lists.lengths == 3).all():
        return items.reshape(-1, 3).astype(np.int32, copy=False)
    return _fans(items.astype(np.int32), lists.lengths)


def _fans(items: ndarray, lengths: ndarray) -> ndarray:
    """Triangles 0 1 2, 0 2 3, ... of each polygon; lists of fewer than three vertices give none."""
    starts = np.cumsum(lengths) - lengths
    num_triangles = np.maximum(lengths - 2, 0)
    first = np.repeat(starts, num_triangles)
    second = first + 1 + _ranges(num_triangles)
    return np.stack([items[first], items[second], items[second + 1]], axis=1)
