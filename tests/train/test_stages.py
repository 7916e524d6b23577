import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
import yaml
from torch.nn.modules.module import register_module_forward_pre_hook

from askscan.data.folder import DataFolder
from askscan.data.prepared import save_prepared
from askscan.data.questions import soft_score
from askscan.errors import ConfigError, DataError, WeightsError
from askscan.evaluate.evaluate import evaluate
from askscan.evaluate.runs import load_run
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import QuestionOnly, ScanQA, ScanQAConfig
from askscan.plain import from_plain
from askscan.train import loop
from askscan.train.answer import AnswerTask, AskedBatch, train_answers
from askscan.train.checkpoint import Progress, RunFolder, load_weights
from askscan.train.devices import Devices
from askscan.train.pretrain import pretrain
from askscan.train.recipes import recipe

CPU = Devices(accelerator="cpu")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_pre_trained_model_moves_on_to_answers(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    said: list[str] = []
    result = pretrain(
        data, tmp_path / "pre", stand_ins.small_pretrain(4), teacher=teacher, devices=CPU, say=said.append
    )
    assert (result.num_steps, result.best_step, result.resumed_at) == (4, 4, 0)
    last = rows(tmp_path / "pre")[-1]
    assert 0 <= float(last["R@10 sentence"]) <= 100
    assert float(last["loss"]) > 0
    answers = train_answers(
        data,
        tmp_path / "qa",
        stand_ins.small_answers(1),
        teacher=teacher,
        init=tmp_path / "pre",
        devices=CPU,
        say=said.append,
    )
    assert answers.best_step == 1
    assert any("scene tensors from askscan pre-training" in text for text in said)
    config = yaml.safe_load((tmp_path / "qa" / "config.yaml").read_text())
    vocabulary = json.loads((tmp_path / "qa" / "answers.json").read_text())
    model = ScanQA(from_plain(ScanQAConfig, config["config"]["model"]))
    model.load_state_dict(load_weights(tmp_path / "qa" / "model.safetensors"))
    assert model.config.num_answers == len(vocabulary)
    assert list(vocabulary) == sorted(vocabulary)
    assert config["object_names"] == sorted(stand_ins.KINDS)
    assert str(tmp_path) not in (tmp_path / "qa" / "config.yaml").read_text()  # the folder can be moved


def test_the_same_command_again_does_nothing(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    config = replace(stand_ins.small_answers(4), question_only=True)
    said: list[str] = []
    for _ in range(2):
        result = train_answers(data, tmp_path, config, teacher=teacher, devices=CPU, say=said.append)
    assert result.resumed_at == result.num_steps == 4
    assert "finished" in said[-1]
    with pytest.raises(ConfigError, match=r"loop.num_steps: 4 there, 5 asked for"):
        longer = replace(config, loop=replace(config.loop, num_steps=5))
        train_answers(data, tmp_path, longer, teacher=teacher, devices=CPU)
    with pytest.raises(ConfigError, match="no scene encoder"):
        train_answers(data, tmp_path / "other", config, teacher=teacher, devices=CPU, init=tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        WeightsError, match=r"model\.safetensors: the model of step 4.* \(there is no such file\); restore"
    ):
        train_answers(data, tmp_path, config, teacher=teacher, devices=CPU)


def test_answers_start_from_a_run_that_answers(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    train_answers(data, tmp_path / "first", stand_ins.small_answers(1), teacher=teacher, devices=CPU)
    known = json.loads((tmp_path / "first" / "answers.json").read_text())
    said: list[str] = []
    start = {"teacher": teacher, "devices": CPU, "init": tmp_path / "first", "say": said.append}
    train_answers(data, tmp_path / "second", stand_ins.small_answers(1), **start)
    assert any(f"model tensors from askscan question answering; it knows {len(known)} of the" in text for text in said)
    (tmp_path / "first" / "answers.json").unlink()
    with pytest.raises(WeightsError, match=r"no answers\.json beside the weights"):
        train_answers(data, tmp_path / "third", stand_ins.small_answers(1), **start)


def test_questions_about_another_scene_point_at_nothing(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, monkeypatch: pytest.MonkeyPatch
):
    honest, pointing = AnswerTask.losses, []

    def losses(self: AnswerTask, batch: AskedBatch, autocast: loop.Autocast):
        pointing.append(batch.targets.referred_mask)
        return honest(self, batch, autocast)

    monkeypatch.setattr(AnswerTask, "losses", losses)
    base = stand_ins.small_answers(3)
    config = replace(base, strange_texts=1, augment=None)
    for name, chosen in (("plain", replace(config, strange_texts=0)), ("strange", config)):
        train_answers(data, tmp_path / name, chosen, teacher=teacher, devices=CPU)
    plain, strange = torch.stack(pointing[:3]), torch.stack(pointing[3:])
    assert plain[..., 0].all() and not strange[..., 0].any()
    assert torch.equal(plain[..., 1:], strange[..., 1:])
    with pytest.raises(ConfigError, match="strange_texts must be 0 to"):
        replace(config, strange_texts=config.loop.texts_per_scene)


def test_weights_that_do_not_fit_leave_no_folder(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    pretrain(data, tmp_path / "pre", stand_ins.small_pretrain(2), teacher=teacher, devices=CPU)
    config = stand_ins.small_answers(2)
    scene = config.model.scene
    wider = replace(scene, encoder=replace(scene.encoder, feedforward=2 * scene.encoder.feedforward))
    config = replace(config, model=replace(config.model, scene=wider))
    with pytest.raises(WeightsError):
        train_answers(data, tmp_path / "answers", config, teacher=teacher, devices=CPU, init=tmp_path / "pre")
    assert not (tmp_path / "answers").exists()


def test_an_interrupted_run_goes_on_bit_by_bit(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    config = stand_ins.small_answers(8)
    train_answers(data, tmp_path / "whole", config, teacher=teacher, devices=CPU)

    def stop(done: int, total: int) -> None:
        if total == 8 and done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_answers(data, tmp_path / "parts", config, teacher=teacher, devices=CPU, on_progress=stop)
    result = train_answers(data, tmp_path / "parts", config, teacher=teacher, devices=CPU)
    assert result.resumed_at == 6
    (first, progress), (second, other) = (RunFolder(tmp_path / name).load_state() for name in ("whole", "parts"))
    assert progress == other
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (tmp_path / "whole" / "metrics.csv").read_bytes() == (tmp_path / "parts" / "metrics.csv").read_bytes()


def test_a_best_model_that_is_not_found_again_is_not_lost(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, monkeypatch: pytest.MonkeyPatch
):
    """Repeated steps need not end where they ended before: on a GPU sums have no fixed order."""
    em, kept = iter([50.0, 60.0, 40.0]), []
    honest = RunFolder.save_state

    def scores(self: AnswerTask, share: tuple[int, int], autocast: loop.Autocast) -> dict[str, float]:
        kept.append({name: tensor.clone() for name, tensor in self.module.state_dict().items()})
        return dict.fromkeys(self.score_names, next(em))

    def save_state(self: RunFolder, tensors: Mapping[str, torch.Tensor], progress: Progress) -> None:
        if progress.best_scores == [60.0, 60.0]:
            raise KeyboardInterrupt
        honest(self, tensors, progress)

    monkeypatch.setattr(AnswerTask, "scores", scores)
    monkeypatch.setattr(RunFolder, "save_state", save_state)
    config = replace(stand_ins.small_answers(12), question_only=True)
    with pytest.raises(KeyboardInterrupt):
        train_answers(data, tmp_path, config, teacher=teacher, devices=CPU)
    result = train_answers(data, tmp_path, config, teacher=teacher, devices=CPU)
    assert (result.resumed_at, result.best_step, result.best_score) == (9, 6, 50.0)
    model = load_weights(tmp_path / "model.safetensors")
    assert all(torch.equal(model[name], tensor) for name, tensor in kept[0].items())
    assert not all(torch.equal(model[name], tensor) for name, tensor in kept[1].items())


def test_a_folder_that_is_being_trained_into_is_refused(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher
):
    config = replace(stand_ins.small_answers(4), question_only=True)
    refused: list[int] = []

    def again(done: int, total: int) -> None:
        if total != 4:
            return
        for force in (False, True):
            with pytest.raises(ConfigError, match=r"another process is training into this folder.*--out"):
                train_answers(data, tmp_path, config, teacher=teacher, devices=CPU, force=force)
        refused.append(done)

    result = train_answers(data, tmp_path, config, teacher=teacher, devices=CPU, on_progress=again)
    assert refused[-1] == result.num_steps == 4
    train_answers(data, tmp_path, config, teacher=teacher, devices=CPU, force=True)


def test_a_loss_that_is_not_finite_stops_with_its_name(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, monkeypatch: pytest.MonkeyPatch
):
    honest = AnswerTask.losses
    calls = []

    def losses(
        self: AnswerTask, batch: AskedBatch, autocast: loop.Autocast
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        total, terms = honest(self, batch, autocast)
        calls.append(total)
        if len(calls) < 5:
            return total, terms
        return total * torch.nan, {**terms, "center": terms["center"] * torch.nan}

    monkeypatch.setattr(AnswerTask, "losses", losses)
    config = stand_ins.small_answers(20)
    with pytest.raises(ConfigError, match=r"`center` became nan before step 6.*checkpoint of step 4 is intact"):
        config = replace(config, loop=replace(config.loop, checkpoint_every=4, log_every=2))
        train_answers(data, tmp_path, config, teacher=teacher, devices=CPU)
    tensors, progress = RunFolder(tmp_path).load_state()
    assert progress.step == 4
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())


def test_rates_and_momentum_follow_the_configuration(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, monkeypatch: pytest.MonkeyPatch
):
    momenta: list[float] = []
    honest = loop.set_momentum
    monkeypatch.setattr(loop, "set_momentum", lambda module, value: (momenta.append(value), honest(module, value)))
    config = stand_ins.small_answers(9)
    config = replace(
        config,
        question_only=True,
        loop=replace(config.loop, num_steps=None, num_epochs=3, norm_momentum=0.4, norm_decay=0.5, norm_decay_epochs=1),
        optim=replace(config.optim, schedule="milestones", decay_epochs=(1, 2), warmup_steps=0, learning_rate=1e-3),
    )
    result = train_answers(data, tmp_path, config, teacher=teacher, devices=CPU)
    assert momenta == [0.4, 0.2, 0.1]
    assert result.num_steps == 9  # 6 scenes with 4 questions: 12 slots of 2, 4 scenes a step, 3 epochs
    rates = {int(row["epoch"]): float(row["learning rate"]) for row in rows(tmp_path)}
    assert rates == pytest.approx({0: 1e-3, 1: 2e-4, 2: 4e-5})


@pytest.mark.parametrize("without", ["text", "image"])
def test_guidance_by_sentences_or_pictures_alone(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher, without: str
):
    config = stand_ins.small_pretrain(2)
    alignment = replace(config.weights.alignment, **{without: 0.0})
    config = replace(config, weights=replace(config.weights, alignment=alignment))
    pretrain(data, tmp_path, config, teacher=teacher, devices=CPU)
    assert (teacher.num_pictures > 0) == (without == "text") or (data.root / "prepared" / "embeddings").is_dir()
    values = [float(cell) for row in rows(tmp_path) for cell in row.values() if cell]
    assert np.isfinite(values).all()


def test_the_published_objective_runs(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    config = stand_ins.small_pretrain(2)
    alignment = replace(config.weights.alignment, objective="cosine")
    config = replace(
        config,
        model=replace(config.model, contrastive=False),
        weights=replace(config.weights, alignment=alignment),
        augment=None,
    )
    pretrain(data, tmp_path, config, teacher=teacher, devices=CPU)
    assert 0 < float(rows(tmp_path)[-1]["text"]) < 2


def test_validation_and_evaluation_follow_no_gradient(
    data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher
):
    followed: dict[bool, set[bool]] = {True: set(), False: set()}

    def watch(module: torch.nn.Module, inputs: object) -> None:
        if isinstance(module, Pretrainer | ScanQA | QuestionOnly):
            followed[module.training].add(torch.is_grad_enabled())

    hook = register_module_forward_pre_hook(watch)
    try:
        pretrain(data, tmp_path / "pre", stand_ins.small_pretrain(1), teacher=teacher, devices=CPU)
        for blind in (False, True):
            out, config = tmp_path / f"qa{blind}", replace(stand_ins.small_answers(1), question_only=blind)
            train_answers(data, out, config, teacher=teacher, devices=CPU)
            run = load_run(out)
            assert not any(p.requires_grad for p in run.module.parameters())
            evaluate(run, data, out=tmp_path / "scores", teacher=teacher, java=False)
    finally:
        hook.remove()
    assert followed == {True: {True}, False: {False}}


def test_what_is_missing_is_named(data: DataFolder, tmp_path: Path, teacher: stand_ins.StandInTeacher):
    other = stand_ins.write_data(tmp_path / "data") if (tmp_path / "data").mkdir() is None else data
    other.prepared("scene0002_00").unlink()
    with pytest.raises(DataError, match=r"scene0002_00.*1 of 6 scenes are not prepared.*askscan prepare"):
        train_answers(other, tmp_path / "a", stand_ins.small_answers(2), teacher=teacher, devices=CPU)
    with pytest.raises(DataError, match=r"put the scans of 1 of them \(scene0002_00\) into"):
        train_answers(other, tmp_path / "a", stand_ins.small_answers(2), teacher=teacher, devices=CPU)
    (other.scans / "scene0002_00").mkdir(parents=True)
    with pytest.raises(DataError, match="scenes are not prepared; run"):
        train_answers(other, tmp_path / "a", stand_ins.small_answers(2), teacher=teacher, devices=CPU)
    stand_ins.write_data(other.root)
    other.picture("scene0001_00", "train").unlink()
    with pytest.raises(DataError, match=r"scene0001_00.*askscan render"):
        pretrain(other, tmp_path / "b", stand_ins.small_pretrain(2), teacher=teacher, devices=CPU)
    with pytest.raises(WeightsError, match="nowhere"):
        train_answers(
            other, tmp_path / "c", stand_ins.small_answers(2), teacher=teacher, devices=CPU, init=tmp_path / "nowhere"
        )
    config = stand_ins.small_answers(2)
    with pytest.raises(ConfigError, match="no CUDA device"):
        train_answers(other, tmp_path / "d", config, teacher=teacher, devices=Devices(accelerator="cuda"))


@pytest.mark.slow
def test_one_scene_is_learnt_by_heart(tmp_path: Path, teacher: stand_ins.StandInTeacher):
    (tmp_path / "data").mkdir()
    folder = stand_ins.write_data(tmp_path / "data")
    save_prepared(folder.prepared("scene0000_00"), stand_ins.make_scene("scene0000_00", 0, 6000)[0])
    path = folder.scanqa("train")
    first = [entry for entry in json.loads(path.read_text()) if entry["scene_id"] == "scene0000_00"]
    path.write_text(json.dumps(first))
    folder.scanqa("val").unlink()
    config = recipe("tiny").answers
    steps = replace(
        config.loop, num_steps=250, texts_per_scene=4, scenes_per_step=2, log_every=25, checkpoint_every=250
    )
    # At twice the recipe's rate, which is for many scenes.
    optim = replace(config.optim, learning_rate=2 * config.optim.learning_rate)
    config = replace(config, augment=None, inputs=replace(config.inputs, num_points=3000), loop=steps, optim=optim)
    train_answers(folder, tmp_path / "run", config, teacher=teacher, devices=CPU)
    last = {name: float(cell) for name, cell in rows(tmp_path / "run")[-1].items() if cell}
    counts = json.loads((tmp_path / "run" / "answers.json").read_text())
    scores = torch.tensor([soft_score(counts[entry["answers"][0]]) for entry in first])
    entropy = torch.nn.functional.binary_cross_entropy(
        scores, scores
    ).item()  # soft targets: the loss cannot fall below
    assert last["answer"] - entropy < 0.15
    assert last["object_class"] < 0.2
    assert last["vote"] < 0.3
    assert last["objectness"] < 0.02
    assert last["center"] < 0.1
    assert last["semantic"] < 0.5
