"""The run folder: what a training leaves on disk, written so that it can be interrupted at any moment.

`config.yaml` comes first and says whose folder it is; `state/last.safetensors` is one file, replaced as a whole, with
everything that the next step depends on; `model.safetensors` is the model to use.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor

from askscan.errors import ConfigError, DataError, WeightsError
from askscan.files import replacing
from askscan.plain import first_difference

RunStatus = Literal["new", "unfinished", "finished"]
_OURS = ("config.yaml", "model.safetensors", "answers.json", "metrics.csv", "log.txt", "state")
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

    def open(self, description: Mapping[str, Any], *, force: bool = False) -> RunStatus:
        """Claim the folder for a run, or find out how far the same run got.

        Args:
            description: Plain values that decide the run; config.yaml holds them.
            force: Remove what another run left.

        Raises:
            ConfigError: The folder has another run, or files that are not ours. Nothing was touched.
            DataError: The folder cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file; give a folder for the run.")
        found = self._description()
        if found is not None and not force:
            ignored = {key: None for key in _IGNORED}
            difference = first_difference({**found, **ignored}, {**description, **ignored})
            if difference is not None:
                start = f" (with --init {self.path} it starts from its weights)" if self.model.is_file() else ""
                raise ConfigError(
                    f"{self.path}: holds a run with another configuration ({_in_words(difference, found)}), and a run "
                    f"keeps the one that it began with; give another --out{start}, or --force to replace it."
                )
            self._remove_leftovers()
            if not self.state.exists():
                return "new"
            return "finished" if read_progress(self.state).finished else "unfinished"
        strangers = [] if force or not self.path.exists() else [p.name for p in self.path.iterdir() if not _leftover(p)]
        if strangers:
            raise ConfigError(f"{self.path}: has files that are no run of ours ({strangers[0]}); use --force.")
        self._clear()
        with replacing(self.config) as temporary:
            _write(temporary, yaml.safe_dump(dict(description), sort_keys=False, width=120).encode())
        return "new"

    def _description(self) -> dict[str, Any] | None:
        if not self.config.is_file():
            return None
        try:
            found = yaml.safe_load(self.config.read_text())
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{self.config}: cannot be read ({error}); use --force to start over.") from error
        return found if isinstance(found, dict) else {}

    def _clear(self) -> None:
        try:
            for name in _OURS:
                target = self.path / name
                if target.is_dir():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
            self._remove_leftovers()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror}).") from error

    def _remove_leftovers(self) -> None:
        for folder in (self.path, self.state.parent):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)

    def save_model(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace model.safetensors."""
        _save(self.model, tensors, {})

    def save_state(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Replace the last checkpoint."""
        _save(self.state, tensors, {"progress": json.dumps(asdict(progress))})

    def load_state(self) -> tuple[dict[str, Tensor], Progress]:
        """The last checkpoint, on the host.

        Raises:
            WeightsError: It is damaged.
        """
        from safetensors import SafetensorError, safe_open

        progress = read_progress(self.state)
        try:
            with safe_open(self.state, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                checksum = file.metadata()["checksum"]
        except (SafetensorError, OSError, KeyError) as error:
            raise _damaged(self.state) from error
        if checksum != _checksum(tensors):
            raise _damaged(self.state)
        return tensors, progress


def read_progress(path: Path) -> Progress:
    """Where the training of a checkpoint stood, from its header.

    Raises:
        WeightsError: It is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def load_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a model.safetensors of ours.

    Raises:
        WeightsError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: missing or damaged ({error!s:.160}); train again.") from error


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file."""
    with replacing(path) as temporary:
        _write(temporary, (json.dumps(value, ensure_ascii=False, indent=0) + "\n").encode())


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    from safetensors.torch import save

    host = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    content = save(host, {**metadata, "checksum": _checksum(host)})
    with replacing(path) as temporary:
        _write(temporary, content)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def _in_words(difference: str, found: Mapping[str, Any]) -> str:
    """A difference, for people: three entries are hashes of content."""
    return {
        "teacher": f"its teacher is another one, {found.get('teacher_name')}",
        "init": "it started from other weights, or from none: its log.txt says from which",
        "data": f"its texts are others, {found.get('collection')}",
    }.get(difference.partition(":")[0], difference)


def _leftover(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path}: this checkpoint is damaged or was not written by askscan; the run cannot go on from it. "
        "Restore the file, or start over with --force."
    )
