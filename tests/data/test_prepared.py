import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.data.mutate import mutated

from askscan.data.prepared import FORMAT, load_prepared, read_about, save_prepared
from askscan.errors import DataError
from askscan.records import PreparedScene


@pytest.fixture
def scene() -> PreparedScene:
    rng = np.random.default_rng(0)
    return PreparedScene(
        scene_id="scene0001_00",
        xyz=rng.normal(size=(50, 3)).astype(np.float32),
        rgb=rng.integers(0, 256, (50, 3)).astype(np.uint8),
        normals=rng.integers(-127, 128, (50, 3)).astype(np.int8),
        instance=rng.integers(0, 4, 50).astype(np.int32),
        boxes=rng.uniform(size=(3, 6)).astype(np.float32),
        box_class=np.array([0, 17, 3], np.int32),
        object_id=np.array([2, 0, 9], np.int32),
        scene_type="Küche / Kitchen",
    )


def assert_equal(one: PreparedScene, other: PreparedScene) -> None:
    for field in fields(PreparedScene):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b


def test_round_trip(tmp_path: Path, scene: PreparedScene) -> None:
    path = tmp_path / "prepared" / "scene0001_00.safetensors"
    save_prepared(path, scene, identity="abc", notes=("one", "two"))
    assert_equal(load_prepared(path), scene)
    assert read_about(path)["identity"] == "abc" and read_about(path)["notes"] == "one\ntwo"
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file is left


def test_round_trip_without_colours_normals_and_objects(tmp_path: Path, scene: PreparedScene) -> None:
    none = np.zeros(0, np.int32)
    bare = replace(scene, rgb=None, normals=None, boxes=np.zeros((0, 6), np.float32), box_class=none, object_id=none)
    bare = replace(bare, instance=np.zeros(50, np.int32))
    save_prepared(tmp_path / "a.safetensors", bare)
    assert_equal(load_prepared(tmp_path / "a.safetensors"), bare)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"xyz": None}, "no `xyz`"),
        ({"rgb": np.zeros((49, 3), np.uint8)}, r"`rgb` is uint8 \(49, 3\)"),
        ({"instance": np.full(50, 4, np.int32)}, "out of range"),
        ({"box_class": np.array([0, 18, 1], np.int32)}, "out of range"),
        ({"box_class": np.array([0, -1, 1], np.int32)}, "out of range"),
        ({"boxes": np.full((3, 6), np.nan, np.float32)}, "not finite"),
        ({"xyz": np.zeros((50, 3))}, "`xyz` is float64"),
        ({"object_id": np.zeros((3, 1), np.int32)}, "`object_id` is int32"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, scene: PreparedScene, change: dict, said: str) -> None:
    path = tmp_path / "a.safetensors"
    save_prepared(path, scene)
    tensors = {name: array for name, array in {**load_file(path), **change}.items() if array is not None}
    about = {"scene_id": "x", "scene_type": "", "identity": "", "notes": ""}
    save_file(tensors, path, {FORMAT: json.dumps(about)})
    with pytest.raises(DataError, match=said) as caught:
        load_prepared(path)
    assert "a.safetensors" in str(caught.value) and "askscan prepare" in str(caught.value)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    save_file({"xyz": np.zeros((5, 3), np.float32)}, tmp_path / "b.safetensors", {"format": "pt"})
    for path in (tmp_path / "b.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(DataError, match=path.name):
            load_prepared(path)


def test_damaged_files_are_read_or_refused(tmp_path: Path, scene: PreparedScene) -> None:
    rng = np.random.default_rng(11)
    path = tmp_path / "d.safetensors"
    save_prepared(path, scene)
    data = path.read_bytes()
    num_read = 0
    for _ in range(400):
        path.write_bytes(mutated(data, rng))
        try:
            load_prepared(path)
            num_read += 1
        except DataError as error:
            assert "d.safetensors" in str(error)
    assert num_read >= 40


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, scene: PreparedScene) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        save_prepared(tmp_path / "file" / "a.safetensors", scene)
