from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.render.shapes import cube, furnished_room

from askscan.data.folder import DataFolder
from askscan.errors import DataError
from askscan.records import Mesh
from askscan.render.collection import RenderConfig, render_collection
from askscan.render.pictures import camera_path, load_picture

SCENES = {"scene0000_00": "train", "scene0001_00": "train", "scene0002_00": "val"}


def places(root: Path, num_views: int = 0) -> dict[str, tuple[Path, ...]]:
    root.mkdir(exist_ok=True)
    return {scene: DataFolder(root).pictures(scene, split, num_views) for scene, split in SCENES.items()}


def load(scene_id: str) -> Mesh:
    if scene_id == "scene0001_00":
        raise DataError(f"{scene_id}: broken")
    return cube(np.zeros(3), 1.0)


def test_missing_pictures_are_made_and_present_ones_left_alone(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    paths, small = places(tmp_path), RenderConfig(size=32)
    report = render_collection(paths, load, small, progress=lambda done, total: steps.append((done, total)))
    assert report.rendered == ("scene0000_00", "scene0002_00") and report.present == ()
    assert report.failed == {"scene0001_00": "scene0001_00: broken"}
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    val = tmp_path / "top_imgs" / "val" / "scene0002_00.jpg"
    assert load_picture(val).image.shape == (32, 32, 3)
    stamp = val.stat().st_mtime_ns
    (tmp_path / "top_imgs" / "train" / "scene0000_00.jpg").unlink()
    camera_path(val).unlink()  # as the published code's pictures are: they are never replaced
    again = render_collection(paths, load, small)
    assert again.present == ("scene0002_00",) and again.rendered == ("scene0000_00",)
    assert val.stat().st_mtime_ns == stamp


def test_several_processes_make_the_same_pictures(tmp_path: Path) -> None:
    one, two = places(tmp_path / "one"), places(tmp_path / "two")
    render_collection(one, load, RenderConfig(size=24))
    report = render_collection(two, load, RenderConfig(size=24), num_processes=2)
    assert set(report.rendered) == {"scene0000_00", "scene0002_00"} and set(report.failed) == {"scene0001_00"}
    for scene in report.rendered:
        assert one[scene][0].read_bytes() == two[scene][0].read_bytes()


def test_views_join_the_picture_from_above(tmp_path: Path) -> None:
    def load_room(scene_id: str) -> Mesh:
        return furnished_room()

    above, *views = places(tmp_path, 3)["scene0000_00"]
    render_collection({"scene0000_00": [above]}, load_room, RenderConfig(size=32))
    stamp = above.stat().st_mtime_ns
    two, config = {"scene0000_00": [above, *views[:2]]}, RenderConfig(size=48, view_size=24)
    report = render_collection(two, load_room, config)
    assert report.rendered == ("scene0000_00",) and above.stat().st_mtime_ns == stamp
    assert [load_picture(path).image.shape for path in views[:2]] == [(24, 24, 3)] * 2 and not views[2].exists()
    assert render_collection(two, load_room, config).present == ("scene0000_00",)

    kept = [path.read_bytes() for path in views[:2]]
    views[0].unlink()
    render_collection({"scene0000_00": [above, *views]}, load_room, config)
    assert [path.read_bytes() for path in views[:2]] == kept and views[2].is_file()  # more views: the first ones stay


def end_the_process(scene_id: str) -> Mesh:
    os._exit(9)


def test_a_dead_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"render: a process was ended.*--processes"):
        render_collection(places(tmp_path), end_the_process, RenderConfig(size=24), num_processes=2)
