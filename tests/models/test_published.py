from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.stand_ins import published_tensors

from askscan.errors import WeightsError
from askscan.models.published import read_published_run
from askscan.models.scan_qa import ScanQA
from askscan.models.weights import load_into


def published_folder(folder: Path, **info: Any) -> Path:
    torch.save(published_tensors("qa"), folder / "model.pth")
    answers = {f"answer {i:02d}": 50 - i for i in reversed(range(50))}
    (folder / "answer_vocab.json").write_text(json.dumps(answers))
    (folder / "info.json").write_text(json.dumps({"num_proposals": 256, "no_height": True} | info))
    return folder


def test_a_published_run_becomes_a_model(tmp_path: Path) -> None:
    run = read_published_run(published_folder(tmp_path, num_proposals=128))
    assert run.answer_counts == {f"answer {i:02d}": 50 - i for i in range(50)}
    assert list(run.answer_counts) == sorted(run.answer_counts) and run.num_points == 30_000
    assert run.config.scene.detector.num_proposals == 128
    model = ScanQA(run.config)
    assert str(load_into(model, run.weights)) == "201 of 201 model tensors from published 3D-VQA question answering"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("answer_vocab.json", '{"a": "many"}', r"answer_vocab\.json: the count of 'a' is 'many'"),
        ("answer_vocab.json", '{"a": 1}', r"answer_vocab\.json: 1 answers, but model\.pth has 50"),
        ("info.json", '{"num_proposals": -1}', r"info\.json: num_proposals is -1"),
        ("info.json", '{"num_points": 1000000000000}', r"info\.json: num_points is 1000000000000"),
        ("info.json", "[]", r"info\.json: expected a JSON object"),
        ("info.json", None, r"info\.json: cannot be read"),
    ],
)
def test_damaged_published_folders_are_refused(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    folder = published_folder(tmp_path)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(WeightsError, match=message):
        read_published_run(folder)


def test_three_channels_are_what_the_options_say(tmp_path: Path) -> None:
    folder = published_folder(tmp_path, use_normal=True)
    tensors = dict(published_tensors("qa"))
    first = "detection_backbone.sa1.mlp_module.layer0.conv.weight"
    tensors[first] = torch.cat([tensors[first]] * 2, 1)
    torch.save(tensors, folder / "model.pth")
    inputs = read_published_run(folder).config.scene.detector.backbone
    assert (inputs.color, inputs.normals, inputs.height) == (False, True, False)
