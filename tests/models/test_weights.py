"""Foreign checkpoints, by stand-ins with the published names and shapes."""

from __future__ import annotations

import pickle
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.models import tiny
from tests.models.stand_ins import published_tensors
from torch import Tensor

from askscan.errors import WeightsError
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import Pretrainer, PretrainerConfig
from askscan.models.published import detector_config, fitted_detector, scan_qa_config
from askscan.models.scan_qa import QuestionOnly, ScanQA, ScanQAConfig
from askscan.models.scene_encoder import SceneModelConfig
from askscan.models.votenet import DetectorConfig
from askscan.models.weights import (
    BACKBONE,
    FIRST_LAYER,
    Foreign,
    export,
    load_into,
    read_checkpoint,
    with_answers,
    write_export,
)

PREFIX = "detection_backbone."


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def backbone() -> dict[str, Tensor]:
    """The published backbone under its bare names."""
    return {n.removeprefix(PREFIX): t for n, t in published_tensors("pretrain").items() if n.startswith(PREFIX)}


def depthcontrast() -> dict[str, Any]:
    trunk = {f"module.trunk.0.{name}": tensor for name, tensor in backbone().items()}
    copies = {f"module.trunk.1.{name}": tensor + 1 for name, tensor in backbone().items()}
    head = {"module.trunk.0.head.clf.0.weight": torch.ones(3, 3)}
    return {"model": trunk | copies | head, "train_criterion": {}, "optimizer": {"state": {}}, "epoch": 150}


def votenet(*, height: bool = True) -> dict[str, Any]:
    """The original detector: 256 wide after fp1, a height channel."""
    renamed = {"detection_backbone.": "backbone_net.", "voting_net.": "vgen.", "proposal_net.": "pnet."}
    tensors = {}
    for name, tensor in published_tensors("pretrain").items():
        for ours, theirs in renamed.items():
            if name.startswith(ours):
                tensors[theirs + name.removeprefix(ours)] = tensor
    for name, tensor in tensors.items():
        halved = tuple({512: 256, 515: 259, 768: 512}.get(size, size) for size in tensor.shape)
        if name.startswith("backbone_net.fp1.mlp.layer0.conv"):
            halved = (256, 512, 1, 1)
        tensors[name] = tensor[tuple(slice(size) for size in halved)]
    if height:
        first = "backbone_net.sa1.mlp_module.layer0.conv.weight"
        tensors[first] = torch.cat([tensors[first], torch.full((64, 1, 1, 1), 0.5)], 1)
    return {"model_state_dict": tensors, "optimizer_state_dict": {}, "epoch": 180, "loss": 1.0}


def with_inputs(**inputs: bool) -> PretrainerConfig:
    return PretrainerConfig(scene=SceneModelConfig(detector=DetectorConfig(backbone=BackboneConfig(**inputs))))


def with_detector_of(foreign: Foreign) -> PretrainerConfig:
    return PretrainerConfig(scene=SceneModelConfig(detector=detector_config(foreign)))


def test_depthcontrast_fills_the_backbone(tmp_path: Path) -> None:
    model = Pretrainer(PretrainerConfig())
    foreign = read_checkpoint(saved(tmp_path / "checkpoint-ep150.pth.tar", depthcontrast()))
    assert str(load_into(model, foreign)) == "96 of 96 backbone tensors from DepthContrast"
    state = model.state_dict()
    for name, tensor in backbone().items():
        ours = name.replace("mlp_module.layer", "mlp.").replace("mlp.layer", "mlp.")
        ours = ours.replace(".conv.", ".linear.").replace(".bn.bn.", ".norm.")
        assert torch.equal(state[BACKBONE + ours].flatten(), tensor.flatten()), name


def test_old_files_without_counters_load(tmp_path: Path) -> None:
    content = depthcontrast()
    content["model"] = {name: t for name, t in content["model"].items() if "num_batches" not in name}
    coverage = load_into(Pretrainer(PretrainerConfig()), read_checkpoint(saved(tmp_path / "old.pth", content)))
    assert str(coverage) == "80 of 80 backbone tensors from DepthContrast"


def test_missing_inputs_start_at_zero_and_that_is_said(tmp_path: Path) -> None:
    model = Pretrainer(with_inputs(color=True, height=True))
    coverage = load_into(model, read_checkpoint(saved(tmp_path / "a.pth", depthcontrast())))
    assert coverage.notes == ("4 of 7 input channels are not in the file: their weights start at zero",)
    first = model.state_dict()[FIRST_LAYER]
    assert torch.equal(first[:, :3], backbone()["sa1.mlp_module.layer0.conv.weight"][:, :, 0, 0])
    assert float(first[:, 3:].abs().max()) == 0.0


def test_votenet_widths_and_height_are_read_from_the_file(tmp_path: Path) -> None:
    foreign = read_checkpoint(saved(tmp_path / "votenet.tar", votenet()))
    config = detector_config(foreign)
    assert config.backbone.height and not config.backbone.color
    assert config.backbone.fp_channels == ((256, 256), (256, 256))
    assert (config.num_heading, config.vote_factor, config.proposal_channels) == (1, 1, (128, 128, 128))
    model = Pretrainer(PretrainerConfig(scene=SceneModelConfig(detector=config)))
    coverage = load_into(model, foreign)
    assert (coverage.num_loaded, coverage.part) == (coverage.num_wanted, "detector")
    assert "garbagebin" in str(coverage)
    # Its height belongs in the height column, not in the first one after xyz.
    inputs = replace(config.backbone, color=True, normals=True)
    wider = Pretrainer(PretrainerConfig(scene=SceneModelConfig(detector=replace(config, backbone=inputs))))
    load_into(wider, foreign)
    first = wider.state_dict()[FIRST_LAYER]
    assert float(first[:, 3:9].abs().max()) == 0.0
    assert bool((first[:, 9] == 0.5).all())


def test_a_detector_takes_on_the_widths_and_height_of_the_file(tmp_path: Path) -> None:
    foreign = read_checkpoint(saved(tmp_path / "votenet.tar", votenet()))
    wanted = DetectorConfig(num_proposals=64, proposal_neighbors=8, backbone=BackboneConfig(color=True))
    config = fitted_detector(wanted, foreign)
    assert config.backbone.fp_channels == ((256, 256), (256, 256))
    assert config.backbone.height and config.backbone.color
    assert (config.num_proposals, config.proposal_neighbors) == (64, 8)
    model = Pretrainer(PretrainerConfig(scene=SceneModelConfig(detector=config)))
    assert load_into(model, foreign).notes[0].startswith("3 of 7 input channels are not in the file")
    own = tmp_path / "model.safetensors"
    save_file(model.state_dict(), own)
    assert fitted_detector(wanted, read_checkpoint(own)) == config


def test_a_file_with_more_inputs_is_refused(tmp_path: Path) -> None:
    foreign = read_checkpoint(saved(tmp_path / "votenet.tar", votenet()))
    config = detector_config(foreign)
    plain = replace(config, backbone=replace(config.backbone, height=False))
    with pytest.raises(WeightsError, match=r"sa1\.mlp_module\.layer0\.conv\.weight \[64, 4, 1, 1\] for \[64, 3\]"):
        load_into(Pretrainer(PretrainerConfig(scene=SceneModelConfig(detector=plain))), foreign)


@pytest.mark.parametrize("wrapped", [False, True])
def test_published_models_fill_everything(tmp_path: Path, wrapped: bool) -> None:
    clip = {"clip_model.logit_scale": torch.ones(()), "lang_net.clip_model.logit_scale": torch.ones(())}
    for name in ("pretrain", "qa"):
        content: dict[str, Any] = published_tensors(name) | clip
        content = {"model_state_dict": content, "epoch": 3} if wrapped else content
        foreign = read_checkpoint(saved(tmp_path / f"{name}.pth", content))
        if name == "pretrain":
            model: Pretrainer | ScanQA = Pretrainer(with_detector_of(foreign))
            assert model.config == PretrainerConfig()
        else:
            model = ScanQA(scan_qa_config(foreign))
            assert model.config == ScanQAConfig(num_answers=50)
        coverage = load_into(model, foreign)
        expected = len(published_tensors(name)) - 4 * (name == "pretrain")  # a head that pre-training never uses
        assert (coverage.num_loaded, coverage.num_wanted, coverage.part) == (expected, expected, "model")


def test_pretrained_weights_move_to_question_answering(tmp_path: Path) -> None:
    published = read_checkpoint(saved(tmp_path / "model_last.pth", published_tensors("pretrain")))
    model = ScanQA(ScanQAConfig(num_answers=5))
    assert str(load_into(model, published)) == "161 of 161 scene tensors from published 3D-VQA pre-training"
    pretrainer = Pretrainer(tiny.PRETRAINER)
    run = tmp_path / "run"
    run.mkdir()
    save_file(pretrainer.state_dict(), run / "model.safetensors")
    small = ScanQA(tiny.SCAN_QA)
    coverage = load_into(small, read_checkpoint(run))
    assert (coverage.part, coverage.source) == ("scene", "askscan pre-training")
    for name, tensor in pretrainer.scene.state_dict().items():
        assert torch.equal(small.scene.state_dict()[name], tensor), name


@pytest.mark.parametrize("damage", ["missing", "misshapen", "renamed", "none"])
@pytest.mark.parametrize("kind", ["depthcontrast", "votenet", "pretrain", "qa"])
def test_names_that_do_not_match_never_pass(tmp_path: Path, kind: str, damage: str) -> None:
    """Every single tensor of every kind counts (one in seven is tried): without it, nothing loads."""
    content = {"depthcontrast": depthcontrast, "votenet": lambda: votenet(height=False)}.get(
        kind, lambda: dict(published_tensors(kind))
    )()
    names = content.get("model", content.get("model_state_dict", content))
    whole = read_checkpoint(saved(tmp_path / "whole.pth", content))
    if kind == "qa":
        model: Pretrainer | ScanQA = ScanQA(scan_qa_config(whole))
    else:
        model = Pretrainer(with_detector_of(whole))
    if damage == "none":
        assert load_into(model, whole).num_loaded > 90
        return
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    needed = [
        name
        for name in names
        if not name.endswith("num_batches_tracked") and "trunk.1" not in name and "head.clf" not in name
        and not (kind == "pretrain" and name.startswith("object_cls"))
    ]  # fmt: skip
    for name in needed[::7]:
        tensors = {n.removeprefix("module."): t for n, t in names.items()}
        bare = name.removeprefix("module.")
        tensor = tensors.pop(bare)
        if damage == "misshapen":
            tensors[bare] = torch.zeros(*(size + 1 for size in tensor.shape))
        elif damage == "renamed":
            tensors[bare + "x"] = tensor
        with pytest.raises(WeightsError) as caught:
            load_into(model, replace(whole, tensors=tensors))
        assert bare in str(caught.value), name
        assert str(whole.path) in str(caught.value)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), f"{name} changed though the load failed"


@pytest.mark.parametrize("kind", ["depthcontrast", "votenet", "pretrain", "qa"])
def test_a_file_with_more_than_the_model_has_never_passes(tmp_path: Path, kind: str) -> None:
    """One layer more in a file is another model, though every name that is wanted is there."""
    content = {"depthcontrast": depthcontrast, "votenet": votenet}.get(kind, lambda: dict(published_tensors(kind)))()
    tensors = content.get("model", content.get("model_state_dict", content))
    first = next(name for name in tensors if "sa1.mlp_module.layer2.conv" in name and "trunk.1" not in name)
    more = first.replace("layer2", "layer3")
    tensors[more] = tensors[first].clone()
    foreign = read_checkpoint(saved(tmp_path / "more.pth", content))
    if kind == "qa":
        model: Pretrainer | ScanQA = ScanQA(scan_qa_config(foreign))
    else:
        model = Pretrainer(with_detector_of(foreign))
    with pytest.raises(WeightsError, match="without a place in this model") as caught:
        load_into(model, foreign)
    assert more.removeprefix("module.") in str(caught.value)


def test_ours_with_more_layers_or_positions_never_passes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for change, name in (({"num_layers": 2}, "encoder.layers.1."), ({"positions": True}, "position_embedding")):
        scene = replace(tiny.SCENE, encoder=replace(tiny.ENCODER, **change))  # type: ignore[arg-type]
        save_file(Pretrainer(replace(tiny.PRETRAINER, scene=scene)).state_dict(), path)
        for model in (Pretrainer(tiny.PRETRAINER), ScanQA(tiny.SCAN_QA)):
            with pytest.raises(WeightsError, match=f"without a place in this model: scene.*{name}"):
                load_into(model, read_checkpoint(path))


def test_positions_start_anew_where_the_file_knows_none_and_that_is_said(tmp_path: Path) -> None:
    encoder = replace(tiny.ENCODER, positions=True)
    model = ScanQA(replace(tiny.SCAN_QA, scene=replace(tiny.SCENE, encoder=encoder)))
    path = tmp_path / "model.safetensors"
    save_file(Pretrainer(tiny.PRETRAINER).state_dict(), path)
    coverage = load_into(model, read_checkpoint(path))
    assert coverage.notes == ("the file's model knows no positions: their embedding starts anew",)
    assert coverage.num_loaded == coverage.num_wanted
    whole = Pretrainer(replace(tiny.PRETRAINER, scene=replace(tiny.SCENE, encoder=encoder))).state_dict()
    save_file(whole, path)
    assert load_into(model, read_checkpoint(path)).notes == ()
    del whole["scene.encoder.position_embedding.2.bias"]
    save_file(whole, path)
    with pytest.raises(WeightsError, match=r"missing: scene\.encoder\.position_embedding\.2\.bias"):
        load_into(model, read_checkpoint(path))


def test_exports_come_back(tmp_path: Path) -> None:
    torch.manual_seed(3)
    pretrainer, qa = Pretrainer(PretrainerConfig()), ScanQA(ScanQAConfig(num_answers=50))
    for model, layout, prefix in (
        (pretrainer, "depthcontrast", BACKBONE),
        (pretrainer, "votenet", "scene.detector."),
        (pretrainer, "3dvqa", ""),
        (qa, "3dvqa", ""),
    ):
        path = tmp_path / f"{layout}.pth"
        write_export(model, layout, path)  # type: ignore[arg-type]
        twin = Pretrainer(PretrainerConfig()) if model is pretrainer else ScanQA(ScanQAConfig(num_answers=50))
        load_into(twin, read_checkpoint(path))
        for name, tensor in model.state_dict().items():
            if name.startswith(prefix):
                assert torch.equal(twin.state_dict()[name], tensor), (layout, name)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("name", ["pretrain", "qa"])
def test_exports_have_the_published_names_and_shapes(name: str) -> None:
    model = Pretrainer(PretrainerConfig()) if name == "pretrain" else ScanQA(ScanQAConfig(num_answers=50))
    expected = {key: tuple(tensor.shape) for key, tensor in published_tensors(name).items()}
    assert {key: tuple(tensor.shape) for key, tensor in export(model, "3dvqa").items()} == expected


def test_what_the_published_model_has_no_place_for_is_not_exported() -> None:
    encoder = replace(tiny.ENCODER, positions=True)
    model = Pretrainer(replace(tiny.PRETRAINER, scene=replace(tiny.SCENE, encoder=encoder)))
    with pytest.raises(WeightsError, match="position_embedding"):
        export(model, "3dvqa")


def test_another_teacher_or_vocabulary_is_told(tmp_path: Path) -> None:
    qa = read_checkpoint(saved(tmp_path / "model.pth", published_tensors("qa")))
    with pytest.raises(WeightsError, match=r"answer_cls\.3\.weight"):
        load_into(ScanQA(replace(scan_qa_config(qa), num_answers=7)), qa)
    pretrained = read_checkpoint(saved(tmp_path / "model_last.pth", published_tensors("pretrain")))
    with pytest.raises(WeightsError, match=r"scene_head\.1\.weight \[512, 256\] for \[192, 256\].*give the teacher"):
        load_into(Pretrainer(PretrainerConfig(embedding_width=192)), pretrained)


@pytest.mark.parametrize("zipped", [False, True])
def test_numbers_arrays_and_options_beside_the_weights_are_read(tmp_path: Path, zipped: bool) -> None:
    beside = {"loss": np.float64(3.2), "epoch": np.int64(3), "history": np.arange(3.0), "args": Namespace(lr=0.1)}
    path = tmp_path / "checkpoint.tar"
    torch.save(depthcontrast() | beside, path, _use_new_zipfile_serialization=zipped)
    assert read_checkpoint(path).kind == "depthcontrast"


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = {
        "empty.pth": b"",
        "text.pth": b"not a checkpoint at all",
        "evil.pth": pickle.dumps({"model": Evil()}, protocol=2),
        "empty.safetensors": b"",
        "short.safetensors": b"\xff" * 20,
    }
    whole = saved(tmp_path / "whole.pth", published_tensors("qa")).read_bytes()
    cases["cut.pth"] = whole[: len(whole) // 2]
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"{name}: (no checkpoint, or a damaged one|holds `)"):
            read_checkpoint(path)
    assert not (tmp_path / "evil-was-here").exists()
    for name, content in (
        ("list.pth", [1, 2]),
        ("nothing.pth", {"epoch": 3}),
        ("other.pth", {"layer.weight": torch.ones(2)}),
        ("nan.pth", {**published_tensors("qa"), "cls_token": torch.full((1, 1, 256), torch.nan)}),
    ):
        with pytest.raises(WeightsError, match=name):
            read_checkpoint(saved(tmp_path / name, content))
    with pytest.raises(WeightsError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "absent.pth")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WeightsError, match="holds none of"):
        read_checkpoint(tmp_path / "folder")


def test_answers_find_their_rows_by_name() -> None:
    config = tiny.SCAN_QA
    model, other = ScanQA(replace(config, num_answers=3)), ScanQA(replace(config, num_answers=4))
    foreign = Foreign(path=Path("run"), kind="askscan-qa", tensors=model.state_dict())
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    load_into(other, with_answers(foreign, ["chair", "two", "brown"], ["brown", "table", "chair", "left"], other))
    after = other.state_dict()
    for name in ("answer_head.out.weight", "answer_head.out.bias"):
        wanted = [model.state_dict()[name][2], before[name][1], model.state_dict()[name][0], before[name][3]]
        torch.testing.assert_close(after[name], torch.stack(wanted), rtol=0, atol=0)
    torch.testing.assert_close(after["answer_head.hidden.weight"], model.state_dict()["answer_head.hidden.weight"])
    with pytest.raises(WeightsError, match="3 answers, but 2 are listed"):
        with_answers(foreign, ["chair", "two"], ["two"], other)


def test_a_question_only_model_is_named(tmp_path: Path) -> None:
    model = QuestionOnly(tiny.SCAN_QA)
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    with pytest.raises(WeightsError, match="question-only model"):
        read_checkpoint(path)
