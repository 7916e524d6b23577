"""The run folder: what a training leaves on disk, written so that it can be interrupted at any moment.

`config.yaml` comes first and says whose folder it is; `state/last.safetensors` is one file, replaced as a whole, with
everything that the next step depends on; `model.safetensors` is the model to use. A new model waits in `state/` until
the checkpoint that names it is written, so that the two never contradict one another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from torch import Tensor

from askscan.errors import ConfigError, DataError, WeightsError
from askscan.files import locked, write_synced
from askscan.models.tensor_file import load_tensors, save_tensors
from askscan.plain import first_difference

RunStatus = Literal["new", "unfinished", "finished"]
_OURS = ("config.yaml", "model.safetensors", "answers.json", "metrics.csv", "log.txt")
_IGNORED = ("version", "teacher_name", "collection")
"""Entries of config.yaml that may differ in a run that goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a training stands."""

    step: int
    """Steps done."""
    metrics_size: int
    """Bytes of metrics.csv that belong to them."""
    best_step: int = 0
    """Step of the kept model; 0 before there is one."""
    best_checksum: str = ""
    """Of the file that it is in."""
    best_scores: list[float] = field(default_factory=list)
    """Scores of the kept model, most important first; empty before the first validation."""
    finished: bool = False


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """What was asked for."""
        return self.path / "config.yaml"

    @property
    def model(self) -> Path:
        """The weights to use: the best of question answering, the last of pre-training."""
        return self.path / "model.safetensors"

    @property
    def answers(self) -> Path:
        """The answer vocabulary with its counts."""
        return self.path / "answers.json"

    @property
    def metrics(self) -> Path:
        """Losses and scores."""
        return self.path / "metrics.csv"

    @property
    def log(self) -> Path:
        """Events, for people."""
        return self.path / "log.txt"

    @property
    def state(self) -> Path:
        """The last checkpoint."""
        return self.path / "state" / "last.safetensors"

    @property
    def lock(self) -> Path:
        """What the process that trains keeps locked."""
        return self.state.with_name("lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training into the folder while the block lasts.

        Raises:
            ConfigError: Another one does.
            DataError: The folder cannot be written.
        """
        with locked(self.lock) as mine:
            if not mine:
                raise ConfigError(
                    f"{self.path}: another process is training into this folder; wait for it to end, "
                    "or give another --out."
                )
            yield

    def holds(self, description: Mapping[str, Any], *, force: bool = False) -> bool:
        """Whether the folder has this run, that may go on; if not, a run may begin in it. Nothing is touched.

        Raises:
            ConfigError: The folder has another run, or files that are not ours.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file; give a folder for the run.")
        if force:
            return False
        found = self._description()
        if found is not None:
            ignored = {key: None for key in _IGNORED}
            difference = first_difference({**found, **ignored}, {**description, **ignored})
            if difference is not None and not self._trained(found):
                return False
            if difference is not None:
                start = f" (with --init {self.path} it starts from its weights)" if self.model.is_file() else ""
                raise ConfigError(
                    f"{self.path}: holds a run with another configuration ({_in_words(difference, found)}), and a run "
                    f"keeps the one that it began with; give another --out{start}, or --force to replace it."
                )
            return True
        there = (*self.path.glob("*"), *self.state.parent.glob("*"))
        strangers = [path.name for path in there if path not in (self.state.parent, self.lock) and not _leftover(path)]
        if strangers:
            raise ConfigError(f"{self.path}: has files that are no run of ours ({strangers[0]}); use --force.")
        return False

    def open(self, description: Mapping[str, Any], *, force: bool = False) -> RunStatus:
        """Claim the folder for a run, or find out how far the same run got.

        Args:
            description: Plain values that decide the run; config.yaml holds them.
            force: Remove what another run left.

        Raises:
            ConfigError: The folder has another run, or files that are not ours. Nothing was touched.
            DataError: The folder cannot be written.
            WeightsError: The checkpoint or the model is missing or damaged, or they are not of one run.
        """
        if not self.holds(description, force=force):
            self._clear()
            write_synced(self.config, yaml.safe_dump(dict(description), sort_keys=False, width=120).encode())
            return "new"
        self._remove_leftovers()
        if not self.state.exists():
            if self.model.exists():
                raise WeightsError(
                    f"{self.state}: is missing, though the run has a model; restore the file, "
                    "or start over with --force."
                )
            self._settle(Progress(step=0, metrics_size=0))
            return "new"
        _, progress = self.load_state()
        self._settle(progress)
        self._check_model(progress)
        return "finished" if progress.finished else "unfinished"

    def _trained(self, found: Mapping[str, Any]) -> bool:
        """Whether there is anything to lose: figures, a checkpoint, a model, or a config.yaml that is not ours."""
        ours = {"version", "stage", "config"} <= found.keys()
        return not ours or any(path.exists() for path in (self.metrics, self.state, self.model))

    def _description(self) -> dict[str, Any] | None:
        if not self.config.is_file():
            return None
        try:
            found = yaml.safe_load(self.config.read_text())
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{self.config}: cannot be read ({error}); use --force to start over.") from error
        return found if isinstance(found, dict) else {}

    def _clear(self) -> None:
        """Remove what a run left; the lock stays, since it is held."""
        files = [self.path / name for name in _OURS] + [p for p in self.state.parent.glob("*") if p != self.lock]
        try:
            for path in files:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        try:
            for folder in (self.path, self.state.parent):
                for leftover in folder.glob(".*.tmp"):
                    leftover.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(f"{self.path}: cannot be written ({error.strerror}); free it or give another --out.")

    def _best(self, step: int) -> Path:
        """Where the model of a step waits until a checkpoint names it."""
        return self.state.with_name(f"best-{step}.safetensors")

    def save_best(self, step: int, tensors: Mapping[str, Tensor]) -> str:
        """Write a model that becomes model.safetensors once a checkpoint names its step; returns its checksum."""
        return save_tensors(self._best(step), tensors)

    def save_state(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Replace the last checkpoint, and model.safetensors if the checkpoint names a new one."""
        save_tensors(self.state, tensors, {"progress": json.dumps(asdict(progress))})
        self._settle(progress)

    def _settle(self, progress: Progress) -> None:
        """Put the model that the checkpoint names in its place; those that none came to name are removed."""
        try:
            if (best := self._best(progress.best_step)).exists():
                best.replace(self.model)
            for unnamed in self.state.parent.glob("best-*.safetensors"):
                unnamed.unlink()
        except OSError as error:
            raise self._unwritable(error) from error

    def _check_model(self, progress: Progress) -> None:
        if not progress.best_step:
            return
        reason = "it is another one"
        try:
            if load_tensors(self.model).checksum == progress.best_checksum:
                return
        except ValueError as error:
            reason = str(error)
        raise WeightsError(
            f"{self.model}: the model of step {progress.best_step}, which this run kept, was expected here ({reason}); "
            "restore the file, or start over with --force."
        )

    def load_state(self) -> tuple[dict[str, Tensor], Progress]:
        """The last checkpoint, on the host.

        Raises:
            WeightsError: It is damaged.
        """
        try:
            file = load_tensors(self.state)
            if file.checksum is None:
                raise ValueError("it has no checksum")
            return file.tensors, Progress(**json.loads(file.about["progress"]))
        except (ValueError, TypeError, KeyError) as error:
            raise WeightsError(
                f"{self.state}: this checkpoint is damaged or was not written by askscan ({error}); the run cannot go "
                "on from it. Restore the file, or start over with --force."
            ) from error


def load_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a model.safetensors of ours.

    Raises:
        WeightsError: It is missing or damaged.
    """
    try:
        return load_tensors(path).tensors
    except ValueError as error:
        raise WeightsError(f"{path}: missing or damaged ({error}); restore the file, or train again.") from error


def _in_words(difference: str, found: Mapping[str, Any]) -> str:
    """A difference, for people: three entries are hashes of content."""
    return {
        "teacher": f"its teacher is another one, {found.get('teacher_name')}",
        "init": "it started from other weights, or from none: its log.txt says from which",
        "data": f"its texts are others, {found.get('collection')}",
    }.get(difference.partition(":")[0], difference)


def _leftover(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")
