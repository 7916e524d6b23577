import json
from pathlib import Path

import pytest

from askscan.data.folder import DataFolder, check_scene_id, read_scene_list, scene_ids_of
from askscan.errors import DataError


def test_real_scene_lists(real_folder: DataFolder) -> None:
    lists = {split: read_scene_list(real_folder.scannet_list(split)) for split in ("train", "val", "test")}
    assert {split: len(ids) for split, ids in lists.items()} == {"train": 1201, "val": 312, "test": 100}
    assert lists["train"][0] == "scene0000_00"
    num_questioned = {s: len(scene_ids_of(real_folder.scanqa(s))) for s in ("val", "test_w_obj", "test_wo_obj")}
    assert num_questioned == {"val": 71, "test_w_obj": 70, "test_wo_obj": 97}
    assert real_folder.scenes("test_w_obj") == tuple(sorted(scene_ids_of(real_folder.scanqa("test_w_obj"))))
    situated = scene_ids_of(real_folder.sqa3d_questions("val"), "questions")
    assert set(real_folder.scenes("val")) == {*lists["val"], *scene_ids_of(real_folder.scanqa("val")), *situated}
    assert real_folder.scenes("test") == lists["test"]


def test_scenes_is_the_union_of_what_is_there(tiny: DataFolder) -> None:
    assert tiny.scenes("train") == ("scene0000_00", "scene0001_00") and tiny.scenes("val") == ("scene0002_00",)
    tiny.scannet_list("val").write_text("scene0700_00\n\n")
    assert tiny.scenes("val") == ("scene0002_00", "scene0700_00")
    for path in (tiny.scannet_list("val"), tiny.scanrefer_list("val"), tiny.scanqa("val"), tiny.sqa3d_questions("val")):
        path.unlink()
    assert tiny.scenes("val") == ("scene0002_00",)  # ScanRefer's sentences alone
    tiny.scanrefer("val").unlink()
    with pytest.raises(DataError, match=r"no scenes of split `val`; looked for .*ScanRefer_filtered_val\.json"):
        tiny.scenes("val")


def test_scans_on_disk_are_folders_and_arrays(tiny: DataFolder) -> None:
    tiny.array("x", "aligned_vert").parent.mkdir()
    tiny.array("scene0009_01", "aligned_vert").touch()
    (tiny.scans / ".hidden").mkdir()
    (tiny.scans / "readme.txt").touch()
    assert tiny.scans_on_disk() == ("scene0000_00", "scene0001_00", "scene0002_00", "scene0009_01")


@pytest.mark.parametrize("place", ["sqa3d", ".", "qa"])
def test_sqa3d_is_found_in_three_places(tiny: DataFolder, place: str) -> None:
    for path in (tiny.sqa3d_questions("val"), tiny.sqa3d_annotations("val")):
        path.rename(tiny.root / place / path.name)
    assert tiny.sqa3d_questions("val").parent == tiny.root / place
    assert tiny.sqa3d_annotations("val").is_file()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        DataFolder(tmp_path / "nowhere")


def test_scene_ids_cannot_leave_the_folder(tiny: DataFolder) -> None:
    for wrong in ("../etc", "a/b", "", ".", "..", "a\\b", "a b", "x" * 200, "a\n"):
        with pytest.raises(DataError, match=r"line 3: .* is no scene id"):
            check_scene_id(wrong, "list: line 3")
    entries = json.loads(tiny.scanqa("val").read_text())
    entries[0]["scene_id"] = "../../etc/passwd"
    tiny.scanqa("val").write_text(json.dumps(entries))
    with pytest.raises(DataError, match="is no scene id"):
        tiny.scenes("val")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"scene 1\n"])
def test_damaged_lists_are_refused(tiny: DataFolder, content: bytes) -> None:
    tiny.scannet_list("val").write_bytes(content)
    with pytest.raises(DataError, match="scannetv2_val"):
        tiny.scenes("val")
