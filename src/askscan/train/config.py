"""Everything that decides a training run: one frozen record per stage. `recipes` has the named ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from askscan.data.annotations import Task
from askscan.data.augment import AugmentConfig
from askscan.data.bank import InputConfig
from askscan.errors import ConfigError
from askscan.losses.alignment import PretrainWeights
from askscan.losses.answering import AnswerWeights
from askscan.models.pretrainer import PretrainerConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneModelConfig
from askscan.train.optim import OptimConfig

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long, in what steps, and what happens how often."""

    num_epochs: int = 50
    """Passes over all texts."""
    num_steps: int | None = None
    """Steps, in place of `num_epochs`."""
    scenes_per_step: int = 16
    """Scenes of a step, over all GPUs."""
    texts_per_scene: int = 1
    """Questions or sentences of each scene of a step."""
    seed: int = 0
    """All randomness of a run: weights, order, sampling, augmentation, dropout."""
    precision: Precision = "32-true"
    """Arithmetic of the network on a GPU; positions, boxes and losses are always float32."""
    norm_momentum: float = 0.5
    """BatchNorm's weight of the new batch, at the beginning."""
    norm_decay: float = 0.5
    """By how much it falls every `norm_decay_epochs`."""
    norm_decay_epochs: int = 20
    """Epochs between its falls."""
    norm_floor: float = 0.001
    """Where it stops falling."""
    log_every: int = 50
    """Steps between rows of metrics.csv."""
    evaluate_every: int = 1000
    """Steps between validations; the last step is always validated."""
    checkpoint_every: int = 500
    """Steps between checkpoints; each validation also writes one."""

    def __post_init__(self) -> None:
        counts = ("num_epochs", "scenes_per_step", "texts_per_scene", "norm_decay_epochs", "log_every")
        for name in (*counts, "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.num_steps is not None and self.num_steps < 1:
            raise ConfigError(f"num_steps must be at least 1 or null, not {self.num_steps}.")
        if not (0 < self.norm_momentum <= 1 and 0 < self.norm_decay <= 1 and 0 <= self.norm_floor <= 1):
            raise ConfigError("norm_momentum, norm_decay and norm_floor must lie in (0, 1].")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.num_epochs * steps_per_epoch if self.num_steps is None else self.num_steps

    def momentum(self, epoch: int) -> float:
        """BatchNorm momentum (PyTorch's sense) of an epoch, from 0.

        >>> [LoopConfig().momentum(epoch) for epoch in (0, 19, 20, 40, 1000)]
        [0.5, 0.5, 0.25, 0.125, 0.001]
        """
        return max(self.norm_momentum * self.norm_decay ** (epoch // self.norm_decay_epochs), self.norm_floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """CLIP-guided pre-training."""

    model: PretrainerConfig = field(default_factory=PretrainerConfig)
    """The network; `embedding_width` is set to the teacher's."""
    views: int = 0
    """Pictures from inside each room that guide it beside the one from above (Multi-CLIP, Delitzas et al. 2023)."""
    inputs: InputConfig = field(default_factory=InputConfig)
    """Points and channels."""
    augment: AugmentConfig | None = None
    """Random changes of scenes."""
    weights: PretrainWeights = field(default_factory=PretrainWeights)
    """Loss terms."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer."""
    loop: LoopConfig = field(default_factory=LoopConfig)
    """Steps."""

    def __post_init__(self) -> None:
        _check_inputs(self.inputs, self.model.scene)
        if self.views < 0:
            raise ConfigError(f"views must be at least 0, not {self.views}.")
        if self.views and not self.weights.alignment.image:
            raise ConfigError("views are pictures, so weights.alignment.image must not be 0.")
        if (self.weights.alignment.objective == "contrastive") != self.model.contrastive:
            raise ConfigError("model.contrastive must be true with, and only with, the contrastive objective.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerConfig:
    """Question answering."""

    model: ScanQAConfig = field(default_factory=lambda: ScanQAConfig(num_answers=1))
    """The network; `num_answers` and `text_width` are set to those of the training split and the teacher."""
    task: Task = "scanqa"
    """ScanQA's questions, or SQA3D's: then scenes are seen from the agent's place."""
    question_only: bool = False
    """Train the baseline that never sees the scan."""
    select_by: Literal["EM@1", "EM@10"] = "EM@10"
    """Score on the answerable validation questions by which the best model is kept; the other settles ties."""
    strange_texts: int = 0
    """Questions of each scene and step that are asked about another scene: they teach what to say of a scene that does
    not hold what was asked for, namely what the words alone suggest."""
    inputs: InputConfig = field(default_factory=lambda: InputConfig(num_points=30_000))
    """Points and channels."""
    augment: AugmentConfig | None = field(default_factory=AugmentConfig)
    """Random changes of scenes."""
    weights: AnswerWeights = field(default_factory=AnswerWeights)
    """Loss terms."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer."""
    loop: LoopConfig = field(default_factory=LoopConfig)
    """Steps."""

    def __post_init__(self) -> None:
        _check_inputs(self.inputs, self.model.scene)
        if not 0 <= self.strange_texts < self.loop.texts_per_scene:
            raise ConfigError(
                f"strange_texts must be 0 to {self.loop.texts_per_scene - 1}, less than loop.texts_per_scene, "
                f"not {self.strange_texts}."
            )
        situated, encoder, augment = self.task == "sqa3d", self.model.scene.encoder, self.augment
        if situated != (encoder.origin == "input"):
            raise ConfigError("the agent's place is seen with, and only with, task sqa3d and encoder.origin `input`.")
        if situated and augment and (augment.crop or augment.flip or augment.quarter_turns or augment.shift_m):
            raise ConfigError("task sqa3d: augment may turn scenes a little, not crop, flip, quarter-turn or shift.")


def _check_inputs(inputs: InputConfig, scene: SceneModelConfig) -> None:
    backbone = scene.detector.backbone
    for name in ("color", "normals", "height"):
        if getattr(inputs, name) != getattr(backbone, name):
            raise ConfigError(
                f"inputs.{name} is {getattr(inputs, name)} but the backbone's is {getattr(backbone, name)}."
            )
