import json
import math
from pathlib import Path

import numpy as np
import pytest

from askscan.errors import DataError
from askscan.rooms.layout_file import read_layout
from askscan.rooms.scanner import scan_room

BOXES = [
    {"kind": "table", "center": [1.5, 2.0, 0.37], "size": [0.8, 1.4, 0.74], "heading": 0.0, "color": "brown"},
    {"kind": "Sofa", "center": [1.5, 0.5, 0.4], "size": [0.9, 2.0, 0.8], "heading": math.pi / 2, "color": "red"},
    {"kind": "vase", "center": [1.5, 2.0, 0.9], "size": [0.2, 0.2, 0.3]},
    {"kind": "loudspeaker", "center": [3.0, 3.0, 0.5], "size": [0.3, 0.3, 1.0], "color": "black"},
]


def _write(folder: Path, value: object) -> Path:
    path = folder / "layout.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_boxes_become_furnishings(tmp_path: Path):
    plan = read_layout(_write(tmp_path, {"boxes": BOXES, "room_size": [4, 4, 2.6], "scene_type": "Office"}), 3)
    table, couch, vase, speaker = plan.room.furnishings
    assert plan.room.scene_type == "Office" and plan.room.size == (4.0, 4.0, 2.6)
    assert [f.kind for f in plan.room.furnishings] == ["table", "couch", "vase", "loudspeaker"]
    assert (couch.color, couch.class_name) == ("red", "sofa")
    assert (speaker.class_name, speaker.color) == ("others", "black")
    assert vase.support == 0 and table.support is None
    np.testing.assert_allclose(table.center, (1.5, 2.0, 0.37), atol=1e-6)
    np.testing.assert_allclose(table.size, (0.8, 1.4, 0.74), atol=1e-6)
    assert couch.size[0] > couch.size[1]  # turned by a quarter: its width runs along x


def test_a_layout_can_be_scanned(tmp_path: Path):
    plan = read_layout(_write(tmp_path, BOXES), 3)
    scan = scan_room(plan)
    assert len(scan.room.furnishings) == 4
    for before, after in zip(plan.room.furnishings, scan.room.furnishings, strict=True):
        np.testing.assert_allclose(before.center[:2], after.center[:2], atol=0.2)


def test_the_room_is_found_from_the_boxes(tmp_path: Path):
    moved = [{**b, "center": [b["center"][0] - 10, b["center"][1] + 5, b["center"][2]]} for b in BOXES]
    room = read_layout(_write(tmp_path, moved), 0).room
    low = np.min([np.array(f.center) - np.array(f.size) / 2 for f in room.furnishings], axis=0)
    high = np.max([np.array(f.center) + np.array(f.size) / 2 for f in room.furnishings], axis=0)
    assert (low > -0.01).all() and (high < np.array(room.size)).all()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[{", "not a readable JSON"),
        ([], "1 to 120 boxes"),
        ([3], "box 0: expected an object"),
        ([{**BOXES[0], "kind": ""}], "`kind` should be a label"),
        ([{**BOXES[0], "kind": "wall"}], "built from the room's size"),
        ([{**BOXES[0], "center": [0, 1]}], "`center` should be three numbers"),
        ([{**BOXES[0], "center": [0, 1, "2"]}], "`center` should be three numbers"),
        ([{**BOXES[0], "center": [0, 1, float("nan")]}], "`center` should be three numbers"),
        ([{**BOXES[0], "size": [0, 1, 1]}], "`size` should be three numbers"),
        ([{**BOXES[0], "size": [800, 1400, 740]}], "are these metres"),
        ([{**BOXES[0], "heading": "north"}], "`heading` should be an angle"),
        ([{**BOXES[0], "color": "teal"}], "`color` should be one of"),
        ([{**BOXES[0], "material": "gold"}], "`material` should be one of"),
        ({"boxes": BOXES, "room_size": [2, 2, 2]}, "beyond `room_size`"),
        ({"boxes": BOXES, "room_size": "large"}, "`room_size` should be three numbers"),
        ({"boxes": BOXES, "scene_type": 5}, "`scene_type` should be"),
        ([{**BOXES[0], "center": [0, 0, -3]}], "floor at z = 0"),
        ([BOXES[0], {**BOXES[1], "center": [900, 0, 0.4]}], "rooms from 1 to"),
    ],
)
def test_faults_are_named(tmp_path: Path, value: object, said: str):
    path = _write(tmp_path, value)
    with pytest.raises(DataError) as caught:
        read_layout(path, 0)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read"):
        read_layout(tmp_path / "nowhere.json", 0)
