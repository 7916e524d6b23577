import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tests.train import stand_ins

import askscan.cli as cli
from askscan.data.ply import write_ply
from askscan.evaluate.runs import Run, such_as
from askscan.models.teacher import Teacher
from askscan.records import Mesh


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pre`, a run that takes every proposal for an object; `answers`; and a scan."""
    root = tmp_path_factory.mktemp("files")
    data = str(stand_ins.write_data(root).root)
    stand_ins.train("pretrain", data, str(root / "pre"), 1, 0.0)
    stand_ins.train("answers", data, str(root / "answers"), 1, 0.0)
    weights = load_file(root / "pre" / "model.safetensors")
    weights["scene.detector.proposal.head.bias"][1] = 20.0
    save_file(weights, root / "pre" / "model.safetensors")
    scene, _ = stand_ins.make_scene("room", 0)
    faces = np.zeros((0, 3), np.int32)
    write_ply(root / "room.ply", Mesh(vertices=scene.xyz, faces=faces, colors=scene.rgb, normals=None))
    return root


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((Teacher, "load"), (Run, "teacher")):
        monkeypatch.setattr(owner, name, lambda *args, **keywords: stand_ins.StandInTeacher())


def command(files: Path, run: str, *more: str) -> int:
    return cli.main(
        ["map", str(files / "room.ply"), "a bed", "a chair", "--run", str(files / run), "--device", "cpu", *more]
    )


def test_a_map_is_printed_and_drawn(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = tmp_path / "map.png"
    assert command(files, "pre", "--picture", str(picture), "--objects", "2") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line]
    assert [said[0], said[3], said[6]] == ["a bed", "a chair", f"picture: {picture}"]
    assert all("centre (" in said[i] for i in (1, 2, 4, 5))
    assert picture.stat().st_size > 10_000
    assert command(files, "pre", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [entry["phrase"] for entry in printed] == ["a bed", "a chair"]
    similarity = [found["similarity"] for found in printed[0]["objects"]]
    assert similarity == sorted(similarity, reverse=True)
    assert np.array(printed[0]["objects"][0]["box"]["corners"]).shape == (8, 3)
    assert f"{similarity[0]:+.3f}" in said[1]
    assert printed[0]["frame"]["metres_per_unit"] == 1.0


def test_what_cannot_be_mapped_is_exit_2(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, named in (
        (("answers",), f"askscan pretrain`{such_as('pretrain')}."),
        (("nowhere",), "nowhere"),
        (("pre", "--picture", str(tmp_path / "map.gif")), "map.gif"),
        (("pre", "--data", str(files)), "room.ply"),
    ):
        assert command(files, *arguments) == 2
        assert named in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
