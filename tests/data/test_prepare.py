import os
import time
from pathlib import Path

import numpy as np
import pytest
from tests.data.tiny import tiny_scene, write_label_table, write_tiny_scene

from askscan.data.folder import DataFolder
from askscan.data.prepare import prepare
from askscan.data.prepared import load_prepared
from askscan.data.scannet import read_scene
from askscan.errors import ConfigError, DataError

ALL = ("scene0000_00", "scene0001_00", "scene0002_00")


def test_prepared_scene_is_the_scene_shuffled(tiny: DataFolder) -> None:
    assert prepare(tiny).made == ALL
    whole, _ = read_scene(tiny, ALL[0])
    found = load_prepared(tiny.prepared(ALL[0]))
    order, place = np.lexsort(whole.xyz.T), np.lexsort(found.xyz.T)
    assert not np.array_equal(whole.xyz, found.xyz)
    for name in ("xyz", "rgb", "normals", "instance"):
        np.testing.assert_array_equal(getattr(whole, name)[order], getattr(found, name)[place])
    np.testing.assert_array_equal(found.boxes, whole.boxes)


def test_thinning_keeps_the_boxes_of_all_points(tiny: DataFolder) -> None:
    prepare(tiny, max_points=100)
    whole, _ = read_scene(tiny, ALL[1])
    found = load_prepared(tiny.prepared(ALL[1]))
    assert len(found.xyz) == len(found.rgb) == len(found.normals) == len(found.instance) == 100
    np.testing.assert_array_equal(found.boxes, whole.boxes)
    colour_of = {tuple(p): (tuple(c), i) for p, c, i in zip(whole.xyz, whole.rgb, whole.instance, strict=True)}
    for p, c, i in zip(found.xyz, found.rgb, found.instance, strict=True):
        assert colour_of[tuple(p)] == (tuple(c), i)


def test_the_same_command_again_does_nothing(tiny: DataFolder) -> None:
    prepare(tiny)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tiny.prepared("").parent.iterdir()}
    report = prepare(tiny)
    assert report.kept == ALL and not report.made and not report.errors
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tiny.prepared("").parent.iterdir()}


def test_what_changed_is_prepared_again(tiny: DataFolder) -> None:
    prepare(tiny)
    os.utime(tiny.aggregation(ALL[1]), ns=(1, 1))
    data = tiny.prepared(ALL[2]).read_bytes()
    tiny.prepared(ALL[2]).write_bytes(data[:-10])  # cut off
    assert prepare(tiny).made == ALL[1:]
    assert tiny.prepared(ALL[2]).read_bytes() == data
    assert prepare(tiny, max_points=100).made == ALL
    write_label_table(tiny.root)
    os.utime(tiny.label_table, ns=(1, 1))
    assert prepare(tiny, max_points=100).made == ALL


def test_processes_give_the_same_bytes_and_one_bad_scan_stops_only_itself(tiny: DataFolder, tmp_path: Path) -> None:
    tiny.mesh(ALL[1]).write_bytes(b"ply\nnothing")
    (tiny.scans / "scene0005_00").mkdir()
    calls: list[tuple[int, int]] = []
    report = prepare(tiny, progress=lambda done, total: calls.append((done, total)))
    one = {path.name: path.read_bytes() for path in tiny.prepared("").parent.iterdir()}
    assert report.made == (ALL[0], ALL[2]) and len(report.errors) == 2
    assert "scene0001_00_vh_clean_2.ply" in report.errors[0] and "scene0005_00" in report.errors[1]
    assert calls == [(i, 4) for i in range(1, 5)]
    for path in tiny.prepared("").parent.iterdir():
        path.unlink()
    again = prepare(tiny, processes=2)
    assert again == report
    assert one == {path.name: path.read_bytes() for path in tiny.prepared("").parent.iterdir()}


def test_unknown_labels_are_an_option(tiny: DataFolder) -> None:
    tiny.aggregation(ALL[0]).write_text(tiny.aggregation(ALL[0]).read_text().replace("lamp", "gizmo"))
    assert "`gizmo`" in prepare(tiny).errors[0]
    report = prepare(tiny, skip_unknown_labels=True)
    assert not report.errors and any("gizmo" in note for note in report.notes)


def test_a_dead_process_is_told(tiny: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askscan.parallel._begin", os.abort)  # the processes end as they start
    write_tiny_scene(tiny.root, tiny_scene(3, 600))
    with pytest.raises(DataError, match="use fewer --processes"):
        prepare(tiny, processes=2)


def test_nothing_to_prepare_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scans; put one folder per scene"):
        prepare(DataFolder(tmp_path))
    with pytest.raises(ConfigError):
        prepare(DataFolder(tmp_path), processes=0)


@pytest.mark.slow
def test_a_scan_of_150000_vertices_takes_half_a_second(tmp_path: Path) -> None:
    write_label_table(tmp_path)
    for index in range(4):
        write_tiny_scene(tmp_path, tiny_scene(index, 150_000))
    start = time.perf_counter()
    assert len(prepare(DataFolder(tmp_path)).made) == 4
    assert (time.perf_counter() - start) / 4 < 0.5
