from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from askscan.data.scan_files import read_scan
from askscan.data.textured import bake, merge, read_parts
from askscan.errors import DataError

CHECKS = 8
"""Squares per side of the checkered texture."""


def checkered(pixels: int = 256) -> Image.Image:
    """Red and blue squares; the one at u = v = 0 (lower left) is red."""
    row, column = np.indices((pixels, pixels)) * CHECKS // pixels
    red = (row + column) % 2 == 1  # rows count from the top, and CHECKS is even
    return Image.fromarray(np.where(red[..., None], [220, 0, 0], [0, 0, 220]).astype(np.uint8))


def textured_floor(width: float) -> trimesh.Trimesh:
    """Two large triangles in the plane z = 0 with a checkered texture."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    visual = trimesh.visual.TextureVisuals(
        uv=corners, material=trimesh.visual.material.PBRMaterial(baseColorTexture=checkered())
    )
    vertices = np.column_stack([corners * width, np.zeros(4)])
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


def write_glb(path: Path, *geometries: trimesh.Trimesh, move: tuple[float, ...] = (0, 0, 0)) -> Path:
    scene = trimesh.Scene()
    for geometry in geometries:
        scene.add_geometry(geometry, transform=trimesh.transformations.translation_matrix(move))
    path.write_bytes(scene.export(file_type="glb"))
    return path


def test_texture_detail_survives_on_large_triangles(tmp_path: Path) -> None:
    parts = read_parts(write_glb(tmp_path / "a.glb", textured_floor(4.0), move=(1.0, 2.0, 3.0)))
    mesh = bake(parts, 0.05, 1_000_000)
    edges = mesh.vertices[mesh.faces] - mesh.vertices[np.roll(mesh.faces, 1, axis=1)]
    assert np.linalg.norm(edges, axis=2).max() <= 0.05 and mesh.colors is not None
    place = (mesh.vertices[:, :2].astype(float) - [1.0, 2.0]) / 4.0 * CHECKS
    inside = (np.abs(place % 1 - 0.5) < 0.3).all(axis=1)
    red = np.floor(place).sum(axis=1) % 2 == 0
    expected = np.where(red[:, None], [220, 0, 0], [0, 0, 220])
    assert inside.sum() > 1000
    np.testing.assert_array_equal(mesh.colors[inside], expected[inside])
    assert merge(parts).vertices.shape == (4, 3)


def test_division_leaves_no_gaps_and_respects_its_limit(tmp_path: Path) -> None:
    parts = read_parts(write_glb(tmp_path / "a.glb", textured_floor(4.0)))
    mesh = bake(parts, 0.1, 1_000_000)
    corners = mesh.vertices[mesh.faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(16.0, rel=1e-4)
    assert len(np.unique(mesh.vertices.round(5), axis=0)) == len(mesh.vertices), "corners are shared"
    assert len(bake(parts, 0.001, 20_000).faces) <= 20_000


def test_parts_with_and_without_colours_are_joined(tmp_path: Path) -> None:
    painted = trimesh.creation.box()
    painted.visual.vertex_colors = [10, 20, 30, 255]
    plain = trimesh.creation.box()
    mesh = bake(read_parts(write_glb(tmp_path / "a.glb", painted, plain, textured_floor(1.0))), 0.1, 100_000)
    assert mesh.colors is not None
    assert {(10, 20, 30), (220, 0, 0)} <= set(map(tuple, mesh.colors.tolist()))
    assert bake(read_parts(write_glb(tmp_path / "b.glb", plain)), 0.1, 1000).colors is None


def test_obj_with_textures_colours_and_points_only(tmp_path: Path) -> None:
    (tmp_path / "floor.png").write_bytes(b"")
    checkered().save(tmp_path / "floor.png")
    (tmp_path / "floor.mtl").write_text("newmtl floor\nKd 1 1 1\nmap_Kd floor.png\n")
    (tmp_path / "floor.obj").write_text(
        "mtllib floor.mtl\nv 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "usemtl floor\nf 1/1 2/2 3/3 4/4\n"
    )
    mesh = bake(read_parts(tmp_path / "floor.obj"), 0.05, 100_000)
    assert mesh.colors is not None
    near = np.linalg.norm(mesh.vertices - [0.125, 0.125, 0], axis=1).argmin()
    np.testing.assert_array_equal(mesh.colors[near], [220, 0, 0])
    (tmp_path / "points.obj").write_text("v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\n")
    points = bake(read_parts(tmp_path / "points.obj"), 0.05, 100)
    np.testing.assert_array_equal(points.colors, np.eye(3) * 255)
    assert points.faces.shape == (0, 3)
    (tmp_path / "bare.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert bake(read_parts(tmp_path / "bare.obj"), 0.05, 100).colors is None


def rewritten(data: bytes, change: dict[str, object]) -> bytes:
    """A GLB with some top-level entries of its JSON replaced."""
    (length,) = struct.unpack("<I", data[12:16])
    document = {**json.loads(data[20 : 20 + length]), **change}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return data[:8] + struct.pack("<II", 20 + len(text) + len(rest), len(text)) + data[16:20] + text + rest


def test_damaged_glb_files_are_named_with_a_reason(tmp_path: Path) -> None:
    path = write_glb(tmp_path / "a.glb", textured_floor(1.0))
    whole = path.read_bytes()
    huge = [{"componentType": 5126, "count": 10**9, "type": "VEC3"}]
    for damaged, reason in (
        (b"", "empty"),
        (b"PK" + whole[2:], "does not begin with glTF"),
        (whole[:4] + b"\x01" + whole[5:], "version 1"),
        (whole[:-200], "truncated"),
        (whole[:30], "truncated"),
        (whole[:24] + b"}}}}" + whole[28:], "JSON is damaged"),
        (rewritten(whole, {"accessors": huge}), "claims 1000000000 elements"),
        (rewritten(whole, {"nodes": [{"children": [1]}, {"children": [1]}]}), "two parents"),
        (rewritten(whole, {"meshes": []}), "cannot be read|no triangles"),
        (rewritten(whole, {"scenes": [{"nodes": []}], "nodes": [], "meshes": []}), "cannot be read|no triangles"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=reason) as caught:
            read_parts(path)
        assert "a.glb" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        read_parts(tmp_path / "none.glb")


def test_a_damaged_texture_or_triangle_leaves_the_rest(tmp_path: Path) -> None:
    room = trimesh.creation.box((4.0, 2.5, 3.0)).subdivide().subdivide().subdivide()
    uv = (room.vertices[:, :2] + 2) / 4
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=checkered(), baseColorFactor=[10, 200, 30, 255])
    room.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    path = write_glb(tmp_path / "a.glb", room)
    whole = path.read_bytes()
    picture = whole.index(b"\x89PNG")
    path.write_bytes(whole[: picture + 60] + b"\x00" * 200 + whole[picture + 260 :])
    (part,) = read_parts(path)
    assert part.image is None and part.notes == ("1 textures of the file are damaged and were left out.",)
    assert part.colors is not None and set(map(tuple, part.colors.tolist())) == {(10, 200, 30)}
    index = whole.index(room.faces[5].astype("<u4").tobytes())
    path.write_bytes(whole[:index] + struct.pack("<I", 10**6) + whole[index + 4 :])
    (part,) = read_parts(path)
    assert part.notes == ("1 triangles of vertices that are not there were left out.",)
    assert len(part.faces) == len(room.faces) - 1 and part.image is not None
    assert any("were left out" in note for note in read_scan(path).notes)


@pytest.mark.parametrize("stray", [np.nan, np.inf, 1e30, 1e6])
def test_one_stray_vertex_divides_nothing_without_end(tmp_path: Path, stray: float) -> None:
    """It once did: a length that is not a number is never below the limit."""
    room = trimesh.creation.box((4.0, 2.5, 3.0)).subdivide().subdivide().subdivide()
    vertices = room.vertices.astype("<f4")
    room.visual = trimesh.visual.TextureVisuals(
        uv=(room.vertices[:, :2] + 2) / 4, material=trimesh.visual.material.PBRMaterial(baseColorTexture=checkered())
    )
    path = write_glb(tmp_path / "a.glb", room)
    whole = path.read_bytes()
    at = whole.index(vertices[7].tobytes())
    path.write_bytes(whole[:at] + struct.pack("<f", stray) + whole[at + 4 :])
    if not np.isfinite(stray):
        with pytest.raises(DataError, match=r"1 of \d+ points have NaN or infinite coordinates"):
            read_scan(path, max_points=20_000)
        return
    scan = read_scan(path, max_points=20_000)
    assert 1000 < len(scan.mesh.vertices) <= 20_000 and scan.mesh.colors is not None
    assert np.ptp(scan.mesh.vertices, axis=0).max() < 5
