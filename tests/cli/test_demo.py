import json
from pathlib import Path

import pytest
from tests.train import stand_ins

import askscan.cli as cli
from askscan.cli import demo
from askscan.evaluate.runs import Run
from askscan.models.teacher import Teacher
from askscan.train import recipes


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A demo of a few rooms and steps with the stand-in teacher and small networks."""
    for name, value in {
        "NUM_TRAIN": 2,
        "NUM_UNSEEN": 2,
        "PRETRAIN_STEPS": 2,
        "ANSWER_STEPS": 2,
        "FINE_TUNE_STEPS": 2,
    }.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "SHIPPED", tmp_path / "nothing")
    for owner, name in ((Teacher, "load"), (Run, "teacher")):
        monkeypatch.setattr(owner, name, lambda *args, **keywords: stand_ins.StandInTeacher())
    small = recipes.Recipe(pretrain=stand_ins.small_pretrain(), answers=stand_ins.small_answers())
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: small)
    return tmp_path / "demo"


@pytest.mark.slow
def test_the_demo_runs_goes_on_and_keeps_to_its_folder(small: Path, capsys: pytest.CaptureFixture[str]):
    command = ["demo", "--out", str(small), "--processes", "1"]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    for name in ("most frequent answer", "question-only", "scratch", "pre-trained", "encoder-untrained", "by chance"):
        assert name in shown
    page = (small / "report.html").read_text()
    assert "encoder-untrained" in page
    assert "question-only" in page
    assert page.count("data:image/jpeg") == 2
    weights = {path: path.read_bytes() for path in small.rglob("model.safetensors")}
    assert len(weights) == 4
    scores = (small / "runs" / "scratch" / "scores.val.json").stat().st_mtime_ns

    # A stage that was lost is made again; the others are kept.
    (small / "runs" / "encoder" / "map.val.json").unlink()
    (small / "report.html").unlink()
    assert cli.main(command) == 0
    assert (small / "report.html").is_file()
    assert {path: path.read_bytes() for path in weights} == weights
    assert (small / "runs" / "scratch" / "scores.val.json").stat().st_mtime_ns == scores

    assert cli.main([*command, "--teacher", "other"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert json.loads((small / "demo.json").read_text())["teacher"] == "default"
