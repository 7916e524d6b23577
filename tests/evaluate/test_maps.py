import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from tests.train import stand_ins

from askscan.data.folder import DataFolder
from askscan.errors import ConfigError, DataError
from askscan.evaluate.answerer import Answerer
from askscan.evaluate.embeddings import KEYS, MANIFEST, write_embeddings
from askscan.evaluate.maps import map_path, map_scenes, project_2d, read_map, type_scores
from askscan.evaluate.runs import load_run
from askscan.train.answer import train_answers
from askscan.train.devices import Devices
from askscan.train.pretrain import pretrain

CPU = Devices(accelerator="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return stand_ins.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(data: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    teacher = stand_ins.StandInTeacher()
    blind = replace(stand_ins.small_answers(1), question_only=True)
    pretrain(data, root / "pre", stand_ins.small_pretrain(1), teacher=teacher, devices=CPU, say=lambda text: None)
    train_answers(data, root / "qa", stand_ins.small_answers(1), teacher=teacher, devices=CPU, say=lambda text: None)
    train_answers(data, root / "blind", blind, teacher=teacher, devices=CPU, say=lambda text: None)
    return root


def test_room_types_by_neighbours_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    types = rng.integers(0, 3, 60)
    rows = rng.normal(size=(60, 8)) + 1.2 * np.eye(8)[types]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    # Of equally frequent types scikit-learn takes the first, we the nearest: ties may fall either way.
    names = [("Bath", "Bed", "Den")[t] for t in types]
    ours = type_scores(rows, names)
    assert ours["room type most frequent"] == pytest.approx(100 * np.bincount(types).max() / 60)
    judge = KNeighborsClassifier(5)
    votes = judge.fit(unit, types).kneighbors(unit, n_neighbors=6, return_distance=False)[:, 1:]
    counts = np.sort([np.bincount(types[row], minlength=3) for row in votes], axis=1)
    tied = counts[:, -1] == counts[:, -2]
    right = cross_val_predict(judge, unit, types, cv=LeaveOneOut()) == types
    low, high = 100 * (right & ~tied).mean(), 100 * (right | tied).mean()
    assert low <= ours["room type k-NN"] <= high
    assert high - low < 40
    assert ours["room type k-NN"] > ours["room type most frequent"] + 10


def test_separated_types_score_100_and_unknown_ones_do_not_count():
    rows = np.array([[1, 0.01], [1, 0.02], [1, 0], [0, 1], [0.01, 1], [0.02, 1.0], [-1, -1]])
    scores = type_scores(rows, ["a", "a", "a", "b", "b", "b", ""])
    assert scores["room type k-NN"] == 0.0  # of five neighbours three are of the other type
    assert scores["room type silhouette"] > 99
    more = type_scores(np.concatenate([rows[:6]] * 3), ["a", "a", "a", "b", "b", "b"] * 3)
    assert more["room type k-NN"] == 100
    assert type_scores(rows[:1], ["a"]) == {} and type_scores(rows[:2], ["", ""]) == {}
    alone = type_scores(rows, ["a", "a", "a", "b", "b", "b", "c"])  # no other scene is of type c
    assert alone["room type k-NN"] == scores["room type k-NN"] and alone["room type most frequent"] == 50
    assert "room type silhouette" not in type_scores(rows[:3], ["a"] * 3)


def test_the_map_is_repeatable_and_in_its_frame():
    rows = np.random.default_rng(1).normal(size=(12, 6)) + 6 * np.eye(6)[np.arange(12) % 2]
    xy = project_2d(rows)
    assert np.array_equal(xy, project_2d(rows))
    assert np.abs(xy).max() == pytest.approx(1)
    assert len(np.unique(project_2d(rows[:3]).round(6), axis=0)) == 3


def test_a_pre_trained_run_is_mapped_with_retrieval(data: DataFolder, runs: Path, tmp_path: Path):
    teacher = stand_ins.StandInTeacher()
    found = map_scenes(load_run(runs / "pre"), data, "val", out=tmp_path, teacher=teacher)
    assert found.scene_ids == data.scenes("val")
    assert set(found.room_types) == {"Test room"}
    assert found.scores["R@10 scene -> sentence"] == found.scores["R@5 picture -> scene"] == 100
    assert found.scores["R@1 chance"] == pytest.approx(100 / 3)
    assert {"R@1 sentence -> scene", "R@1 scene -> picture"} <= set(found.scores)
    again = read_map(map_path(tmp_path, "val"))
    assert again.scene_ids == found.scene_ids
    assert again.scores == found.scores
    assert np.allclose(again.xy, found.xy, atol=1e-4)


def test_an_answering_run_is_mapped_without_a_teacher(data: DataFolder, runs: Path):
    found = map_scenes(load_run(runs / "qa"), data, "train")
    assert len(found.xy) == 6
    assert not any(name.startswith("R@") for name in found.scores)
    assert map_path(runs / "qa", "train").is_file()


def test_the_map_says_what_is_wrong(data: DataFolder, runs: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="question-only"):
        map_scenes(load_run(runs / "blind"), data, "val", out=tmp_path)
    (tmp_path / "ScanRefer_filtered_val.txt").write_text("scene0099_00\n")
    with pytest.raises(DataError, match="askscan prepare"):
        map_scenes(load_run(runs / "qa"), DataFolder(tmp_path), "val", out=tmp_path)
    for damage in ("{", '{"xy": [[0, 0]], "scene_ids": [], "room_types": [], "scores": {}}', "[]"):
        (tmp_path / "map.val.json").write_text(damage)
        with pytest.raises(DataError, match=r"map\.val\.json"):
            read_map(tmp_path / "map.val.json")


def test_embeddings_go_on_where_they_stopped(data: DataFolder, runs: Path, tmp_path: Path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    answerer = Answerer(load_run(runs / "qa"), torch.device("cpu"))
    out, steps = tmp_path / "out", []
    written = write_embeddings(answerer, data, out, progress=lambda done, total: steps.append((done, total)))
    assert (written.num_new, written.num_kept) == (9, 0)
    assert steps[-1] == (9, 9)
    first = load_file(out / "scene0000_00.safetensors")
    assert set(first) == set(KEYS) == set(json.loads((out / MANIFEST).read_text())["keys"])
    assert first["scene"].shape == (32,)
    assert first["proposals"].shape == (12, 32)
    assert first["center"].shape == first["size"].shape == (12, 3)
    assert ((first["objectness"] >= 0) & (first["objectness"] <= 1)).all()
    assert not np.array_equal(first["scene"], load_file(out / "scene0001_00.safetensors")["scene"])
    with safe_open(out / "scene0000_00.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["about"]) == {"scene_id": "scene0000_00", "scene_type": "Test room"}
    content = (out / "scene0003_00.safetensors").read_bytes()
    (out / "scene0003_00.safetensors").unlink()
    again = write_embeddings(answerer, data, out)
    assert (again.num_new, again.num_kept) == (1, 8)
    assert (out / "scene0003_00.safetensors").read_bytes() == content


def test_embeddings_touch_no_folder_of_others(data: DataFolder, runs: Path, tmp_path: Path):
    answerer = Answerer(load_run(runs / "qa"), torch.device("cpu"))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_embeddings(answerer, data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    write_embeddings(answerer, data, tmp_path / "out")
    with pytest.raises(ConfigError, match="embeddings of other settings"):
        write_embeddings(Answerer(load_run(runs / "pre"), torch.device("cpu")), data, tmp_path / "out")
    blind = Answerer(load_run(runs / "blind"), torch.device("cpu"))
    with pytest.raises(ConfigError, match="question-only"):
        write_embeddings(blind, data, tmp_path / "blind")
