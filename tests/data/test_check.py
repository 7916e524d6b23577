import json

import numpy as np
from tests.data.test_scannet import edit, write_arrays
from tests.data.tiny import tiny_scene

from askscan.data.check import check
from askscan.data.folder import DataFolder
from askscan.data.prepare import prepare

SCENE = "scene0000_00"


def problems(folder: DataFolder) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {problem.kind: (problem.count, problem.examples) for problem in check(folder).problems}


def test_a_good_folder_has_no_problems(tiny: DataFolder) -> None:
    prepare(tiny)
    report = check(tiny)
    assert report.problems == ()
    counts = {part.name: part.count for part in report.parts}
    assert counts["meshes"] == counts["prepared scenes"] == 3 and counts["prepared arrays"] == 0
    assert counts["ScanRefer train"] == counts["ScanQA train"] == 10 and counts["ScanQA test_w_obj"] == 5
    assert counts["SQA3D train"] == 6 and counts["ScanNet test list"] == 0 and counts["label table"] == 1
    assert report.missing["train"] == report.missing["evaluate"] == report.missing["train --task sqa3d"] == ()
    assert report.missing["pretrain"] == ("pictures (2 of 2 are missing: run askscan render)",)


def test_what_is_missing_for_which_command(tiny: DataFolder) -> None:
    tiny.scanqa("train").unlink()
    report = check(tiny)
    assert report.missing["prepare"] == ()
    assert report.missing["train"] == ("ScanQA train (qa/ScanQA_v1.0_train.json)",)
    assert report.missing["evaluate"] == ("prepared scenes (1 of 1 are missing: run askscan prepare)",)
    parts, commands, problems, notes = report.tables().values()
    assert ("ScanQA train", "-", "qa/ScanQA_v1.0_train.json") in parts and ("prepare", "ready", "") in commands
    assert ("train", "not ready", "ScanQA train (qa/ScanQA_v1.0_train.json)") in commands
    assert not problems and not notes
    assert json.loads(json.dumps(report.json()))["missing"]["train"] == list(report.missing["train"])


def test_one_scene_that_is_not_prepared_is_noticed(tiny: DataFolder) -> None:
    prepare(tiny)
    tiny.prepared(SCENE).unlink()
    tiny.picture(SCENE, "train").parent.mkdir(parents=True)
    tiny.picture(SCENE, "train").touch()
    tiny.scanqa("val").unlink()  # training works without
    missing = check(tiny).missing
    one = "prepared scenes (1 of 2 are missing: run askscan prepare)"
    assert missing["train"] == missing["train --task sqa3d"] == (one,)
    assert missing["pretrain"] == (one, "pictures (1 of 2 are missing: run askscan render)")
    assert missing["embed"] == missing["predict --split test_w_obj"] == ()


def test_weights_to_start_from_are_seen(tiny: DataFolder) -> None:
    assert {part.name: part.count for part in check(tiny).parts}["DepthContrast weights"] == 0
    tiny.depthcontrast.parent.mkdir()
    tiny.depthcontrast.touch()
    assert {part.name: part.count for part in check(tiny).parts}["DepthContrast weights"] == 1


def test_an_empty_folder_is_reported_not_refused(tmp_path) -> None:
    report = check(DataFolder(tmp_path))
    assert not any(part.count for part in report.parts) and report.problems == ()
    assert all(report.missing.values()) and "scans" in report.missing["render"][0]


def test_each_problem_is_found(tiny: DataFolder) -> None:
    def break_questions(entries) -> None:
        entries[0]["object_ids"] = [77]
        entries[1]["answers"] = []
        entries[2]["question_id"] = entries[3]["question_id"]
        entries[4]["object_names"] = ["gizmo"]

    edit(tiny.scanqa("train"), break_questions)
    edit(tiny.scanrefer("val"), lambda entries: entries[0].update(object_id="99"))
    edit(tiny.scanrefer("val"), lambda entries: entries[1].update(scene_id="scene0042_00"))
    edit(tiny.aggregation(SCENE), lambda content: content["segGroups"][0].update(label="gadget"))
    tiny.mesh("scene0001_00").unlink()
    tiny.info("scene0002_00").unlink()
    tiny.segments("scene0002_00").unlink()
    tiny.scanqa("test_w_obj").write_text("[{]")
    found = problems(tiny)
    assert found["question about an object that is not there"] == (1, ("train-scene0000-0: [77]",))
    assert found["question without answers"] == (1, ("train-scene0000-1",))
    assert found["question id used twice"][0] == 1
    assert found["unknown label in questions (taken as others)"] == (1, ("gizmo",))
    assert found["sentence about an object that is not there"] == (1, ("scene0002_00: 99",))
    assert found["annotated scene without scan"] == (1, ("scene0042_00",))
    assert found["unknown label in a scan"] == (1, (f"{SCENE}: gadget",))
    assert found["scene without mesh"] == (1, ("scene0001_00",))
    assert found["scene without axisAlignment (used as it stands)"] == (1, ("scene0002_00",))
    assert found["scene with only one of aggregation and segments"] == (1, ("scene0002_00",))
    assert found["unreadable file"][0] == 1 and "ScanQA_v1.0_test_w_obj.json" in found["unreadable file"][1][0]
    assert len(found) == 11
    tables = check(tiny).tables()
    notes = {row[0] for row in tables["worth knowing", "times", "such as"]}
    assert len(notes) == 3 and "annotated scene without scan" in notes
    assert {row[0] for row in tables["looks wrong", "times", "such as"]} == found.keys() - notes


def test_damaged_files_are_problems(tiny: DataFolder) -> None:
    prepare(tiny)
    broken = [tiny.mesh(SCENE), tiny.aggregation("scene0001_00"), tiny.prepared(SCENE), tiny.sqa3d_annotations("val")]
    broken += [tiny.label_table, tiny.scannet_list("val")]
    for path in broken:
        path.write_bytes(path.read_bytes()[:40] + b"\xff")
    report = check(tiny)
    told = next(p for p in report.problems if p.kind == "unreadable file")
    assert told.count == len(broken)


def test_objects_of_prepared_arrays_are_known_after_preparing(tiny: DataFolder) -> None:
    write_arrays(tiny, tiny_scene(0, 600))
    for path in (tiny.mesh(SCENE), tiny.aggregation(SCENE), tiny.segments(SCENE)):
        path.unlink()
    prepare(tiny)
    assert {part.name: part.count for part in check(tiny).parts}["prepared arrays"] == 1
    edit(tiny.scanqa("train"), lambda entries: entries[0].update(object_ids=[2]))  # the floor has no box
    assert problems(tiny)["question about an object that is not there"] == (1, ("train-scene0000-0: [2]",))
    assert np.array_equal([part.count for part in check(tiny).parts[:3]], [2, 1, 0])


def test_the_real_annotations(real_folder: DataFolder) -> None:
    report = check(real_folder)
    counts = {part.name: part.count for part in report.parts}
    assert [counts[f"ScanQA {s}"] for s in ("val", "test_w_obj", "test_wo_obj")] == [4675, 4976, 6149]
    assert counts["SQA3D val"] == 3261 and counts["ScanNet train list"] == 1201
    (absent,) = report.problems  # the scans cannot be shipped
    assert absent.kind == "annotated scene without scan" and absent.count > 238
