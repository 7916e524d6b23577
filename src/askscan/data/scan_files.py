"""Scans from anywhere: PLY, OBJ, GLB, glTF and PCD files become metres, z up, walls along the axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from askscan.data.alignment import USUAL_UP, Unit, Up, find_alignment
from askscan.data.meshes import thin_mesh, transform_mesh
from askscan.errors import DataError
from askscan.geometry.meshes import keep_vertices
from askscan.records import Mesh, Scan

SUFFIXES = (".ply", ".obj", ".glb", ".gltf", ".pcd")
"""Files that `read_scan` reads."""

GLTF_UP = MappingProxyType({"y": 1.0, "z": 0.4})
"""glTF says that y is up, but some exporters do not care; see `alignment.find_up`."""

DEPTH_FRAME_UP = MappingProxyType({"-y": 2.0})
"""Depth cameras look along z with y down, and their walls look like floors."""

MAX_POINTS = 1_000_000
MIN_POINTS = 100
TEXTURE_EDGE_M = 0.03
"""Textured triangles are divided until their edges are no longer than this."""

NO_EXTENT, MAX_EXTENT = 1e-9, 1e12
"""Units of the file."""

STRAY_REACH = 20.0
"""Points farther from the rest than this many times its size are no part of the scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBox:
    """A box in the axes and units of the user's file."""

    center: Float[ndarray, "3"]
    size: Float[ndarray, "3"]
    """Extent along the file's axes of the box, which may be turned against them."""
    corners: Float[ndarray, "8 3"]
    """The exact corners, in the order in which they were given."""


def read_scan(
    path: str | Path, *, up: Up = "auto", unit: Unit | float = "auto", align_walls: bool = True,
    max_points: int = MAX_POINTS,
) -> Scan:  # fmt: skip
    """Read a scan of a room and bring it into the frame that the models work in.

    What was found or assumed (up axis, unit, walls, missing colours, a partial view) is said in `Scan.notes`.

    Args:
        path: a PLY, OBJ, GLB, glTF or PCD file; triangles or points only, with or without colours.
        up: the file's axis that points up; `auto` finds it.
        unit: the file's unit, or metres per unit; `auto` finds m, cm or mm.
        align_walls: turn the scan about z until its walls run along the axes (modulo a quarter turn).
        max_points: larger scans are thinned to this many vertices.

    Raises:
        DataError: the file is missing, damaged, of another format, or holds no scan.
        ConfigError: `up` or `unit` is none of the accepted values.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: scans are read from {', '.join(SUFFIXES)} files, not {suffix or 'files without a suffix'}; "
            "export it as one of these"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file; check its name")
    try:
        return _read(path, suffix, up, unit, align_walls, max_points)
    except MemoryError as error:
        raise DataError(f"{path}: it needs more memory than there is; thin it first") from error


def align_scan(
    mesh: Mesh, name: str, *, up: Up = "auto", unit: Unit | float = "auto", align_walls: bool = True
) -> Scan:
    """Bring a mesh that is already in memory into the frame that the models work in; see `read_scan`."""
    alignment = find_alignment(mesh, up=up, unit=unit, align_walls=align_walls)
    aligned = transform_mesh(mesh, alignment.matrix)
    return Scan(name=name, mesh=aligned, from_file=alignment.matrix, notes=alignment.notes)


def box_to_file(scan: Scan, corners: Float[ndarray, "8 3"]) -> FileBox:
    """A box of the aligned frame, in the axes and units of the user's file."""
    inverse = np.linalg.inv(scan.from_file)
    moved = corners.astype(np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = moved.min(axis=0), moved.max(axis=0)
    return FileBox(center=(low + high) / 2, size=high - low, corners=moved)


def _read(path: Path, suffix: str, up: Up, unit: Unit | float, align_walls: bool, max_points: int) -> Scan:
    textured = suffix in (".obj", ".glb", ".gltf")
    usual_up: Mapping[str, float] = GLTF_UP if suffix in (".glb", ".gltf") else USUAL_UP
    notes: list[str] = []
    if textured:
        from askscan.data.textured import bake, merge, read_parts, without_triangles_of

        parts = read_parts(path)
        notes += [note for part in parts for note in part.notes]
        whole = merge(parts)
        mesh, _ = _finite(path, whole, min_points=3)  # textures may show more than corners
        parts = without_triangles_of(parts, ~(np.isfinite(whole.vertices).all(axis=1) & _near_the_others(whole)))
    else:
        mesh, one_frame = _read_points(path, suffix)
        if one_frame:
            notes.append("The file is a single depth frame: what it did not see is unknown.")
            usual_up = DEPTH_FRAME_UP
        mesh, finite_notes = _finite(path, mesh)
        mesh, cell = thin_mesh(mesh, max_points)
    alignment = find_alignment(mesh, up=up, unit=unit, align_walls=align_walls, usual_up=usual_up)
    scale = float(np.cbrt(np.linalg.det(alignment.matrix[:3, :3])))
    if textured:
        # Only now is it known how large a triangle is.
        mesh, finite_notes = _finite(path, bake(parts, TEXTURE_EDGE_M / scale, max_points))
        mesh, cell = thin_mesh(mesh, max_points)
    notes += [*finite_notes, *alignment.notes]
    if cell:
        notes.append(f"The scan was thinned to {len(mesh.vertices)} points, one every {100 * cell * scale:.1f} cm.")
    if mesh.colors is None:
        notes.append("The scan has no colours: it is asked and drawn in grey.")
    aligned = transform_mesh(mesh, alignment.matrix)
    return Scan(name=path.stem, mesh=aligned, from_file=alignment.matrix, notes=tuple(notes))


def _read_points(path: Path, suffix: str) -> tuple[Mesh, bool]:
    """The file's mesh or points, and whether they are a single depth frame."""
    if suffix == ".pcd":
        from askscan.data.pcd import read_pcd

        return read_pcd(path)
    from askscan.data.ply import read_ply

    return read_ply(path), False


def _finite(path: Path, mesh: Mesh, min_points: int = MIN_POINTS) -> tuple[Mesh, list[str]]:
    """Drop vertices that are nowhere or far from all others, and refuse what cannot be a scan."""
    finite = np.isfinite(mesh.vertices).all(axis=1)
    notes = []
    if not finite.all():
        count = f"{len(finite) - int(finite.sum())} of {len(finite)} points"
        if not finite.any() or path.suffix.lower() != ".pcd":
            raise DataError(f"{path}: {count} have NaN or infinite coordinates; remove them, or export it again")
        notes.append(f"{count} without coordinates were left out.")  # a PCD keeps a place for what was not seen
        mesh = keep_vertices(mesh, finite)
    near = _near_the_others(mesh)
    if not near.all():
        notes.append(f"{len(near) - int(near.sum())} points far away from all others were left out.")
        mesh = keep_vertices(mesh, near)
    if len(mesh.vertices) < min_points:
        raise DataError(f"{path}: only {len(mesh.vertices)} points; a scan of a room has at least {min_points}")
    extent = np.sort(np.ptp(mesh.vertices.astype(np.float64), axis=0))
    if extent[1] <= NO_EXTENT or extent[2] > MAX_EXTENT:
        what = "on one line or at one place" if extent[1] <= NO_EXTENT else f"{extent[2]:.3g} units apart"
        raise DataError(f"{path}: its points are {what}; a scan of a room is expected")
    return mesh, notes


def _near_the_others(mesh: Mesh) -> Bool[ndarray, "v"]:
    """False for the few points that lie many times the scan's size away from it."""
    if len(mesh.vertices) < MIN_POINTS:
        return np.ones(len(mesh.vertices), dtype=bool)
    sample = mesh.vertices[:: max(1, len(mesh.vertices) // 200_000)].astype(np.float64)
    low, high = np.percentile(sample[np.isfinite(sample).all(axis=1)], [2, 98], axis=0)
    reach = STRAY_REACH * float((high - low).max())
    inside = (mesh.vertices >= low - reach) & (mesh.vertices <= high + reach)
    return np.asarray(inside.all(axis=1))
