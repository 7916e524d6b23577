"""Runs: a folder that a training left, a Hub name, or one that is shipped in the package."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml

from askscan.data.annotations import Task
from askscan.data.bank import InputConfig
from askscan.errors import ConfigError, DataError, WeightsError
from askscan.models.pretrainer import Pretrainer
from askscan.models.published import VOCABULARY, read_published_run
from askscan.models.scan_qa import QuestionOnly, ScanQA
from askscan.models.teacher import DEFAULT_TEACHER, Teacher
from askscan.models.weights import load_into
from askscan.plain import from_plain
from askscan.train.checkpoint import RunFolder, load_weights
from askscan.train.config import AnswerConfig, PretrainConfig

Module = TypeVar("Module", Pretrainer, ScanQA, QuestionOnly)
SHIPPED = Path(__file__).parents[1] / "shipped"
DEFAULT_RUN = SHIPPED / "rooms"
"""The question-answering model of the package, trained on generated rooms."""


PUBLISHED_TEACHER = "openai/clip-vit-base-patch32"
"""The teacher of the published models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A trained model with what it needs to be used."""

    name: str
    folder: RunFolder
    config: PretrainConfig | AnswerConfig
    module: Pretrainer | ScanQA | QuestionOnly
    """In evaluation mode, float32."""
    answer_counts: dict[str, int]
    """The answer vocabulary in its order, with counts in the training split; empty for pre-training."""
    object_names: frozenset[str]
    """Kinds of objects that the training questions were about; empty where the run does not say."""
    teacher_identity: str | None
    """None: the run does not say (a published one)."""
    teacher_name: str
    weights: Path
    """The file that the module was filled from."""

    @property
    def task(self) -> Task:
        """Whose questions it was trained on."""
        return self.config.task if isinstance(self.config, AnswerConfig) else "scanqa"

    def teacher(self, device: torch.device | str = "cpu", *, name: str | None = None) -> Teacher:
        """The teacher that the run was trained with, found by its name and checked by its content.

        Args:
            device: Where it computes.
            name: Where to find it, if not where the run says.

        Raises:
            WeightsError: It cannot be found, or it is another one.
        """
        teacher = Teacher.load(name or self.teacher_name, device)
        if self.teacher_identity is None:
            width = self.config.model.text_width if isinstance(self.config, AnswerConfig) else teacher.token_width
            if teacher.token_width != width:
                raise WeightsError(
                    f"{self.name}: was trained with text features of {width} channels ({self.teacher_name}), but those "
                    f"of {teacher.name!r} have {teacher.token_width}; give the right teacher with --teacher."
                )
        elif teacher.identity != self.teacher_identity:
            raise WeightsError(
                f"{self.name}: was trained with teacher {self.teacher_identity} ({self.teacher_name}), but "
                f"{name or self.teacher_name!r} is {teacher.identity}; give the right one with --teacher."
            )
        return teacher


def shipped_runs() -> dict[str, Path]:
    """The runs of the package by their names: `default`, and the others by their folders'."""
    folders = sorted(path.parent for path in SHIPPED.glob("*/config.yaml"))
    return {"default" if folder == DEFAULT_RUN else folder.name: folder for folder in folders}


def description_of(folder: RunFolder) -> dict[str, Any]:
    """What the config.yaml of a run folder holds.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    if not folder.config.is_file():
        raise ConfigError(f"{folder.path}: is no run folder (it has no config.yaml); give one that a training wrote.")
    try:
        found = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"{folder.config}: cannot be read ({str(error).splitlines()[0]}); restore the file."
        ) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{folder.config}: is no configuration of a run; restore the file.")
    return found


def stage_of(folder: Path) -> str:
    """`pretrain` or `answers`, as a run folder says."""
    return str(description_of(RunFolder(folder)).get("stage"))


def such_as(stage: str) -> str:
    """The package's runs of a stage, for the end of a sentence; nothing where it has none."""
    names = [f"`{name}`" for name, folder in shipped_runs().items() if stage_of(folder) == stage]
    return f", such as the package's {' or '.join(names)}" if names else ""


def resolve_run(name: str | Path) -> Path:
    """The folder of a run: `default`, a folder, another run of the package, or what the Hub has under that name.

    Raises:
        ConfigError: There is none.
    """
    if str(name) == "default":
        if not (DEFAULT_RUN / "config.yaml").is_file():
            raise ConfigError("this installation carries no default model; give a run folder with --run.")
        return DEFAULT_RUN
    folder = Path(name)
    if folder.exists():
        return folder
    shipped = shipped_runs()
    if str(name) in shipped:
        return shipped[str(name)]
    if str(name).count("/") != 1:
        names = " or ".join(f"`{each}`" for each in shipped)
        raise ConfigError(f"{name}: no such run; give a run folder, a Hub name (owner/name), or the package's {names}.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(str(name), allow_patterns=["*.yaml", "*.json", "*.safetensors", "*.md", "teacher/*"])
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"{name}: no such folder here, and the Hub does not give it ({reason}).") from error


def load_run(name: str | Path, device: torch.device | str = "cpu") -> Run:
    """Read a run, strictly: every weight of the model must be in the file, and nothing else.

    A question-answering folder of the published 3D-VQA code (model.pth, answer_vocab.json, info.json) is a run too.

    Raises:
        ConfigError: There is no such run, or its configuration cannot be read.
        WeightsError: The weights do not fit.
    """
    folder = RunFolder(resolve_run(name))
    if not folder.config.is_file() and (folder.path / VOCABULARY).is_file():
        return _published(str(name), folder, device)
    description = description_of(folder)
    where = str(folder.config)
    counts: dict[str, int] = {}
    config: PretrainConfig | AnswerConfig
    module: Pretrainer | ScanQA | QuestionOnly
    if description.get("stage") == "pretrain":
        config = from_plain(PretrainConfig, description.get("config"), where)
        module = _module(Pretrainer, config.model, folder)
    elif description.get("stage") == "answers":
        config = from_plain(AnswerConfig, description.get("config"), where)
        counts = _counts(folder.answers, config.model.num_answers)
        blind = config.question_only
        module = _module(QuestionOnly, config.model, folder) if blind else _module(ScanQA, config.model, folder)
    else:
        raise ConfigError(
            f"{where}: stage is {description.get('stage')!r}; expected pretrain or answers; restore the file."
        )
    return Run(
        name=str(name),
        folder=folder,
        config=config,
        module=module.eval().requires_grad_(False).to(device),
        answer_counts=counts,
        object_names=frozenset(description.get("object_names", ())),
        weights=folder.model,
        teacher_identity=str(description.get("teacher")),
        teacher_name=_teacher_name(folder, str(description.get("teacher_name", "default"))),
    )


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device was found; use cpu.")
    return device


def _published(name: str, folder: RunFolder, device: torch.device | str) -> Run:
    """A run from a folder of the published code (Parelli et al., CVPRW 2023)."""
    found = read_published_run(folder.path)
    backbone = found.config.scene.detector.backbone
    inputs = InputConfig(
        num_points=found.num_points, color=backbone.color, normals=backbone.normals, height=backbone.height
    )
    module = ScanQA(found.config)
    load_into(module, found.weights)
    return Run(
        name=name,
        folder=folder,
        config=AnswerConfig(model=found.config, inputs=inputs),
        module=module.eval().requires_grad_(False).to(device),
        answer_counts=dict(found.answer_counts),
        object_names=frozenset(),
        weights=found.weights.path,
        teacher_identity=None,
        teacher_name=PUBLISHED_TEACHER,
    )


def _module(cls: Callable[[Any], Module], config: object, folder: RunFolder) -> Module:
    """The network of a configuration with the weights of its file; it takes memory only if they fit one another."""
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in load_weights(folder.model).items()}
    try:
        with torch.device("meta"):
            wanted = cls(config).state_dict()
    except (RuntimeError, MemoryError, OverflowError, IndexError, ZeroDivisionError) as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise ConfigError(
            f"{folder.config}: no network can be built from its numbers ({reason}); restore the file."
        ) from error
    missing = sorted(wanted.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - wanted.keys())
    misshapen = [n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape]
    if missing or unexpected or misshapen:
        raise WeightsError(
            f"{folder.model}: does not fit its config.yaml: {len(missing)} tensors missing, {len(unexpected)} unknown, "
            f"{len(misshapen)} of another shape (first {(missing + unexpected + misshapen)[0]}); restore both files."
        )
    module = cls(config)
    module.load_state_dict(tensors)
    return module


def _counts(path: Path, num_answers: int) -> dict[str, int]:
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the answer vocabulary cannot be read ({error}); restore the file.") from error
    if not isinstance(counts, dict) or len(counts) != num_answers:
        size = len(counts) if isinstance(counts, dict) else 0
        raise WeightsError(
            f"{path}: has {size} answers, the model {num_answers}; they are not of one run, restore both."
        )
    wrong = [answer for answer, count in counts.items() if type(count) is not int or count < 1]
    if wrong:
        raise DataError(f"{path}: the count of {wrong[0]!r:.60} is {counts[wrong[0]]!r:.60}; restore the file.")
    return counts


def _teacher_name(folder: RunFolder, name: str) -> str:
    """A run that was moved together with its teacher finds it beside itself; else where it was."""
    beside = folder.path / "teacher"
    if (beside / "config.json").is_file():
        return str(beside)
    return "default" if Path(name) == DEFAULT_TEACHER else name
