from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.render.shapes import cube, furnished_room

from askscan.data.folder import DataFolder
from askscan.errors import DataError
from askscan.records import Mesh
from askscan.render.collection import RenderConfig, picture_path, render_collection, view_path
from askscan.render.pictures import camera_path, load_picture

SCENES = {"train": ("scene0000_00", "scene0001_00"), "val": ("scene0002_00",)}


def load(scene_id: str) -> Mesh:
    if scene_id == "scene0001_00":
        raise DataError(f"{scene_id}: broken")
    return cube(np.zeros(3), 1.0)


def test_missing_pictures_are_made_and_present_ones_left_alone(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = render_collection(
        tmp_path, SCENES, load, RenderConfig(size=32), progress=lambda done, total: steps.append((done, total))
    )
    assert report.rendered == ("scene0000_00", "scene0002_00") and report.present == ()
    assert report.failed == {"scene0001_00": "scene0001_00: broken"}
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    val = tmp_path / "top_imgs" / "val" / "scene0002_00.jpg"
    assert picture_path(tmp_path, "val", "scene0002_00") == val
    assert load_picture(val).image.shape == (32, 32, 3)
    stamp = val.stat().st_mtime_ns
    picture_path(tmp_path, "train", "scene0000_00").unlink()
    camera_path(val).unlink()  # as the published code's pictures are: they are never replaced
    again = render_collection(tmp_path, SCENES, load, RenderConfig(size=32))
    assert again.present == ("scene0002_00",) and again.rendered == ("scene0000_00",)
    assert val.stat().st_mtime_ns == stamp


def test_several_processes_make_the_same_pictures(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    render_collection(one, SCENES, load, RenderConfig(size=24))
    report = render_collection(two, SCENES, load, RenderConfig(size=24), num_processes=2)
    assert set(report.rendered) == {"scene0000_00", "scene0002_00"} and set(report.failed) == {"scene0001_00"}
    for scene, split in (("scene0000_00", "train"), ("scene0002_00", "val")):
        assert picture_path(one, split, scene).read_bytes() == picture_path(two, split, scene).read_bytes()


def test_views_join_the_picture_from_above(tmp_path: Path) -> None:
    def load_room(scene_id: str) -> Mesh:
        return furnished_room()

    scenes = {"train": ("scene0000_00",)}
    render_collection(tmp_path, scenes, load_room, RenderConfig(size=32))
    above = picture_path(tmp_path, "train", "scene0000_00")
    stamp = above.stat().st_mtime_ns
    two = RenderConfig(size=48, num_views=2, view_size=24)
    report = render_collection(tmp_path, scenes, load_room, two)
    assert report.rendered == ("scene0000_00",) and above.stat().st_mtime_ns == stamp
    paths = [view_path(tmp_path, "train", "scene0000_00", number) for number in (1, 2, 3)]
    assert paths == [DataFolder(tmp_path).view("scene0000_00", "train", number) for number in (1, 2, 3)]
    assert [load_picture(path).image.shape for path in paths[:2]] == [(24, 24, 3)] * 2 and not paths[2].exists()
    assert render_collection(tmp_path, scenes, load_room, two).present == ("scene0000_00",)

    kept = [path.read_bytes() for path in paths[:2]]
    paths[0].unlink()
    render_collection(tmp_path, scenes, load_room, RenderConfig(num_views=3, view_size=24))
    assert [path.read_bytes() for path in paths[:2]] == kept and paths[2].is_file()  # more views: the first ones stay


def end_the_process(scene_id: str) -> Mesh:
    os._exit(9)


def test_a_dead_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"render: a process was ended.*--processes"):
        render_collection(tmp_path, SCENES, end_the_process, RenderConfig(size=24), num_processes=2)
