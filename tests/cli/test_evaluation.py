import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from tests.train import stand_ins

import askscan.cli as cli
from askscan.cli.console import console
from askscan.data.folder import DataFolder
from askscan.evaluate.runs import Run
from askscan.evaluate.score import Scores
from askscan.metrics import language
from askscan.train.answer import train_answers
from askscan.train.devices import Devices


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, and the runs `answers`, `blind` (question-only) and `pre`."""
    root = tmp_path_factory.mktemp("files")
    data = stand_ins.write_data(root).root
    stand_ins.train("answers", str(data), str(root / "answers"), 2, 0.0)
    stand_ins.train("pretrain", str(data), str(root / "pre"), 1, 0.0)
    config = replace(stand_ins.small_answers(1), question_only=True)
    cpu, teacher = Devices(accelerator="cpu"), stand_ins.StandInTeacher()
    train_answers(DataFolder(data), root / "blind", config, teacher=teacher, devices=cpu, say=lambda text: None)
    return root


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "teacher", lambda *args, **keywords: stand_ins.StandInTeacher())
    monkeypatch.setattr("shutil.which", lambda name: None)  # without Java's metrics, which take long


def evaluate(files: Path, run: str, *more: str) -> int:
    return cli.main(["evaluate", str(files / run), str(files), "--device", "cpu", *more])


def test_all_baselines_in_one_table_with_intervals(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    # The folder of a test may have a long name, and its row must not wrap. (COLUMNS is read once, at the first print.)
    monkeypatch.setattr(console, "_width", 400)
    assert evaluate(files, "blind") == 0
    capsys.readouterr()
    blind = str(files / "blind")
    assert evaluate(files, "answers", "--baselines", "--beside", blind) == 0
    table = capsys.readouterr().out.split("beside others")[1]
    names = (blind, "most frequent answer", "oracle box", "random proposal")
    rows = {name: next(line for line in table.splitlines() if name in line) for name in names}
    exact = Scores.load(files / "blind" / "scores.val.json")
    baseline = files / "answers" / "baselines" / "most-frequent-answer"
    assert len(json.loads((baseline / "details.val.json").read_text())) == 12
    low, high = exact.intervals["EM@1"]
    assert f"{exact.figures['EM@1']:.1f} [{low:.1f}, {high:.1f}]" in rows[blind]
    assert all("[" in row for row in rows.values())

    assert evaluate(files, "answers", "--baselines", "--beside", blind, "--json") == 0
    printed = json.loads(capsys.readouterr().out)  # nothing else is printed
    assert printed["num_questions"] == 12
    assert set(printed["beside"]) == set(names)
    assert printed["beside"][blind]["EM@1"] == pytest.approx(exact.figures["EM@1"], abs=1e-3)


def test_java_takes_long_which_is_said_and_can_be_left_out(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert evaluate(files, "blind", "--out", str(tmp_path)) == 0
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(language, "_meteor", lambda: Mock(compute_score=lambda right, found: (0.5, [])))
    monkeypatch.setattr(language, "_package", lambda: tmp_path)  # without SPICE's language models
    capsys.readouterr()
    command = ["score", str(tmp_path / "predictions.val.json"), str(files), "--json"]
    assert cli.main(command) == 0
    with_java = capsys.readouterr()
    assert json.loads(with_java.out)["METEOR"] == 50
    assert with_java.err.splitlines() == ["METEOR runs in Java, which can take minutes; `--no-java` skips it."]
    assert cli.main([*command, "--no-java"]) == 0
    without = capsys.readouterr()
    assert "METEOR" not in json.loads(without.out) and without.err == ""


def test_figures_of_classes_are_in_the_file_and_not_in_the_table(files: Path, capsys: pytest.CaptureFixture[str]):
    assert evaluate(files, "answers") == 0
    shown = capsys.readouterr().out
    assert "mAP@0.25" in shown and "AR@0.5" in shown and "AP@0.25 chair" not in shown and "AR@0.25 chair" not in shown
    assert {"AP@0.25 chair", "AR@0.25 chair"} <= Scores.load(files / "answers" / "scores.val.json").figures.keys()


def test_a_report_says_which_run_was_not_evaluated(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert evaluate(files, "blind", "--out", str(tmp_path / "blind")) == 0
    capsys.readouterr()
    runs = [str(tmp_path / "blind"), str(files / "pre")]
    assert cli.main(["report", *runs, "--out", str(tmp_path / "r.html")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"note: {files / 'pre'}: not evaluated on split val" in said and (tmp_path / "r.html").is_file()


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        ("answers", ("--baselines", "--shuffle-scenes"), "--shuffle-scenes"),
        ("answers", ("--beside", "nowhere"), "nowhere: has no scores of split val; run `askscan evaluate`"),
        ("pre", ("--shuffle-scenes",), "answers no questions"),
        ("pre", ("--baselines",), "answers no questions"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    files: Path, capsys: pytest.CaptureFixture[str], run: str, options: tuple[str, ...], said: str
):
    assert evaluate(files, run, *options) == 2
    assert said in capsys.readouterr().err
