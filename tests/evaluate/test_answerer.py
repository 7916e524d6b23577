"""Asking gives the same answers however the file is turned, measured and named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.render.shapes import furnished_room

import askscan
from askscan.data.ply import write_ply
from askscan.evaluate.answerer import own_turn, scan_points, turned
from askscan.records import Mesh, Scan


def room() -> Mesh:
    mesh = furnished_room()
    noise = np.random.default_rng(0).normal(scale=0.01, size=mesh.vertices.shape)
    return replace(mesh, vertices=(mesh.vertices + noise).astype(np.float32), normals=None)


@pytest.mark.parametrize("by", range(4))
def test_a_scan_turned_by_quarters_is_seen_from_the_same_side(by: int) -> None:
    points = scan_points(Scan(name="room", mesh=room(), from_file=np.eye(4)))
    other = turned(points, by)
    np.testing.assert_array_equal(turned(other, own_turn(other)).xyz, turned(points, own_turn(points)).xyz)
    x, y = (lambda xyz: xyz.mean(0) - (xyz.min(0) + xyz.max(0)) / 2)(turned(points, own_turn(points)).xyz[:, :2])
    assert x > abs(y)


def test_points_do_not_depend_on_the_files_name() -> None:
    one, other = (scan_points(Scan(name=name, mesh=room(), from_file=np.eye(4))) for name in ("one", "other"))
    np.testing.assert_array_equal(one.xyz, other.xyz)
    assert one.scene_id == "one"


def test_a_turned_file_in_millimetres_gets_the_same_answers_and_boxes_in_its_own_axes(tmp_path: Path) -> None:
    mesh, yaw = room(), np.radians(131.0)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    matrix = 1000 * np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) @ turn
    questions = ("What color is the table?", "What is next to the bed?", "How many chairs are in this room?")
    model = askscan.load(device="cpu")
    answers = []
    for name, version in (
        ("as_is", mesh),
        ("turned", replace(mesh, vertices=(mesh.vertices @ matrix.T).astype(np.float32))),
    ):
        write_ply(tmp_path / f"{name}.ply", version)
        answers.append(model.ask(askscan.read_scan(tmp_path / f"{name}.ply"), *questions))
    for first, second in zip(*answers, strict=True):
        assert [a.answer for a in first.answers[:3]] == [a.answer for a in second.answers[:3]]
        # Rounding of millimetres moves points by a micrometre, and with it who is farthest or nearest now and then: in
        # this bare room, unlike any that the model knows, that moves a box by a few centimetres.
        assert first.answers[0].confidence == pytest.approx(second.answers[0].confidence, abs=0.05)
        np.testing.assert_allclose(second.corners.mean(0), matrix @ first.corners.mean(0), atol=100)
        np.testing.assert_allclose(second.center, second.corners.mean(0), atol=1)


def test_objects_are_found_once_in_the_axes_of_the_file(tmp_path: Path) -> None:
    matrix = 1000 * np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    model, found = askscan.load(device="cpu"), []
    for name, factor in (("as_is", np.eye(3)), ("turned", matrix)):
        write_ply(tmp_path / f"{name}.ply", replace(room(), vertices=(room().vertices @ factor.T).astype(np.float32)))
        found.append(model.detect(askscan.read_scan(tmp_path / f"{name}.ply")))
    first, second = found
    assert first and [one.label for one in first] == [one.label for one in second]
    assert all(0.5 < one.objectness <= 1 for one in first)
    assert [one.objectness for one in first] == sorted((one.objectness for one in first), reverse=True)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(other.center, matrix @ one.center, atol=100)


def test_a_question_without_a_known_kind_is_answered_with_a_warning() -> None:
    scan = Scan(name="room", mesh=room(), from_file=np.eye(4))
    asked = ("Where is the xylophone?", "Where is the bed?", "What is the largest object?", "Is the bed red?")
    unknown, bed, anything, yes_or_no = askscan.load(device="cpu").ask(scan, *asked)
    assert unknown.warning is not None and "no kind of object" in unknown.warning
    assert bed.warning is None and anything.warning is None
    assert yes_or_no.warning is not None and "yes or no" in yes_or_no.warning
