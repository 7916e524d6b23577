import json
from pathlib import Path

import numpy as np
import pytest

import askscan.cli as cli
from askscan.cli.asking import frame
from askscan.data.alignment import TO_Z_UP, Up
from askscan.data.ply import write_ply
from askscan.data.scan_files import align_scan
from askscan.evaluate import answerer
from askscan.evaluate.answerer import Answer, RankedAnswer
from askscan.records import Mesh


def a_room(num: int = 4000) -> Mesh:
    """Points on the floor and the walls of a room of 4 by 3 by 2.5 m, z up."""
    rng = np.random.default_rng(0)
    points = rng.random((num, 3)) * (4.0, 3.0, 2.5)
    side = rng.integers(5, size=num)
    for k, (axis, value) in enumerate(((2, 0.0), (0, 0.0), (0, 4.0), (1, 0.0), (1, 3.0))):
        points[side == k, axis] = value
    faces = np.zeros((0, 3), np.int32)
    return Mesh(vertices=points.astype(np.float32), faces=faces, colors=np.full((num, 3), 99, np.uint8), normals=None)


@pytest.mark.parametrize("up", ["x", "-y", "z", "-z"])
def test_a_frame_says_how_the_file_was_turned(up: Up):
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    turned = a_room().vertices @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T @ np.array(TO_Z_UP[up])
    mesh = Mesh(
        vertices=(1000 * turned).astype(np.float32), faces=np.zeros((0, 3), np.int32), colors=None, normals=None
    )
    found = frame(align_scan(mesh, "room", up=up, unit="mm"))
    assert (found["up"], found["metres_per_unit"]) == (up, 0.001)
    assert found["turn_deg"] == pytest.approx(-20, abs=1)
    assert f"turned by {found['turn_deg']:.1f} degrees" in found["notes"][-1]


def test_json_has_the_frame_that_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_ply(tmp_path / "room.ply", a_room())
    box = {"center": np.zeros(3), "size": np.ones(3), "corners": np.zeros((8, 3)), "aligned_corners": np.zeros((8, 3))}
    best = (RankedAnswer(answer="red", confidence=0.5),)
    answer = Answer(question="What?", answers=best, **box, label="bed", warning=None)
    stand_in = type("Stand-in", (), {"ask": lambda *_: (answer,)})
    monkeypatch.setattr(answerer, "load", lambda *_, **__: stand_in())
    assert cli.main(["ask", str(tmp_path / "room.ply"), "What?", "--unit", "cm", "--json"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    assert printed["answers"] == [{"answer": "red", "confidence": 0.5}]
    assert printed["frame"]["up"] == "z" and printed["frame"]["metres_per_unit"] == 0.01
    assert "The file is in centimetres (as asked)." in printed["frame"]["notes"]
    assert np.allclose(printed["frame"]["from_file"], np.diag([0.01, 0.01, 0.01, 1]))
