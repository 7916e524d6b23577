"""Named configurations of both trainings.

`paper` has the published hyper-parameters (Parelli et al., CVPRW 2023; ScanQA, Azuma et al., CVPR 2022), `paper-fast`
has the same epochs and rates with fewer scenes and several texts of each in a step. `rooms` and `tiny` are made for
use: colour, proposal positions, and an attention that skips proposals that are no objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from askscan.data.augment import AugmentConfig
from askscan.data.bank import InputConfig
from askscan.errors import ConfigError
from askscan.losses.alignment import AlignmentWeights, PretrainWeights
from askscan.models.fusion import FusionConfig
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import PretrainerConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig, SceneModelConfig
from askscan.models.votenet import DetectorConfig
from askscan.train.config import AnswerConfig, LoopConfig, PretrainConfig
from askscan.train.optim import OptimConfig

Stage = TypeVar("Stage", PretrainConfig, AnswerConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Both trainings of a recipe."""

    pretrain: PretrainConfig
    answers: AnswerConfig


def paper() -> Recipe:
    """The published hyper-parameters: positions alone, 16 scenes with one text each a step.

    On a GPU the network's arithmetic is bf16; `loop.precision=32-true` takes four times as long.
    """
    loop = LoopConfig(precision="bf16-mixed")
    pretrain = PretrainConfig(
        optim=OptimConfig(learning_rate=1e-4, weight_decay=1e-5, decay_epochs=(100, 200)), loop=loop
    )
    answers = AnswerConfig(
        optim=OptimConfig(learning_rate=5e-4, weight_decay=1e-5, decay_epochs=(15, 23), clip_norm=1.0), loop=loop
    )
    return Recipe(pretrain=pretrain, answers=answers)


def paper_fast() -> Recipe:
    """`paper` with 4 scenes a step and 8 texts of each, in place of 16 and 1; each text once an epoch, as there.

    Half as many steps, and far cheaper ones: their cost is the scenes.
    """

    def faster(stage: Stage) -> Stage:
        loop = replace(
            stage.loop,
            scenes_per_step=4,
            texts_per_scene=8,
            evaluate_every=4000,
            checkpoint_every=4000,
            log_every=25,
        )
        return replace(stage, loop=loop)

    recipe = paper()
    return Recipe(pretrain=faster(recipe.pretrain), answers=faster(recipe.answers))


def rooms() -> Recipe:
    """A good model of generated rooms in a minute and a half on one H200; more steps make a better one.

    So few steps neither learn the prior of answers nor overfit: it is given, and there is no dropout. With ten times as
    many, give `model.text_dropout`, `model.answer_dropout` and `model.fusion.dropout` back their 0.3, 0.3 and 0.1.
    """
    scene = SceneModelConfig(
        detector=DetectorConfig(backbone=BackboneConfig(color=True)), encoder=SceneEncoderConfig(positions=True)
    )
    inputs = InputConfig(num_points=30_000, color=True)
    augment = AugmentConfig(crop=False, quarter_turns=True, rotation_deg=3.0)
    loop = LoopConfig(
        num_steps=1500,
        texts_per_scene=16,
        precision="bf16-mixed",
        norm_momentum=0.1,
        norm_decay=1.0,
        log_every=25,
        evaluate_every=1500,
        checkpoint_every=1500,
    )
    optim = OptimConfig(
        learning_rate=6e-4, weight_decay=0.01, decoupled=True, clip_norm=5.0, schedule="cosine", warmup_steps=300
    )
    return Recipe(
        pretrain=PretrainConfig(
            model=PretrainerConfig(scene=scene, contrastive=True),
            inputs=inputs,
            augment=augment,
            weights=PretrainWeights(alignment=AlignmentWeights(objective="contrastive"), alignment_share=0.2),
            optim=optim,
            loop=loop,
        ),
        answers=AnswerConfig(
            model=ScanQAConfig(
                num_answers=1,
                scene=scene,
                fusion=FusionConfig(dropout=0.0, object_mask=True),
                text_dropout=0.0,
                answer_dropout=0.0,
                head_dropout=0.0,
                answer_prior=True,
            ),
            select_by="EM@1",
            strange_texts=1,
            inputs=inputs,
            augment=augment,
            optim=optim,
            loop=replace(loop, num_steps=4000, scenes_per_step=8, evaluate_every=2000, checkpoint_every=2000),
        ),
    )


def tiny() -> Recipe:
    """The demo's: a small network that two CPU cores train in a few minutes."""
    backbone = BackboneConfig(
        color=True,
        num_centers=(512, 256, 128, 64),
        num_neighbors=(24, 16, 16, 16),
        sa_channels=((32, 32, 64), (64, 64, 128), (64, 64, 128), (64, 64, 128)),
        fp_channels=((128, 128), (128, 128)),
    )
    scene = SceneModelConfig(
        detector=DetectorConfig(backbone=backbone, num_proposals=48, proposal_channels=(64, 64, 64)),
        encoder=SceneEncoderConfig(width=128, num_heads=4, feedforward=256, positions=True),
    )
    base = rooms()
    loop = replace(
        base.pretrain.loop,
        num_steps=250,
        scenes_per_step=4,
        texts_per_scene=8,
        precision="32-true",
        log_every=10,
        evaluate_every=250,
        checkpoint_every=125,
    )
    inputs = InputConfig(num_points=8192, color=True)
    optim = replace(base.pretrain.optim, learning_rate=1e-3, warmup_steps=20)
    return Recipe(
        pretrain=replace(
            base.pretrain,
            model=PretrainerConfig(scene=scene, contrastive=True),
            inputs=inputs,
            optim=optim,
            loop=loop,
        ),
        answers=replace(
            base.answers,
            model=replace(
                base.answers.model,
                scene=scene,
                fusion=replace(base.answers.model.fusion, num_heads=4, feedforward=256),
            ),
            strange_texts=0,
            inputs=inputs,
            optim=optim,
            loop=replace(loop, num_steps=500, texts_per_scene=16),
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"paper": paper, "paper-fast": paper_fast, "rooms": rooms, "tiny": tiny}


def situated(config: AnswerConfig) -> AnswerConfig:
    """A recipe's question answering for SQA3D: scenes seen from the agent's place, and nothing that loses it.

    Proposals carry their position from the agent; the questions name no objects, so those two terms are off; a
    situation has five questions on average, each of them encoded with its scene once.
    """
    encoder = replace(config.model.scene.encoder, positions=True, origin="input")
    augment = config.augment and replace(config.augment, crop=False, flip=False, quarter_turns=False, shift_m=0.0)
    return replace(
        config,
        task="sqa3d",
        model=replace(config.model, scene=replace(config.model.scene, encoder=encoder)),
        augment=augment,
        strange_texts=0,
        weights=replace(config.weights, referred=0.0, object_class=0.0),
        loop=replace(config.loop, texts_per_scene=min(config.loop.texts_per_scene, 5)),
    )


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}.")
    return RECIPES[name]()
