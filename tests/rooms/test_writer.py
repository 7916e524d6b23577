import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from askscan.data.annotations import read_descriptions, read_questions, read_sqa3d
from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.scannet import read_scene
from askscan.data.situations import views_of
from askscan.errors import ConfigError, DataError
from askscan.rooms.writer import write_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rooms") / "rooms"
    seen: list[tuple[int, int]] = []
    done = write_collection(out, 3, 40, progress=lambda *at: seen.append(at))
    assert (done.num_new, done.num_kept) == (3, 0)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    return out


def _files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def _records(out: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted((out / "rooms").glob("*.json"))]


def test_the_readers_see_a_data_folder(collection: Path):
    folder = DataFolder(collection)
    assert folder.scenes("train") == ("scene0000_00", "scene0001_00")
    assert folder.scenes("val") == ("scene0002_00",)
    for record in _records(collection):
        scene, notes = read_scene(folder, record["scene_id"])
        truth = record["room"]["furnishings"]
        assert notes == () and scene.scene_type == record["room"]["scene_type"]
        assert scene.object_id.tolist() == [f["object_id"] for f in truth]
        boxes = np.array([[*f["center"], *f["size"]] for f in truth])
        np.testing.assert_allclose(scene.boxes, boxes, atol=2e-5)
        assert scene.rgb is not None and 40_000 <= len(scene.xyz) <= 150_000


def test_annotations_read_back(collection: Path):
    folder = DataFolder(collection)
    for split in ("train", "val"):
        scenes = set(folder.scenes(split))
        records = [r for r in _records(collection) if r["scene_id"] in scenes]
        questions = read_questions(folder, split)
        assert len(questions) == sum(len(r["questions"]) for r in records) > 0
        assert len({q.question_id for q in questions}) == len(questions)
        assert questions[0].question_id == f"{split}-{sorted(scenes)[0].split('_')[0]}-0"
        kinds = {(r["scene_id"], f["object_id"]): f["kind"] for r in records for f in r["room"]["furnishings"]}
        for q in questions:
            assert 1 <= len(q.answers) <= 3
            assert [kinds[q.scene_id, i] for i in q.object_ids] == list(q.object_names)
        for d in read_descriptions(folder, split):
            assert kinds[d.scene_id, d.object_id] == d.object_name
        assert len(read_sqa3d(folder, split)) == sum(len(r["situations"]) for r in records)


def test_situations_stand_where_they_were_planned(collection: Path):
    folder = DataFolder(collection)
    record = next(r for r in _records(collection) if r["scene_id"] == "scene0002_00")
    scene, _ = read_scene(folder, "scene0002_00")
    bank = SceneBank.from_scenes([scene])
    questions = read_sqa3d(folder, "val")
    views = views_of(questions, np.zeros(len(questions), np.int64), bank.scan_frame)
    for question, view, planned in zip(questions, views.of_question, record["situations"], strict=True):
        assert question.situation is not None
        frame = views.frame_of(torch.tensor([view]))
        assert frame is not None
        ahead = np.array([np.cos(planned["heading_rad"]), np.sin(planned["heading_rad"])])
        room = torch.tensor([[[*planned["position"], 0.5], [*(planned["position"] + 2 * ahead), 0.5]]])
        np.testing.assert_allclose(frame.points(room.float())[0], [[0, 0, 0.5], [2, 0, 0.5]], atol=2e-3)


def test_bytes_depend_on_the_seed_alone(collection: Path, tmp_path: Path):
    """Another number of rooms and of processes: the same room, byte for byte."""
    write_collection(tmp_path / "again", 2, 41, processes=2)
    for name in ("_vh_clean_2.ply", "_vh_clean_2.0.010000.segs.json", ".txt"):
        first, second = (
            (root / "scannet" / "scans" / scene / f"{scene}{name}").read_bytes().replace(scene.encode(), b"")
            for root, scene in ((collection, "scene0001_00"), (tmp_path / "again", "scene0000_00"))
        )
        assert first == second, name


def test_an_interrupted_collection_goes_on(collection: Path, tmp_path: Path):
    out = tmp_path / "copy"
    shutil.copytree(collection, out)
    whole = _files(out)
    (out / "rooms" / "scene0001_00.json").write_text('{"scene_id"')
    with pytest.raises(DataError, match=r"scene0001_00\.json: damaged.*delete it"):
        write_collection(out, 3, 40)
    (out / "rooms" / "scene0001_00.json").unlink()
    (out / "scannet" / "scans" / "scene0001_00" / "scene0001_00_vh_clean_2.ply").write_bytes(b"half")
    shutil.rmtree(out / "qa")
    done = write_collection(out, 3, 40)
    assert (done.num_new, done.num_kept) == (1, 2)
    assert _files(out) == whole


def test_a_finished_collection_stays_as_it_is(collection: Path, tmp_path: Path):
    """Also its times: files prepared from it would count as stale."""
    again = tmp_path / "again"
    shutil.copytree(collection, again)
    before = {path: path.stat().st_mtime_ns for path in again.rglob("*") if path.is_file()}
    assert write_collection(again, 3, 40).num_kept == 3
    assert {path: path.stat().st_mtime_ns for path in again.rglob("*") if path.is_file()} == before


def test_foreign_folders_are_left_alone(collection: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="holds no generated rooms"):
        write_collection(tmp_path, 1, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ConfigError, match="of other settings"):
        write_collection(collection, 3, 41)
    with pytest.raises(ConfigError, match="at least 1"):
        write_collection(tmp_path / "new", 0, 0)
    assert not (tmp_path / "new").exists()


def test_layouts_join_the_collection(tmp_path: Path):
    layout = tmp_path / "layout.json"
    layout.write_text(json.dumps([
        {"kind": "desk", "center": [1.0, 1.0, 0.37], "size": [0.7, 1.4, 0.74], "color": "white"},
        {"kind": "robot", "center": [2.5, 2.0, 0.4], "size": [0.5, 0.5, 0.8], "color": "orange"},
        {"kind": "chair", "center": [2.5, 1.0, 0.4], "size": [0.5, 0.5, 0.8], "color": "red"},
    ]))  # fmt: skip
    write_collection(tmp_path / "out", 0, 5, layouts=(layout,))
    scene, _ = read_scene(DataFolder(tmp_path / "out"), "scene0000_00")
    assert scene.box_class.tolist() == [10, 17, 2]
    layout.write_text("[]")
    with pytest.raises(DataError, match="1 to 120 boxes"):
        write_collection(tmp_path / "other", 0, 5, layouts=(layout,))
    assert not (tmp_path / "other").exists()
