from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.render.shapes import furnished_room

from askscan.data.alignment import METRES, TO_Z_UP, Alignment, find_alignment, sample_surface
from askscan.data.meshes import transform_mesh
from askscan.errors import ConfigError
from askscan.records import Mesh


def posed(mesh: Mesh, up: str, yaw_deg: float, unit: str) -> tuple[Mesh, np.ndarray]:
    """The mesh as a file of other axes and units has it, and the matrix from the room to the file."""
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(TO_Z_UP[up]).T @ turn / METRES[unit]
    return transform_mesh(mesh, matrix), matrix


def find(mesh: Mesh, **options: object) -> Alignment:
    return find_alignment(mesh, **{"up": "auto", "unit": "auto", "align_walls": True, **options})  # type: ignore[arg-type]


def without_quarter_turns(matrix: np.ndarray) -> np.ndarray:
    """The nearest of the four quarter turns about z brought back."""
    quarter = np.round(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) / 90) * np.pi / 2
    cos, sin = np.cos(quarter), np.sin(quarter)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) @ matrix[:3, :3]


@pytest.mark.parametrize("points_only", [False, True])
@pytest.mark.parametrize(
    ("up", "yaw_deg", "unit"),
    [
        ("z", 33.0, "m"),
        ("y", 147.0, "mm"),
        ("-y", 71.0, "cm"),
        ("x", 10.0, "mm"),
        ("-z", 200.0, "m"),
        ("-x", 0.0, "cm"),
    ],
)
def test_rooms_come_back_from_any_axes_yaw_and_unit(up: str, yaw_deg: float, unit: str, points_only: bool) -> None:
    room = furnished_room()
    if points_only:
        room = replace(room, faces=np.zeros((0, 3), np.int32))
    mesh, to_file = posed(room, up, yaw_deg, unit)
    found = find(mesh)
    np.testing.assert_allclose(without_quarter_turns(found.matrix @ to_file), np.eye(3), atol=0.02)
    assert any("millimetres" in note for note in found.notes) == (unit == "mm")
    assert any(f"{up} axis" in note for note in found.notes) == (up != "z")


@pytest.mark.parametrize("yaw_deg", [0.0, 0.05, -0.05, 90.0])
def test_a_scan_that_is_right_already_stays_as_it_is(yaw_deg: float) -> None:
    mesh, _ = posed(furnished_room(), "z", yaw_deg, "m")
    found = find(mesh)
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    assert found.notes == ()


@pytest.mark.parametrize(("points_only", "within_deg"), [(False, 0.003), (True, 0.05)])
def test_the_same_room_gets_the_same_frame_however_its_file_is_turned(points_only: bool, within_deg: float) -> None:
    room = furnished_room()
    rng = np.random.default_rng(1)
    noise = rng.normal(scale=0.005, size=room.vertices.shape)
    room = replace(room, vertices=(room.vertices + noise).astype(np.float32))
    if points_only:
        room = replace(room, faces=np.zeros((0, 3), np.int32))
    residual_deg = []
    for up, yaw_deg, unit in (("z", 1.5, "m"), ("y", 44.6, "mm"), ("z", 91.0, "cm"), ("y", 288.0, "mm")):
        mesh, to_file = posed(room, up, yaw_deg, unit)
        left = without_quarter_turns(find(mesh).matrix @ to_file)
        residual_deg.append(np.degrees(np.arctan2(left[1, 0], left[0, 0])))
    assert np.ptp(residual_deg) < within_deg
    assert np.abs(residual_deg).max() < 0.3


def test_the_smallest_turn_is_taken() -> None:
    for yaw_deg, expected in ((20.0, -20.0), (-20.0, 20.0), (70.0, 20.0), (130.0, -40.0)):
        mesh, _ = posed(furnished_room(), "z", yaw_deg, "m")
        matrix = find(mesh).matrix
        assert np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(expected, abs=0.5)


def test_a_closed_room_with_a_ceiling_is_not_stood_on_its_head() -> None:
    mesh, to_file = posed(furnished_room(ceiling=True), "y", 25.0, "m")
    np.testing.assert_allclose(without_quarter_turns(find(mesh).matrix @ to_file), np.eye(3), atol=0.02)


def test_what_is_asked_for_is_not_guessed() -> None:
    room = furnished_room()
    asked = find(room, up="y", unit="cm", align_walls=False)
    np.testing.assert_allclose(asked.matrix[:3, :3], 0.01 * np.array(TO_Z_UP["y"]))
    assert any("as asked" in note for note in asked.notes)
    mesh, _ = posed(room, "z", 30.0, "m")
    np.testing.assert_array_equal(find(mesh, align_walls=False).matrix, np.eye(4))
    np.testing.assert_allclose(find(room, unit=0.0254).matrix, np.diag([0.0254, 0.0254, 0.0254, 1.0]))


@pytest.mark.parametrize("options", [{"up": "w"}, {"unit": "km"}, {"unit": 0.0}, {"unit": True}, {"unit": -1.0}])
def test_unknown_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises((ConfigError, TypeError), match=r"must be|type"):
        find(furnished_room(), **options)


def test_no_walls_no_turn_and_no_floor_is_said() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(5000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    mesh = Mesh(vertices=np.float32(2 * ball), faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    found = find(mesh)
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    room = furnished_room()
    walls = replace(room, faces=room.faces[np.ptp(room.vertices[room.faces, 2], axis=1) > 1e-6])
    assert any("No floor" in note for note in find(walls, up="z").notes)
    assert not any("No floor" in note for note in find(room, up="z").notes)


def test_a_scan_unlike_a_room_is_said() -> None:
    mesh, _ = posed(furnished_room(), "z", 0.0, "m")
    small = transform_mesh(mesh, np.diag([0.1, 0.1, 0.1, 1.0]))
    assert any("unlike a single room" in note for note in find(small, unit="m").notes)


def test_rotations_to_z_up_are_proper_and_do_what_they_say() -> None:
    for axis, rotation in TO_Z_UP.items():
        direction = (-1.0 if axis[0] == "-" else 1.0) * np.eye(3)["xyz".index(axis[-1])]
        np.testing.assert_array_equal(np.array(rotation) @ direction, [0, 0, 1])
        assert np.linalg.det(np.array(rotation)) == pytest.approx(1.0)


def test_samples_lie_on_the_surface_and_know_its_normals() -> None:
    surface = sample_surface(furnished_room())
    on_floor = (surface.xyz[:, 2] < 1e-6) & (np.abs(surface.xyz[:, :2] - [2.0, 1.0]).max(axis=1) < 0.5)
    assert surface.oriented and on_floor.sum() > 10
    assert np.median(surface.normals[on_floor, 2]) > 0.99
