"""Run folders are read strictly: a weight that is missing, renamed or too many never passes."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tests.train.stand_ins import StandInTeacher, train, write_data

from askscan.errors import ConfigError, DataError, WeightsError
from askscan.evaluate import runs
from askscan.evaluate.runs import load_run, resolve_run, such_as
from askscan.models.teacher import Teacher
from askscan.models.weights import read_checkpoint


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    train("answers", str(write_data(root).root), str(root / "run"), 1, 0.0)
    return root / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    for name in ("config.yaml", "model.safetensors", "answers.json"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("damage", ["missing", "renamed", "misshapen", "extra"])
def test_every_weight_counts(run: Path, damage: str) -> None:
    """One in nine is tried."""
    path = run / "model.safetensors"
    tensors = load_file(path)
    for name in list(tensors)[::9]:
        changed = {key: value for key, value in tensors.items() if key != name or damage == "extra"}
        if damage in ("renamed", "extra"):
            changed[f"{name}x"] = tensors[name].clone()
        if damage == "misshapen":
            changed[name] = torch.zeros(*tensors[name].shape, 2)
        save_file(changed, path)
        with pytest.raises(WeightsError, match=r"model\.safetensors: does not fit") as caught:
            load_run(run)
        assert name in str(caught.value)
    save_file(tensors, path)
    load_run(run)


def test_a_flipped_bit_is_noticed(run: Path) -> None:
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    for read in (load_run, read_checkpoint):
        with pytest.raises(WeightsError, match=r"model\.safetensors: .*checksum is that of other content.*; "):
            read(run)


def test_weights_in_16_bits_are_read_as_32(run: Path) -> None:
    tensors = load_file(run / "model.safetensors")
    halves = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_file(halves, run / "model.safetensors")
    assert all(t.dtype != torch.float16 for t in load_run(run).module.state_dict().values())


def test_files_of_different_runs_are_refused(run: Path) -> None:
    answers = json.loads((run / "answers.json").read_text())
    (run / "answers.json").write_text(json.dumps({**answers, "more": 1}))
    with pytest.raises(WeightsError, match="not of one run"):
        load_run(run)
    (run / "answers.json").write_text(json.dumps(dict.fromkeys(answers, "x")))
    with pytest.raises(DataError, match=r"answers\.json: the count of"):
        load_run(run)
    about = yaml.safe_load((run / "config.yaml").read_text())
    for change, message in (
        ({"stage": "other"}, "stage is 'other'"),
        ({"config": {**about["config"], "lopp": 1}}, "unknown field 'lopp'"),
        ({"config": {**about["config"], "task": "sqa3d"}}, "config.yaml: the agent's place"),
    ):
        (run / "config.yaml").write_text(yaml.safe_dump({**about, **change}))
        with pytest.raises(ConfigError, match=message):
            load_run(run)


def test_another_teacher_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = StandInTeacher()
    other.identity = "another"
    monkeypatch.setattr(Teacher, "load", lambda name, device: other)
    with pytest.raises(WeightsError, match=r"was trained with teacher stand-in.*'stand-in' is another.*--teacher"):
        load_run(run).teacher()


def test_runs_of_the_package_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped"
    for name, stage in (("rooms", "answers"), ("small", "pretrain"), ("other", "pretrain"), ("teacher", None)):
        (shipped / name).mkdir(parents=True)
        if stage:
            (shipped / name / "config.yaml").write_text(yaml.safe_dump({"stage": stage}))
    monkeypatch.setattr(runs, "SHIPPED", shipped)
    monkeypatch.setattr(runs, "DEFAULT_RUN", shipped / "rooms")
    monkeypatch.chdir(tmp_path)
    assert [resolve_run(name).name for name in ("default", "small")] == ["rooms", "small"]
    with pytest.raises(ConfigError, match=r"teacher: no such run.*package's `other` or `default` or `small`"):
        resolve_run("teacher")
    assert such_as("pretrain") == ", such as the package's `other` or `small`"
    assert such_as("answers") == ", such as the package's `default`"
    (tmp_path / "small").mkdir()  # a folder of the user's comes first
    assert resolve_run("small") == Path("small")
