"""What both stages do before their first step: claim the run folder, load scenes, start from given weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from askscan import __version__
from askscan.data.bank import SceneBank
from askscan.data.folder import DEPTH_CONTRAST, DataFolder
from askscan.data.prepared import load_prepared
from askscan.errors import DataError, WeightsError
from askscan.losses.alignment import AlignmentTerms
from askscan.losses.answering import AnswerTerms
from askscan.losses.detection import DetectionTerms
from askscan.models.pretrainer import Pretrainer
from askscan.models.published import fitted_detector, read_vocabulary
from askscan.models.scan_qa import ScanQA
from askscan.models.weights import load_into, read_checkpoint, weights_file, with_answers
from askscan.plain import to_plain
from askscan.records import Description, Question
from askscan.train.checkpoint import RunFolder, RunStatus
from askscan.train.config import AnswerConfig, LoopConfig, PretrainConfig
from askscan.train.devices import Devices, by_first, launch, seed_of
from askscan.train.embeddings import TeacherLike
from askscan.train.journal import log_line
from askscan.train.loop import OnProgress, RunResult, Task, Trainer, run_result

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Config = TypeVar("Config")
StageConfig = TypeVar("StageConfig", PretrainConfig, AnswerConfig)
Module = TypeVar("Module", bound=nn.Module)
Found = TypeVar("Found")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call of a training: where it reads and writes, and whom it tells."""

    data: DataFolder
    folder: RunFolder
    fabric: Fabric
    devices: Devices
    say: Say
    on_progress: OnProgress | None

    def tell(self, text: str) -> None:
        """To the user and the log, once; nothing for an empty text."""

        def tell() -> None:
            self.say(text)
            log_line(self.folder.log, text)

        if text:
            by_first(self.fabric, tell)

    def first(self, compute: Callable[[], Found]) -> Found:
        """The value that the first process computes and keeps on disk; the others then find it there."""
        found: list[Found] = []
        by_first(self.fabric, lambda: found.append(compute()))  # a value may be large: it is not sent
        return found[0] if found else compute()


def open_session(
    data: DataFolder, out: Path, loop: LoopConfig, devices: Devices | None, say: Say, on_progress: OnProgress | None
) -> Session:
    """Start, or join, the processes of a training.

    Raises:
        ConfigError: There are not as many devices.
    """
    devices = devices or Devices()
    fabric, folder = launch(devices, loop.precision), RunFolder(Path(out))
    return Session(data=data, folder=folder, fabric=fabric, devices=devices, say=say, on_progress=on_progress)


@contextmanager
def open_run(session: Session, description: dict[str, Any], *, force: bool) -> Iterator[RunStatus]:
    """`RunFolder.open` by the first process, which keeps the folder locked while the block lasts."""
    with ExitStack() as held:

        def claim() -> RunStatus:
            session.folder.holds(description, force=force)  # a folder that is refused stays as it is, without a lock
            held.enter_context(session.folder.locked())
            return session.folder.open(description, force=force)

        yield by_first(session.fabric, claim)


def describe(
    stage: str,
    config: PretrainConfig | AnswerConfig,
    teacher: TeacherLike,
    init: Path | None,
    data: DataFolder,
    splits: Mapping[str, Sequence[Description | Question]],
) -> dict[str, Any]:
    """What config.yaml holds: everything that decides the run. No paths: the folder can be moved."""
    counts = (f"{len(t)} texts on {len({x.scene_id for x in t})} scenes ({split})" for split, t in splits.items())
    origin = "generated rooms" if (data.root / "rooms.json").is_file() else "scans that the user brought"
    return {
        "version": __version__,
        "stage": stage,
        "teacher": teacher.identity,
        "teacher_name": teacher.name,
        "init": None if init is None else _content_hash(init),
        "data": hashlib.blake2b(repr(list(splits.values())).encode(), digest_size=8).hexdigest(),
        "collection": f"{origin}: {', '.join(counts)}",
        "config": to_plain(config),
    }


def find_init(init: Path | None, data: DataFolder) -> Path | None:
    """The weights to start from: the given ones, or DepthContrast's where users of the published code keep them."""
    if init is not None:
        return Path(init)
    places = (Path.cwd() / DEPTH_CONTRAST, data.depthcontrast)
    return next((path for path in places if path.is_file()), None)


def fitted(config: StageConfig, init: Path | None) -> StageConfig:
    """The configuration with the widths and the height channel of the detector that it is to start from.

    DepthContrast's file has only a backbone, of the published widths.

    Raises:
        WeightsError: The checkpoint cannot be read.
    """
    if init is None or (foreign := read_checkpoint(init)).kind == "depthcontrast":
        return config
    scene = config.model.scene
    detector = fitted_detector(scene.detector, foreign)
    model = replace(config.model, scene=replace(scene, detector=detector))
    return replace(config, model=model, inputs=replace(config.inputs, height=detector.backbone.height))


def build(cls: Callable[[Config], Module], config: Config, seed: int) -> Module:
    """A network whose first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, -1))
        return cls(config)


def initialise(module: Pretrainer | ScanQA, init: Path | None, *, given: bool, answers: Sequence[str] = ()) -> str:
    """Fill a network from a checkpoint; one that was only found may not fit.

    Question answering starts from question answering with all of it: `answers`, the network's, find theirs by name.

    Returns:
        How much of it was filled, for the user; nothing without a checkpoint.

    Raises:
        WeightsError: The file that was asked for does not fit.
    """
    if init is None:
        return ""
    try:
        foreign, known = read_checkpoint(init), ""
        if isinstance(module, ScanQA) and foreign.kind in ("askscan-qa", "3dvqa-qa"):
            theirs = read_vocabulary(init)
            foreign = with_answers(foreign, theirs, answers, module)
            known = f"; it knows {len(set(theirs) & set(answers))} of the {len(answers)} answers"
        return f"{init}: {load_into(module, foreign)}{known}"
    except WeightsError as error:
        if given:
            raise
        return f"{init}: found, but not used ({error})"


def named_terms(*records: DetectionTerms | AlignmentTerms | AnswerTerms) -> dict[str, Tensor]:
    """The terms of losses by their names."""
    return {field.name: getattr(record, field.name) for record in records for field in fields(record)}


def load_scenes(data: DataFolder, scene_ids: Sequence[str], device: torch.device) -> SceneBank:
    """The prepared scenes of some texts, packed on a device.

    Raises:
        DataError: One is not prepared.
    """
    distinct = sorted(set(scene_ids))
    missing = [scene_id for scene_id in distinct if not data.prepared(scene_id).is_file()]
    if missing:
        absent = sorted(set(missing) - set(data.scans_on_disk()))
        first = f"put the scans of {len(absent)} of them ({absent[0]}) into {data.scans} and " if absent else ""
        raise DataError(
            f"{data.prepared(missing[0])}: {len(missing)} of {len(distinct)} scenes are not prepared; "
            f"{first}run `askscan prepare` first."
        )
    return SceneBank.from_scenes([load_prepared(data.prepared(scene_id)) for scene_id in distinct], device)


def run(
    session: Session,
    description: dict[str, Any],
    config: PretrainConfig | AnswerConfig,
    make_task: Callable[[], Task],
    *,
    force: bool,
) -> RunResult:
    """Claim the run folder and train, or go on; a run that an earlier call finished needs no task."""
    folder = session.folder
    with open_run(session, description, force=force) as status:
        if status == "finished":
            _, progress = folder.load_state()
            if session.fabric.is_global_zero:
                session.say(f"{folder.path}: this run is finished ({progress.step} steps); nothing to do.")
            return run_result(folder, progress, resumed_at=progress.step)
        trainer = Trainer(
            make_task(), config.loop, config.optim, folder, session.fabric, session.devices, session.on_progress
        )
        return trainer.run(resume=status == "unfinished")


def _content_hash(path: Path) -> str:
    file = weights_file(path)
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror}); give a run folder or a checkpoint.") from error
