"""Reader of Point Cloud Library files (PCD): ascii, binary and binary_compressed (LZF)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from askscan.errors import DataError
from askscan.records import Mesh

_KINDS = {"F": "f", "I": "i", "U": "u"}
_MAX_HEADER = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    dtype: np.dtype
    num_points: int
    num_rows: int
    encoding: str
    offset: int


def read_pcd(path: Path) -> tuple[Mesh, bool]:
    """Read the points of a PCD file.

    Returns:
        The points with colours (rgb, rgba or r, g, b) and normals if there are any, and whether they are one depth
        frame (a grid of more than one row).

    Raises:
        DataError: the file is missing, is no PCD, is truncated, or has no x, y, z.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a PCD file") from error
    try:
        header = _parse_header(data)
        table = _read_table(data, header)
        return _to_mesh(table), header.num_rows > 1
    except (ValueError, KeyError, IndexError, OverflowError, TypeError) as error:
        raise DataError(f"{path}: not a readable PCD file ({error}); export it again, or as PLY") from error


def _parse_header(data: bytes) -> _Header:
    fields: dict[str, list[str]] = {}
    offset = 0
    while "DATA" not in fields:
        end = data.find(b"\n", offset, offset + _MAX_HEADER)
        if end < 0:
            raise ValueError("its header ends before the DATA line")
        words = data[offset:end].decode("ascii", errors="replace").split()
        offset = end + 1
        if words and not words[0].startswith("#"):
            fields[words[0]] = words[1:]
    missing = [key for key in ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT") if not fields.get(key)]
    if missing or not fields["DATA"]:
        raise ValueError(f"its header has no {', '.join(missing) or 'encoding'}")
    names = fields["FIELDS"]
    counts = [int(count) for count in fields.get("COUNT", ["1"] * len(names))]
    if not len(names) == len(counts) == len(fields["SIZE"]) == len(fields["TYPE"]):
        raise ValueError("FIELDS, SIZE, TYPE and COUNT have different lengths")
    if any(count < 1 or count > 100_000 for count in counts):
        raise ValueError("a COUNT is not between 1 and 100,000")
    columns = []
    for i, (name, size, kind, count) in enumerate(zip(names, fields["SIZE"], fields["TYPE"], counts, strict=True)):
        # Padding fields all have the name "_".
        unique = f"_{i}" if name == "_" else name
        columns.append((unique, f"<{_KINDS[kind]}{int(size)}", (count,)))
    width, height = int(fields["WIDTH"][0]), int(fields["HEIGHT"][0])
    if width < 0 or height < 0:
        raise ValueError("WIDTH or HEIGHT is negative")
    return _Header(
        dtype=np.dtype(columns), num_points=width * height, num_rows=height, encoding=fields["DATA"][0], offset=offset
    )


def _read_table(data: bytes, header: _Header) -> dict[str, ndarray]:
    """Columns by name, each (n,) or (n, count)."""
    body = memoryview(data)[header.offset :]
    if header.encoding == "ascii":
        return _read_ascii(bytes(body), header)
    size = header.num_points * header.dtype.itemsize
    if header.encoding == "binary":
        if len(body) < size:
            raise ValueError(f"it is truncated: {header.num_points} points need {size} bytes, {len(body)} are there")
        table = np.frombuffer(body[:size], dtype=header.dtype)
        return {name: table[name][:, 0] for name in header.dtype.names or ()}
    if header.encoding == "binary_compressed":
        if len(body) < 8:
            raise ValueError("it is truncated before its compressed data")
        packed, unpacked = (int(n) for n in np.frombuffer(body[:8], dtype="<u4"))
        if len(body) - 8 < packed or unpacked != size:
            raise ValueError(f"it is truncated or its {header.num_points} points do not match {unpacked} packed bytes")
        return _split_columns(lzf_decompress(body[8 : 8 + packed], unpacked), header)
    raise ValueError(f"its encoding {header.encoding!r} is none of ascii, binary, binary_compressed")


def _split_columns(plain: UInt8[ndarray, "n"], header: _Header) -> dict[str, ndarray]:
    """Compressed files hold one field after the other, not one point after the other."""
    columns, start = {}, 0
    for name in header.dtype.names or ():
        field = header.dtype[name]
        end = start + header.num_points * field.itemsize
        columns[name] = plain[start:end].view(field.base).reshape(header.num_points, -1)[:, 0]
        start = end
    return columns


def _read_ascii(body: bytes, header: _Header) -> dict[str, ndarray]:
    widths = [int(np.prod(header.dtype[name].shape)) for name in header.dtype.names or ()]
    values = np.array(body.split(), dtype=np.float64)
    if len(values) < header.num_points * sum(widths):
        raise ValueError(f"it is truncated: {header.num_points} points need {header.num_points * sum(widths)} numbers")
    rows = values[: header.num_points * sum(widths)].reshape(header.num_points, sum(widths))
    starts = np.cumsum([0, *widths[:-1]])
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            name: rows[:, start].astype(header.dtype[name].base)
            for name, start in zip(header.dtype.names or (), starts, strict=True)
        }


def lzf_decompress(packed: memoryview | bytes, size: int) -> UInt8[ndarray, "n"]:
    """Unpack LibLZF data: runs of up to 32 literal bytes and references of 3 to 264 bytes into the last 8 KiB.

    Raises:
        ValueError: the data is damaged or does not unpack to `size` bytes.
    """
    source, out, i = bytes(packed), bytearray(), 0
    end = len(source)
    while i < end:
        control = source[i]
        i += 1
        if control < 32:
            out += source[i : i + control + 1]
            i += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += source[i]
            i += 1
        start = len(out) - ((control & 31) << 8) - source[i] - 1
        i += 1
        length += 2
        if start < 0 or len(out) > size:
            raise ValueError("its compressed data is damaged")
        piece = out[start : start + length]
        # A reference may reach into what it writes: the piece repeats.
        out += piece if len(piece) == length else (piece * (length // len(piece) + 1))[:length]
    if len(out) != size:
        raise ValueError(f"its compressed data unpacks to {len(out)} bytes instead of {size}")
    return np.frombuffer(bytes(out), dtype=np.uint8)


def _to_mesh(table: dict[str, ndarray]) -> Mesh:
    if not {"x", "y", "z"} <= table.keys():
        raise ValueError(f"it has no x, y, z among its fields {', '.join(table)}")
    xyz = np.stack([table[axis] for axis in "xyz"], axis=1).astype(np.float32)
    normals = None
    if {"normal_x", "normal_y", "normal_z"} <= table.keys():
        normals = np.stack([table[f"normal_{axis}"] for axis in "xyz"], axis=1).astype(np.float32)
    return Mesh(vertices=xyz, faces=np.zeros((0, 3), np.int32), colors=_colors(table), normals=normals)


def _colors(table: dict[str, ndarray]) -> UInt8[ndarray, "n 3"] | None:
    for name in ("rgb", "rgba"):
        if name in table:
            column = np.ascontiguousarray(table[name])
            if column.dtype.itemsize != 4:
                raise ValueError(f"its field {name} has {column.dtype.itemsize} bytes instead of 4")
            if column.dtype.kind == "f" and np.nanmax(column, initial=0.0) > 1.0:
                column = np.nan_to_num(column).astype(np.uint32)  # some write the number instead of its bits
            # The bytes blue, green, red, alpha, whether they are declared as a float or as an integer.
            return np.ascontiguousarray(column.view(np.uint8).reshape(-1, 4)[:, 2::-1])
    if {"r", "g", "b"} <= table.keys():
        columns = np.stack([table[name].astype(np.float64) for name in "rgb"], axis=1)
        scale = 255.0 if table["r"].dtype.kind == "f" and np.nanmax(columns, initial=0.0) <= 1.0 else 1.0
        return np.clip(np.nan_to_num(columns) * scale, 0, 255).astype(np.uint8)
    return None
