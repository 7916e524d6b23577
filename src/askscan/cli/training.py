"""`teacher`, `pretrain`, `train`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from askscan.cli.arguments import Data, Device, Force, Out, Task, Teacher
from askscan.cli.console import progress, say, table
from askscan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from askscan.data.folder import DataFolder
    from askscan.train.devices import Devices
    from askscan.train.teacher import PictureTexts

Recipe = Annotated[str, tyro.conf.arg(metavar="R", help="`paper`, `paper-fast`, `rooms` or `tiny`.")]
Init = Annotated[
    str | None,
    tyro.conf.arg(metavar="RUN-or-FILE", help="Weights to start from: a run, or a checkpoint of another project."),
]
Settings = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,  # without it a second --set would replace the first
    tyro.conf.arg(name="set", metavar="FIELD=VALUE", help="Change fields of the recipe, such as loop.num_steps=500."),
]
_CHECKPOINT_SUFFIXES = (".pt", ".pth", ".tar", ".safetensors")
"""Files whose missing ones are not asked for at the Hub."""
Accelerator = Annotated[
    Literal["auto", "cpu", "cuda"],
    tyro.conf.arg(name="device", help="Which CUDA_VISIBLE_DEVICES narrows."),
]


def teacher(
    data: Data,
    *,
    out: Out,
    settings: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(name="set", metavar="FIELD=VALUE", help="Change size or training, such as steps=500."),
    ] = (),
    device: Device = "auto",
) -> None:
    """Train a small CLIP (the teacher) on the pictures and sentences of a collection.

    It takes minutes on a GPU. The same command again goes on where it stopped.
    """
    from askscan.data.folder import DataFolder
    from askscan.evaluate.runs import pick_device
    from askscan.evaluate.teaching import sentence_picture_recall
    from askscan.models.teacher import Teacher as TrainedTeacher
    from askscan.train.teacher import TeacherConfig, train_teacher

    folder, where = DataFolder(data), pick_device(device)
    config = override(TeacherConfig(), chain(*settings))
    texts = picture_texts(folder, "train")
    with progress("teacher") as update:
        news = train_teacher(texts, out, config, device=where, progress=lambda step, loss: update(step, config.steps))
    what = "a teacher trained" if news else "this teacher is finished, nothing to do: it was trained"
    say(f"{out}: {what} on {len(texts.images)} pictures.")
    try:
        unseen = picture_texts(folder, "val")
    except DataError:
        return
    with progress("retrieval"):
        figures = sentence_picture_recall(TrainedTeacher.load(out, where), unseen.images, unseen.sentences)
    table(f"{len(unseen.images)} unseen scenes", ("retrieval", "%"), [[name, value] for name, value in figures.items()])


def pretrain(
    data: Data,
    *,
    out: Out,
    recipe: Recipe = "rooms",
    init: Init = None,
    teacher: Teacher = "default",
    settings: Settings = (),
    device: Accelerator = "auto",
    devices: int = 1,
    nodes: int = 1,
    force: Force = False,
) -> None:
    """CLIP-guided pre-training of the 3D encoder on scans, pictures and sentences.

    Args:
        devices: GPUs (or processes) per host.
        nodes: Hosts that see the same folders; start the same command on each with torchrun.
    """
    from askscan.data.folder import DataFolder
    from askscan.evaluate.runs import pick_device
    from askscan.models.teacher import Teacher as FrozenTeacher
    from askscan.train.pretrain import pretrain as run
    from askscan.train.recipes import recipe as find_recipe

    config = override(find_recipe(recipe).pretrain, chain(*settings))
    with progress("pretrain") as update:
        result = run(
            DataFolder(data),
            out,
            config,
            teacher=FrozenTeacher.load(teacher, pick_device(device)),
            init=_start(init),
            devices=_devices(device, devices, nodes),
            force=force,
            say=say,
            on_progress=update,
        )
    say(f"{result.folder}: {result.num_steps} steps done.")


def train(
    data: Data,
    *,
    out: Out,
    recipe: Recipe = "rooms",
    init: Init = None,
    teacher: Teacher = "default",
    task: Task = "scanqa",
    question_only: bool = False,
    settings: Settings = (),
    device: Accelerator = "auto",
    devices: int = 1,
    nodes: int = 1,
    force: Force = False,
) -> None:
    """Train question answering, from pre-trained weights (--init) or from scratch.

    Args:
        question_only: Train the baseline that never sees the scan.
        devices: GPUs (or processes) per host.
        nodes: Hosts that see the same folders; start the same command on each with torchrun.
    """
    from dataclasses import replace

    from askscan.data.folder import DataFolder
    from askscan.evaluate.runs import pick_device
    from askscan.models.teacher import Teacher as FrozenTeacher
    from askscan.train.answer import train_answers
    from askscan.train.recipes import recipe as find_recipe
    from askscan.train.recipes import situated

    answers = find_recipe(recipe).answers
    answers = situated(answers) if task == "sqa3d" else answers
    config = override(replace(answers, question_only=question_only), chain(*settings))
    with progress("train") as update:
        result = train_answers(
            DataFolder(data),
            out,
            config,
            teacher=FrozenTeacher.load(teacher, pick_device(device)),
            init=_start(init),
            devices=_devices(device, devices, nodes),
            force=force,
            say=say,
            on_progress=update,
        )
    best = (
        ""
        if result.best_score is None
        else f", the best after {result.best_step} ({config.select_by} {result.best_score:.1f} %)"
    )
    say(f"{result.folder}: {result.num_steps} steps done{best}.")


def override(config: Any, settings: Iterable[str]) -> Any:
    """A configuration with some fields changed, each given as `path.to.field=value` (the value in YAML).

    Raises:
        ConfigError: A setting has no `=`, or there is no such field, or the value has another type.
    """
    import yaml

    from askscan.plain import from_plain, to_plain

    plain = to_plain(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected FIELD=VALUE, such as loop.num_steps=500.")
        *parents, name = path.split(".")
        target = plain
        for parent in (*parents, name):
            if not isinstance(target, dict) or parent not in target:
                fields = f"; there are {', '.join(target)}" if isinstance(target, dict) else ""
                raise ConfigError(f"--set {setting}: there is no field {parent!r}{fields}.")
            inner, target = target, target[parent]
        target = inner
        value = yaml.safe_load(text)
        # YAML 1.1 reads 1e-3 as text.
        target[name] = float(value) if isinstance(value, str) and isinstance(target[name], float) else value
    return from_plain(type(config), plain, "--set")


def _start(init: str | None) -> Path | None:
    """The run or checkpoint to start from; a file that is missing is told by whoever reads it.

    Raises:
        ConfigError: It is a scan, or there is no such run.
    """
    if init is None:
        return None
    from askscan.data.scan_files import SUFFIXES
    from askscan.evaluate.runs import resolve_run

    path = Path(init)
    if path.suffix.lower() in SUFFIXES:
        raise ConfigError(f"{path}: is a scan; --init takes weights: a run, or a checkpoint of another project.")
    return path if path.is_file() or path.suffix in _CHECKPOINT_SUFFIXES else resolve_run(init)


def picture_texts(folder: DataFolder, split: str) -> PictureTexts:
    """Pictures, sentences and answered questions of the scenes of a split that have a picture and a sentence."""
    from askscan.data.annotations import read_descriptions, read_questions
    from askscan.render.pictures import load_image
    from askscan.train.teacher import PictureTexts

    sentences: dict[str, list[str]] = {}
    for description in read_descriptions(folder, split):
        sentences.setdefault(description.scene_id, []).append(description.text)
    questions: dict[str, list[str]] = {scene_id: [] for scene_id in sentences}
    if folder.scanqa(split).is_file():
        for question in read_questions(folder, split):
            if question.answers and question.scene_id in questions:
                questions[question.scene_id].append(f"{question.text} {question.answers[0]}")
    scenes = [scene_id for scene_id in sentences if folder.picture(scene_id, split).is_file()]
    if not scenes:
        raise DataError(f"{folder.root}: no scene of split {split} has a picture and a sentence; run `askscan render`.")
    return PictureTexts(
        images=tuple(load_image(folder.picture(scene_id, split)) for scene_id in scenes),
        sentences=tuple(tuple(sentences[scene_id]) for scene_id in scenes),
        questions=tuple(tuple(questions[scene_id]) for scene_id in scenes),
    )


def _devices(accelerator: str, num_devices: int, num_nodes: int) -> Devices:
    from askscan.train.devices import Devices

    return Devices(accelerator=accelerator, num_devices=num_devices, num_nodes=num_nodes)
