"""Training and evaluation of SQA3D's task on small scenes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
import yaml
from tests.train.situated import small_situated, write_situations

from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.data.prepared import load_prepared
from askscan.errors import ConfigError, DataError
from askscan.evaluate.answerer import Answerer
from askscan.evaluate.evaluate import EvaluationFiles, evaluate, predict_submission
from askscan.evaluate.runs import load_run
from askscan.evaluate.score import score_file
from askscan.records import Mesh, Scan
from askscan.train.answer import train_answers
from askscan.train.devices import Devices
from askscan.train.recipes import RECIPES, recipe, situated

CPU = Devices(accelerator="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    data = stand_ins.write_data(tmp_path_factory.mktemp("data"))
    write_situations(data)
    return data


def test_a_situated_run_trains_is_evaluated_and_predicts(
    folder: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher
) -> None:
    train_answers(folder, tmp_path / "run", small_situated(4), teacher=teacher, devices=CPU, say=lambda text: None)
    about = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert about["config"]["task"] == "sqa3d"
    run = load_run(tmp_path / "run")
    assert run.task == "sqa3d"
    scores = evaluate(run, folder, out=tmp_path, teacher=teacher, java=False)
    assert {"EM@1", "EM@1 what", "EM@1 which", "EM@10 answerable"} <= scores.figures.keys()
    assert scores.num_questions == 24
    assert "Acc@0.25" not in scores.figures and not any(name.startswith("mAP") for name in scores.figures)
    alone = score_file(EvaluationFiles.of(tmp_path, "val").predictions, folder, task="sqa3d")
    assert alone.figures == pytest.approx(scores.figures)
    shuffled = evaluate(run, folder, out=tmp_path, teacher=teacher, shuffle_scenes=True)
    assert shuffled.num_questions == 24
    assert predict_submission(run, folder, "train", out=tmp_path, teacher=teacher).is_file()
    xyz = load_prepared(folder.prepared("scene0000_00")).xyz
    mesh = Mesh(vertices=xyz, faces=np.zeros((0, 3), np.int32), colors=None, normals=None)
    scan = Scan(name="room", mesh=mesh, from_file=np.eye(4))
    with pytest.raises(ConfigError, match="agent's place"):
        Answerer(run, torch.device("cpu")).ask(scan, "What is it?")


def test_what_the_model_sees_depends_on_where_the_agent_looks(
    folder: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher
) -> None:
    """Four agents in one place of one scene ask the same: only the frame tells them apart."""
    train_answers(folder, tmp_path, small_situated(2), teacher=teacher, devices=CPU, say=lambda text: None)
    evaluate(load_run(tmp_path), folder, out=tmp_path, teacher=teacher, java=False)
    details = read_json(EvaluationFiles.of(tmp_path, "val").details, expected=list)
    same = [d["confidence"] for d in details if d["scene_id"] == "scene0006_00" and "front" in d["question"]]
    assert len(same) == 4 and len({tuple(confidence) for confidence in same}) == 4


def test_the_question_only_baseline_is_as_good_as_its_guess(
    folder: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher
) -> None:
    config = replace(small_situated(4), question_only=True)
    train_answers(folder, tmp_path, config, teacher=teacher, devices=CPU, say=lambda text: None)
    scores = evaluate(load_run(tmp_path), folder, out=tmp_path, teacher=teacher, java=False)
    assert scores.figures["EM@1"] <= 50  # four agents, four answers, one question


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_situated_form(name: str) -> None:
    config = situated(recipe(name).answers)
    assert config.model.scene.encoder.origin == "input" and config.task == "sqa3d"
    assert config.augment is None or not (config.augment.flip or config.augment.quarter_turns or config.augment.crop)
    assert config.loop.texts_per_scene <= 5
    with pytest.raises(ConfigError, match="sqa3d"):
        replace(config, augment=recipe("paper").answers.augment)
    with pytest.raises(ConfigError, match="agent's place"):
        replace(config, task="scanqa")


def test_missing_situations_are_named(folder: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher) -> None:
    other = stand_ins.write_data(tmp_path)
    with pytest.raises(DataError, match=r"v1_balanced_questions_train_scannetv2\.json"):
        train_answers(other, tmp_path / "run", small_situated(1), teacher=teacher, devices=CPU)


@pytest.mark.slow
def test_where_things_are_is_learnt_by_heart(tmp_path: Path, teacher: stand_ins.StandInTeacher) -> None:
    folder = stand_ins.write_data(tmp_path)
    write_situations(folder, num_scenes=1)
    folder.sqa3d_questions("val").unlink()
    config = small_situated(1500, dropout=0.0)
    weights = replace(config.weights, answer=10.0)  # detection is no part of the question here
    config = replace(config, augment=None, weights=weights)
    train_answers(folder, tmp_path / "run", config, teacher=teacher, devices=CPU, say=lambda text: None)
    scores = evaluate(load_run(tmp_path / "run"), folder, "train", out=tmp_path, teacher=teacher, java=False)
    assert scores.figures["EM@1"] > 60  # not seeing where the agent looks: at most 37.5
