import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.data.mutate import mutated

from askscan.data.annotations import answer_counts, answer_vocabulary, read_descriptions, read_questions, read_sqa3d
from askscan.data.folder import DataFolder
from askscan.errors import ConfigError, DataError


def test_every_real_scanqa_question(real_folder: DataFolder) -> None:
    read = {split: read_questions(real_folder, split) for split in ("val", "test_w_obj", "test_wo_obj")}
    assert {split: len(found) for split, found in read.items()} == {
        "val": 4675,
        "test_w_obj": 4976,
        "test_wo_obj": 6149,
    }
    raw = json.loads(real_folder.scanqa("val").read_text())
    for question, entry in zip(read["val"], raw, strict=True):
        assert question.text == entry["question"] and question.question_id == entry["question_id"]
        assert list(question.answers) == entry["answers"] and 2 <= len(question.answers) <= 8
        assert list(question.object_ids) == entry["object_ids"] and list(question.object_names) == entry["object_names"]
        assert question.situation is None
    for split, prefix in (("test_w_obj", "val-"), ("test_wo_obj", "test-")):
        for question in read[split]:
            assert question.question_id.startswith(prefix) and not question.answers and not question.object_ids


def test_vocabulary_of_the_real_answers(real_folder: DataFolder) -> None:
    questions = read_questions(real_folder, "val")
    counts = answer_counts(questions)
    raw = Counter(a for entry in json.loads(real_folder.scanqa("val").read_text()) for a in entry["answers"])
    assert counts == raw and answer_vocabulary(questions) == tuple(sorted(raw)) == tuple(counts)
    assert sum(len(set(q.answers)) < len(q.answers) for q in questions) == 757  # duplicates are kept and counted


def test_every_real_situated_question(real_folder: DataFolder) -> None:
    questions = read_sqa3d(real_folder, "val")
    assert len(questions) == 3261
    annotations = json.loads(real_folder.sqa3d_annotations("val").read_text())["annotations"]
    by_id = {str(entry["question_id"]): entry for entry in annotations}
    for question in questions:
        entry = by_id[question.question_id]
        assert question.answers == (entry["answers"][0]["answer"],) and question.text and question.situation.text
        assert question.situation.position == tuple(entry["position"][axis] for axis in "xyz")
        assert max(abs(value) for value in question.situation.position[:2]) < 5.5
        # Oracle: turn the x axis by the quaternion, as q v q*.
        z, w = entry["rotation"]["_z"], entry["rotation"]["_w"]
        facing = complex(w, z) ** 2 / abs(complex(w, z)) ** 2
        assert math.isclose(math.cos(question.situation.heading_rad), facing.real, abs_tol=1e-9)
        assert math.isclose(math.sin(question.situation.heading_rad), facing.imag, abs_tol=1e-9)


def test_descriptions(tiny: DataFolder) -> None:
    found = read_descriptions(tiny, "train")
    assert len(found) == 10 and {d.scene_id for d in found} == {"scene0000_00", "scene0001_00"}
    shower = next(d for d in found if d.object_id == 5)
    assert shower.object_name == "shower curtain" and shower.ann_id == "0" and shower.text.endswith("shower curtain.")


def test_unknown_splits_are_refused(tiny: DataFolder) -> None:
    for read in (read_descriptions, read_questions, read_sqa3d):
        with pytest.raises(ConfigError, match="no split `valid`"):
            read(tiny, "valid")


def test_missing_file_is_named(tiny: DataFolder) -> None:
    tiny.scanqa("val").unlink()
    with pytest.raises(DataError, match=r"ScanQA_v1\.0_val\.json: cannot be read"):
        read_questions(tiny, "val")


CHANGES = [
    ({"scene_id": 7}, "`scene_id` should be a string, got 7"),
    ({"scene_id": "../x"}, "no scene id"),
    ({"question": " "}, "`question` should be some words"),
    ({"question": "\ud800?"}, "valid text"),
    ({"question_id": None}, "`question_id` should be a string, got None"),
    ({"answers": "brown"}, "`answers` should be a list, got 'brown'"),
    ({"answers": ["brown", 2]}, "`answers` should be a string, got 2"),
    ({"object_ids": [1.5]}, "whole number"),
    ({"object_ids": [True]}, "whole number"),
    ({"object_ids": [-1]}, "whole number"),
    ({"object_ids": [10**40]}, "huge number"),
    ({"object_ids": [1, 2]}, "2 names, one per object id"),
    ({"object_names": {}}, "got an object"),
]


@pytest.mark.parametrize("change, said", CHANGES)
def test_wrong_fields_are_named_with_their_entry(tiny: DataFolder, change: dict, said: str) -> None:
    path = tiny.scanqa("val")
    entries = json.loads(path.read_text())
    entries[3] |= change
    path.write_text(json.dumps(entries))
    with pytest.raises(DataError, match=said) as caught:
        read_questions(tiny, "val")
    assert "ScanQA_v1.0_val.json: entry 3" in str(caught.value)


@pytest.mark.parametrize("key", ["scene_id", "question_id", "question", "answers", "object_ids", "object_names"])
def test_absent_fields_are_named(tiny: DataFolder, key: str) -> None:
    entries = json.loads(tiny.scanqa("val").read_text())
    del entries[1][key]
    tiny.scanqa("val").write_text(json.dumps(entries))
    with pytest.raises(DataError, match=f"entry 1: no `{key}`"):
        read_questions(tiny, "val")


def test_numbers_as_strings_and_empty_answers_are_read(tiny: DataFolder) -> None:
    entries = json.loads(tiny.scanqa("val").read_text())
    entries[0] |= {"object_ids": ["4"], "answers": []}
    tiny.scanqa("val").write_text(json.dumps(entries))
    question = read_questions(tiny, "val")[0]
    assert question.object_ids == (4,) and question.answers == ()


def test_a_situated_question_needs_its_annotation(tiny: DataFolder) -> None:
    path = tiny.sqa3d_annotations("val")
    content = json.loads(path.read_text())
    content["annotations"][0]["rotation"]["_w"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="unit quaternion"):
        read_sqa3d(tiny, "val")
    del content["annotations"][0]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="has no annotation"):
        read_sqa3d(tiny, "val")


def test_heading_and_position(tiny: DataFolder) -> None:
    headings = [question.situation.heading_rad for question in read_sqa3d(tiny, "val")]
    expected = [math.remainder(0.4 + 2 * turn, 2 * math.pi) for turn in range(3)]
    assert headings == pytest.approx(expected)
    assert read_sqa3d(tiny, "val")[2].situation.position == (1.0, -1.0, 0.0)


@pytest.mark.parametrize("depth", [200_000])
def test_deep_nesting_is_refused(tiny: DataFolder, depth: int) -> None:
    tiny.scanqa("val").write_text("[" * depth)
    with pytest.raises(DataError, match="not a readable JSON"):
        read_questions(tiny, "val")


def test_damaged_files_are_read_or_refused(tiny: DataFolder) -> None:
    rng = np.random.default_rng(3)
    num_read = 0
    for read, path in (
        (read_questions, tiny.scanqa("val")),
        (read_descriptions, tiny.scanrefer("val")),
        (read_sqa3d, tiny.sqa3d_questions("val")),
        (read_sqa3d, tiny.sqa3d_annotations("val")),
    ):
        data = path.read_bytes()
        for _ in range(120):
            path.write_bytes(mutated(data, rng))
            try:
                read(tiny, "val")
                num_read += 1
            except DataError as error:
                assert path.name in str(error)
        path.write_bytes(data)
    assert num_read > 40


def test_paths_of_this_machine_are_not_needed(tiny: DataFolder, tmp_path: Path) -> None:
    moved = tmp_path.with_name(tmp_path.name + " moved ü")
    tmp_path.rename(moved)
    assert len(read_questions(DataFolder(moved), "val")) == 5
