from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.mutate import mutated
from tests.data.test_textured import textured_floor, write_glb
from tests.render.shapes import furnished_room

from askscan.data.alignment import TO_Z_UP
from askscan.data.meshes import transform_mesh
from askscan.data.ply import write_ply
from askscan.data.scan_files import align_scan, box_to_file, read_scan
from askscan.errors import ConfigError, DataError
from askscan.records import Mesh

SIGNS = np.array([(1, 1, 1), (1, -1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, -1), (1, -1, -1), (-1, -1, -1), (-1, 1, -1)])


def colored_room() -> Mesh:
    room = furnished_room()
    colors = np.random.default_rng(0).integers(0, 256, (len(room.vertices), 3)).astype(np.uint8)
    return replace(room, colors=colors)


def to_file(up: str, yaw_deg: float, scale: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array(TO_Z_UP[up]).T @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return matrix


def test_a_scan_that_is_right_comes_through_unchanged(tmp_path: Path) -> None:
    room = colored_room()
    write_ply(tmp_path / "office 4.ply", room)
    scan = read_scan(tmp_path / "office 4.ply")
    assert scan.name == "office 4" and scan.notes == ()
    np.testing.assert_array_equal(scan.from_file, np.eye(4))
    np.testing.assert_array_equal(scan.mesh.vertices, room.vertices)
    np.testing.assert_array_equal(scan.mesh.colors, room.colors)
    np.testing.assert_array_equal(scan.mesh.faces, room.faces)


def test_boxes_go_back_to_the_axes_and_units_of_the_file(tmp_path: Path) -> None:
    room, matrix = colored_room(), to_file("y", 28.0, 1000.0)
    write_ply(tmp_path / "a.ply", transform_mesh(room, matrix))
    scan = read_scan(str(tmp_path / "a.ply"))
    assert len(scan.notes) == 3
    assert "y axis" in scan.notes[0] and "millimetres" in scan.notes[1] and "turned by -2" in scan.notes[2]
    np.testing.assert_allclose(scan.mesh.vertices, room.vertices, atol=0.03)
    table = np.array([2.8, 2.4, 0.66]) + SIGNS * np.array([0.6, 0.4, 0.06])
    box = box_to_file(scan, table)
    expected = table @ matrix[:3, :3].T
    np.testing.assert_allclose(box.corners, expected, atol=25.0)  # millimetres
    again = box.corners @ scan.from_file[:3, :3].T + scan.from_file[:3, 3]
    np.testing.assert_allclose(again, table, atol=1e-9)
    np.testing.assert_allclose(box.center, box.corners.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(box.size, np.ptp(box.corners, axis=0), atol=1e-6)


def test_missing_colours_are_said(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", furnished_room())
    scan = read_scan(tmp_path / "a.ply")
    assert scan.mesh.colors is None
    assert scan.notes == ("The scan has no colours: it is asked and drawn in grey.",)


def test_points_that_a_depth_camera_did_not_see_are_left_out(tmp_path: Path) -> None:
    vertices = furnished_room().vertices.copy()
    vertices[:7] = np.nan
    header = (
        f"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH {len(vertices)}\nHEIGHT 1\nPOINTS {len(vertices)}\nDATA ascii\n"
    )
    (tmp_path / "a.pcd").write_text(header + "\n".join(" ".join(map(str, row)) for row in vertices))
    scan = read_scan(tmp_path / "a.pcd")
    assert np.isfinite(scan.mesh.vertices).all() and len(scan.mesh.vertices) == len(vertices) - 7
    assert f"7 of {len(vertices)} points without coordinates were left out." in scan.notes


def test_strays_far_away_are_left_out(tmp_path: Path) -> None:
    room = colored_room()
    vertices = room.vertices.copy()
    vertices[5] = [3e30, 0, 0]
    write_ply(tmp_path / "a.ply", replace(room, vertices=vertices))
    scan = read_scan(tmp_path / "a.ply")
    assert scan.notes == ("1 points far away from all others were left out.",)
    assert np.abs(scan.mesh.vertices).max() < 10


def test_large_scans_are_thinned(tmp_path: Path) -> None:
    room = colored_room()
    write_ply(tmp_path / "a.ply", room)
    scan = read_scan(tmp_path / "a.ply", max_points=2000)
    assert 500 < len(scan.mesh.vertices) <= 2000 and "thinned" in scan.notes[-1]
    low, high = scan.mesh.vertices.min(axis=0), scan.mesh.vertices.max(axis=0)
    np.testing.assert_allclose([low, high], [room.vertices.min(axis=0), room.vertices.max(axis=0)], atol=0.3)


def test_textures_are_divided_in_metres_whatever_the_unit(tmp_path: Path) -> None:
    path = write_glb(tmp_path / "floor.glb", textured_floor(3000.0))
    scan = read_scan(path, up="z", unit="mm", align_walls=False)
    edges = scan.mesh.vertices[scan.mesh.faces] - scan.mesh.vertices[np.roll(scan.mesh.faces, 1, axis=1)]
    assert 0.01 < np.linalg.norm(edges, axis=2).max() <= 0.031


def test_files_that_are_no_scans_are_refused_with_one_sentence(tmp_path: Path) -> None:
    room = colored_room()
    few = replace(room, vertices=room.vertices[:10], faces=room.faces[:0], colors=room.colors[:10])  # type: ignore[index]
    nan = replace(room, vertices=np.full_like(room.vertices, np.nan))
    one_nan = replace(room, vertices=np.concatenate([[[0, np.nan, 0]], room.vertices[1:]]).astype(np.float32))
    for mesh, reason in (
        (few, "only 10 points"),
        (nan, f"{len(room.vertices)} of {len(room.vertices)} points have NaN"),
        (one_nan, f"1 of {len(room.vertices)} points have NaN"),
        (replace(room, vertices=np.zeros_like(room.vertices)), "at one place"),
        (replace(room, vertices=room.vertices * np.float32([1, 0, 0])), "on one line"),
        (replace(room, vertices=room.vertices * np.float32(1e20)), "units apart"),
    ):
        write_ply(tmp_path / "bad.ply", mesh)
        with pytest.raises(DataError, match=reason) as caught:
            read_scan(tmp_path / "bad.ply")
        assert "bad.ply" in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "empty.ply").write_bytes(b"")
    (tmp_path / "a.docx").write_bytes(b"x")
    for name, reason in (
        ("empty.ply", "empty"),
        ("none.ply", "no such file"),
        ("a.docx", r"not \.docx"),
        ("a", "suffix"),
    ):
        with pytest.raises(DataError, match=reason):
            read_scan(tmp_path / name)
    with pytest.raises(DataError):
        read_scan(tmp_path)
    write_ply(tmp_path / "good.ply", room)
    with pytest.raises((ConfigError, TypeError)):
        read_scan(tmp_path / "good.ply", up="up")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["glb", "pcd", "obj"])
def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(5)
    xyz = np.float32(rng.uniform(0, 3, (150, 3)))
    path = tmp_path / f"scan.{kind}"
    if kind == "glb":
        write_glb(path, textured_floor(3.0))
    elif kind == "pcd":
        text = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 150\nHEIGHT 1\nPOINTS 150\nDATA binary\n"
        path.write_bytes(text.encode() + xyz.tobytes())
    else:
        path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in xyz))
    whole, num_read = path.read_bytes(), 0
    for _ in range(40):
        path.write_bytes(mutated(whole, rng))
        try:
            read_scan(path, up="z", unit="m", align_walls=False, max_points=20_000)
            num_read += 1
        except DataError as error:
            assert path.name in str(error) and "\n" not in str(error)
    assert num_read >= 4


def test_meshes_in_memory_are_aligned_too() -> None:
    room, matrix = colored_room(), to_file("-y", 40.0, 100.0)
    scan = align_scan(transform_mesh(room, matrix), "room")
    assert scan.name == "room"
    np.testing.assert_allclose(np.ptp(scan.mesh.vertices, axis=0), np.ptp(room.vertices, axis=0), atol=0.05)


@pytest.mark.parametrize(
    ("name", "up", "size", "said"),
    [
        ("tatami_room.glb", "y", (2.7, 3.7, 2.6), ("y axis",)),
        ("quest_music_room.ply", "y", (4.7, 6.3, 3.8), ("y axis", "no colours", "turned")),
        ("office1.pcd", "-y", (3.7, 3.7, 3.8), ("-y axis", "single depth frame", "left out")),
    ],
)
def test_real_scans_are_set_upright(
    real_data: Path, name: str, up: str, size: tuple[float, ...], said: tuple[str, ...]
) -> None:
    scan = read_scan(real_data / "scans" / name)
    direction = (-1.0 if up[0] == "-" else 1.0) * np.eye(3)["xyz".index(up[-1])]
    np.testing.assert_allclose(scan.from_file[:3, :3] @ direction, [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(np.ptp(scan.mesh.vertices, axis=0), size, atol=0.3)
    assert all(any(word in note for note in scan.notes) for word in said)


@pytest.mark.slow
def test_twenty_million_vertices_are_thinned_within_four_gigabytes(tmp_path: Path) -> None:
    path, parts, rng = tmp_path / "huge.ply", 20, np.random.default_rng(0)
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 20000000\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue")) + "end_header\n"
    with path.open("wb") as file:
        file.write(head.encode())
        for _ in range(parts):
            rows = np.zeros(20_000_000 // parts, [("p", "<f4", 3), ("c", "u1", 3)])
            points, side = rng.uniform((0, 0, 0), (5, 4, 2.5), (len(rows), 3)), rng.integers(0, 5, len(rows))
            for wall, (axis, at) in enumerate(((0, 0), (0, 5), (1, 0), (1, 4), (2, 0))):
                points[side == wall, axis] = at
            rows["p"], rows["c"] = points, rng.integers(0, 255, (len(rows), 3))
            file.write(rows.tobytes())
    code = (
        "import resource, sys\nfrom askscan.data.scan_files import read_scan\nscan = read_scan(sys.argv[1])\n"
        "print(len(scan.mesh.vertices), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    num_vertices, kilobytes = map(int, done.stdout.split())
    assert 100_000 < num_vertices <= 1_000_000
    assert kilobytes < 4 * 2**20
