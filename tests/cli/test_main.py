import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.render.shapes import furnished_room
from tests.train import stand_ins

import askscan.cli as cli
from askscan.cli import training
from askscan.data.folder import DataFolder
from askscan.data.ply import read_ply, write_ply
from askscan.evaluate.runs import Run, resolve_run, shipped_runs
from askscan.models.teacher import Teacher
from askscan.train.answer import train_answers
from askscan.train.devices import Devices


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small prepared scenes with sentences, questions and pictures."""
    return stand_ins.write_data(tmp_path_factory.mktemp("data")).root


@pytest.fixture(scope="module")
def blind(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A question-only run."""
    out = tmp_path_factory.mktemp("runs") / "blind"
    config = replace(stand_ins.small_answers(1), question_only=True)
    cpu, teacher = Devices(accelerator="cpu"), stand_ins.StandInTeacher()
    train_answers(DataFolder(data), out, config, teacher=teacher, devices=cpu, say=lambda text: None)
    return out


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every teacher is the stand-in."""
    for owner, name in ((Teacher, "load"), (Run, "teacher")):
        monkeypatch.setattr(owner, name, lambda *args, **keywords: stand_ins.StandInTeacher())


Refuse = Callable[..., str]


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command that must be refused; its one sentence."""

    def run(*arguments: object) -> str:
        assert cli.main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1
        assert said[0].startswith("askscan: ")
        return said[0]

    return run


def mine(folder: Path) -> Path:
    """A folder with something of the user's, which no command may touch."""
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    return folder


def untouched(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_help_names_every_command_and_loads_nothing_heavy():
    code = "from askscan.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    heavy = {"torch", "transformers", "sklearn", "scipy", "trimesh", "matplotlib", "numba", "lightning_fabric", "PIL"}
    heavy |= {"triton"}
    assert "tyro" in imported
    assert not imported & heavy
    for command in cli.commands():
        assert command in done.stdout


def test_every_command_explains_itself_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    for command in cli.commands():
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, "--help"])
        assert stopped.value.code == 0
        usage, *lines = capsys.readouterr().out.splitlines()
        assert command in usage
        assert not [line for line in lines if len(line) > 80]
        assert not [line for line in lines if "(default: )" in line or "{None}" in line]


@pytest.mark.parametrize("arguments", [["sing"], ["rooms"], ["train", "x"], ["rooms", "x", "--scenes", "many"]])
def test_what_cannot_be_parsed_is_exit_2(arguments: list[str]):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2


def test_missing_things_are_named(refuse: Refuse, data: Path, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    assert "nowhere.ply" in refuse("ask", f"{nowhere}.ply", "What is it?")
    assert "scene0404_00" in refuse("ask", "scene0404_00", "What is it?", "--data", data)
    assert "nowhere" in refuse("prepare", nowhere)
    assert "nowhere" in refuse("render", nowhere)
    assert "nowhere" in refuse("pretrain", nowhere, "--out", tmp_path / "out", "--recipe", "tiny")
    assert "nowhere" in refuse("evaluate", nowhere, data, "--out", tmp_path / "out")
    assert "nowhere" in refuse("predict", nowhere, data, "--out", tmp_path / "out")
    assert "nowhere.json" in refuse("score", f"{nowhere}.json", data)
    assert "nowhere" in refuse("embed", data, "--run", nowhere, "--out", tmp_path / "out")
    assert "nowhere" in refuse("report", nowhere)
    assert "nowhere" in refuse("report", data, "--data", nowhere)
    assert "nowhere" in refuse("train", data, "--out", tmp_path / "out", "--recipe", "tiny", "--init", nowhere)
    assert not list(tmp_path.iterdir())  # nothing was left behind


def test_unknown_options_are_named(refuse: Refuse, data: Path, tmp_path: Path):
    out = tmp_path / "out"
    said = refuse("pretrain", data, "--out", out, "--recipe", "huge")
    assert "'huge'" in said
    assert "paper-fast" in said  # what would do
    assert "loop.num_stepz" in refuse("train", data, "--out", out, "--set", "loop.num_stepz=4")
    assert "expected FIELD=VALUE" in refuse("train", data, "--out", out, "--set", "4")
    assert "loop.num_steps" in refuse("train", data, "--out", out, "--set", "loop.num_steps=many")
    said = refuse("train", data, "--out", out, "--set", "loop.num_stepz=4", "--set", "loop.seed=1")
    assert "loop.num_stepz" in said  # the second does not replace the first
    assert not out.exists()


def test_used_folders_are_left_alone(refuse: Refuse, data: Path, blind: Path, tmp_path: Path):
    used = mine(tmp_path / "used")
    for command in (
        ("rooms", used, "--scenes", 1),
        ("pretrain", data, "--out", used, "--recipe", "tiny", "--device", "cpu"),
        ("train", data, "--out", used, "--recipe", "tiny", "--device", "cpu"),
        ("demo", "--out", used),
        ("report", blind, "--out", used / "thesis.txt"),
    ):
        assert "used" in refuse(*command), command[0]
        assert untouched(used), command[0]
    assert (used / "thesis.txt").read_text() == "years of work"


def test_pictures_of_others_are_left_alone(refuse: Refuse, tmp_path: Path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"a holiday")
    for command in (("ask", "room.ply", "What is it?"), ("map", "room.ply", "a bed", "--run", "r")):
        assert "no picture of ours" in refuse(*command, "--picture", photo)
    assert photo.read_bytes() == b"a holiday"


def test_counts_of_answers_start_at_one(refuse: Refuse):
    assert "--answers" in refuse("ask", "room.ply", "What is it?", "--answers", -1)
    assert "--objects" in refuse("map", "room.ply", "a bed", "--run", "r", "--objects", 0)


def test_a_run_of_another_configuration_is_left_alone(refuse: Refuse, data: Path, blind: Path, tmp_path: Path):
    run = shutil.copytree(blind, tmp_path / "run")
    said = refuse("train", data, "--out", run, "--recipe", "tiny", "--device", "cpu")
    assert "--force" in said
    assert "another configuration" in said
    assert (run / "model.safetensors").read_bytes() == (blind / "model.safetensors").read_bytes()


def test_files_about_the_shipped_model_need_a_place(refuse: Refuse, data: Path):
    for command in ("evaluate", "predict"):
        assert "nothing is written there; say where its files go, such as --out runs/default" in refuse(
            command, "default", data
        )
        assert "nowhere: no such run" in refuse(command, "nowhere", data)
    before = sorted(shipped_runs()["tiny-answers"].iterdir())
    for path in (shipped_runs()["tiny-answers"], os.path.relpath(shipped_runs()["tiny-answers"])):
        assert "nothing is written there; say where its files go, such as --out runs/tiny-answers" in refuse(
            "evaluate", path, data
        )
    assert sorted(shipped_runs()["tiny-answers"].iterdir()) == before


def test_help_names_every_run_of_the_package(capsys: pytest.CaptureFixture[str]):
    for command in ("ask", "evaluate"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        shown = capsys.readouterr().out
        assert [name for name in shipped_runs() if f"`{name}`" not in shown] == []


def test_only_weights_are_something_to_start_from(refuse: Refuse, data: Path, tmp_path: Path):
    (tmp_path / "room.ply").touch()
    for command in ("pretrain", "train"):
        out = ("--out", tmp_path / "out", "--recipe", "tiny", "--device", "cpu")
        assert "room.ply: is a scan; --init takes weights" in refuse(
            command, data, *out, "--init", tmp_path / "room.ply"
        )
        missing = tmp_path / "checkpoint.pth.tar"  # not asked for at the Hub, however short its path
        assert "checkpoint.pth.tar: there is no such checkpoint" in refuse(command, data, *out, "--init", missing)
    assert training._start("checkpoints/checkpoint.pth.tar") == Path("checkpoints/checkpoint.pth.tar")
    assert not (tmp_path / "out").exists()


def test_a_run_of_the_hub_is_something_to_start_from(
    refuse: Refuse, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def download(name: str, **_: object) -> str:
        if name != "owner/model-v1.5":
            raise OSError("there is none")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert training._start("owner/model-v1.5") == tmp_path
    said = refuse("train", data, "--out", tmp_path / "out", "--recipe", "tiny", "--init", "owner/other")
    assert "owner/other: no such folder here, and the Hub does not give it (there is none)" in said


def test_a_run_of_the_package_is_something_to_start_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folders = shipped_runs()
    assert folders.keys() >= {"default", "tiny"}
    assert {name: training._start(name) for name in folders} == folders
    for name in ("default", "tiny"):
        (tmp_path / name).mkdir()
        assert training._start(name) == resolve_run(name)  # one order everywhere
    assert training._start("tiny") == Path("tiny")  # a folder of the user's comes first
    (tmp_path / "weights").touch()
    assert training._start("weights") == Path("weights")
    assert training._start(None) is None


def test_a_run_without_a_scene_encoder_cannot_embed(refuse: Refuse, data: Path, blind: Path, tmp_path: Path):
    assert "question-only" in refuse("embed", data, "--run", blind, "--out", tmp_path / "out", "--device", "cpu")
    assert "question-only" in refuse("export", blind, "--out", tmp_path / "out.pth", "--format", "votenet")


def test_the_objects_of_a_scan_become_boxes_beside_it(
    tmp_path: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]
):
    out, scan = tmp_path / "boxes.ply", ["--scan", str(tmp_path / "room.ply")]
    write_ply(tmp_path / "room.ply", furnished_room())
    assert cli.main(["export", "default", "--format", "ply", *scan, "--out", str(out)]) == 0
    capsys.readouterr()
    header, mesh = out.read_bytes().split(b"end_header")[0].decode(), read_ply(out)
    objects = [line for line in header.splitlines() if line.startswith("comment ")]
    assert objects and len(mesh.vertices) == 96 * len(objects)
    room = furnished_room().vertices
    assert (mesh.vertices.mean(0) > room.min(0)).all() and (mesh.vertices.mean(0) < room.max(0)).all()
    assert "--scan" in refuse("export", "default", "--format", "ply", "--out", tmp_path / "other.ply")
    assert "exists" in refuse("export", "default", "--format", "ply", *scan, "--out", out)


def test_a_teacher_that_is_finished_says_so(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refuse: Refuse
):
    monkeypatch.setattr("askscan.evaluate.teaching.sentence_picture_recall", lambda *_: {"R@1": 50.0})
    sizes = "steps=2 vocab_size=300 text_width=64 text_layers=1 vision_width=64 vision_layers=1 image_size=32"
    arguments = ["teacher", str(data), "--out", str(tmp_path / "clip"), "--device", "cpu", "--set", *sizes.split()]
    for said in ("a teacher trained on 6 pictures", "this teacher is finished, nothing to do"):
        assert cli.main(arguments) == 0
        assert said in capsys.readouterr().out
    assert "holds no teacher of these settings" in refuse(*arguments, "seed=1")


def test_a_check_that_finds_something_wrong_is_exit_2(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = shutil.copytree(data, tmp_path / "data")
    assert cli.main(["prepare", str(folder), "--check"]) == 0
    assert "worth knowing" in capsys.readouterr().out  # scenes of the questions have no scans here
    (folder / "qa" / "ScanQA_v1.0_val.json").write_text("[{]")
    assert cli.main(["prepare", str(folder), "--check", "--json"]) == 2
    said = capsys.readouterr()
    assert "looks wrong (unreadable file)" in said.err
    problems = json.loads(said.out)["problems"]  # all of it, and nothing else
    assert {problem["kind"]: problem["harmless"] for problem in problems} == {
        "unreadable file": False,
        "annotated scene without scan": True,
    }


def test_bad_prediction_files_are_counted(refuse: Refuse, data: Path, tmp_path: Path):
    path = tmp_path / "predictions.json"
    path.write_text("[")
    assert "predictions.json" in refuse("score", path, data)
    path.write_text(json.dumps([{"question_id": "val-nobody", "answer_top10": ["red"]}]))
    said = refuse("score", path, data)
    assert "unknown question ids: 1" in said
    assert "questions without a prediction: 12" in said


def test_evaluating_a_run_writes_its_files(data: Path, blind: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["evaluate", str(blind), str(data), "--out", str(tmp_path), "--device", "cpu"]
    assert cli.main([*arguments, "--baselines"]) == 0
    shown = capsys.readouterr().out
    assert "12 questions" in shown
    assert "most frequent answer" in shown
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"predictions.val.json", "scores.val.json", "details.val.json", "baselines"}
    assert cli.main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["num_questions"] == 12
    assert 0 <= printed["EM@1"] <= printed["EM@10"] <= 100
    assert cli.main(["score", str(tmp_path / "predictions.val.json"), str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["EM@1"] == printed["EM@1"]
    page = tmp_path / "page.html"
    runs = [str(tmp_path), str(tmp_path / "baselines" / "most-frequent-answer")]
    assert cli.main(["report", *runs, "--out", str(page)]) == 0
    assert "most-frequent-answer" in page.read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_the_system_says_becomes_a_sentence(
    number: int, refuse: Refuse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def fail() -> None:
        raise OSError(number, "so it is", str(tmp_path / "full"))

    monkeypatch.setattr(cli, "commands", lambda: {"fail": fail, "other": fail})
    said = refuse("fail")
    assert "full: " in said
    assert cli._MENDABLE_ERRNO[number] in said


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_reader_that_has_seen_enough_ends_it_quietly(length: int):
    code = "import os, sys, askscan.cli as c\nos.read(0, 1)\n"
    code += f"c.commands = lambda: dict(a=lambda: print('x' * {length}), b=print)\nsys.exit(c.main(['a']))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(b"!")
        process.stdin.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_bugs_and_interruptions_are_told_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def bug() -> None:
        raise ZeroDivisionError

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "commands", lambda: {"bug": bug, "stop": stop})
    with pytest.raises(ZeroDivisionError):  # exit code 1, with its traceback
        cli.main(["bug"])
    assert cli.main(["stop"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert cli.main(["--version"]) == 0
