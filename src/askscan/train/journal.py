"""What a training writes down: `metrics.csv`, exact also after an interruption, and `log.txt` for people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from askscan.errors import DataError


class MetricsFile:
    """A CSV of one row per logged step. It holds no times, so that an interrupted run writes the same bytes."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)

    def start(self, size: int | None) -> None:
        """Begin anew (None), or cut the file to the size that the checkpoint goes on from.

        Raises:
            DataError: The file is shorter than that, or cannot be written.
        """
        try:
            if size is None:
                self.path.write_text(",".join(self.columns) + "\n")
                return
            if not self.path.is_file() or self.path.stat().st_size < size:
                raise DataError(
                    f"{self.path}: missing or shorter than when the checkpoint was written; start over with --force."
                )
            os.truncate(self.path, size)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror}).") from error

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add a row; columns that it has no value for stay empty.

        Raises:
            DataError: The disk is full or the file cannot be written.
        """
        cells = [_cell(row[name]) if name in row else "" for name in self.columns]
        with _writing(self.path, "a") as file:
            file.write(",".join(cells) + "\n")

    def sync(self) -> int:
        """Bring what was written to the disk; returns the size in bytes.

        Raises:
            DataError: The disk is full or the file cannot be written.
        """
        with _writing(self.path, "rb+") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size


def log_line(path: Path, text: str) -> None:
    """Add a line with the local time to `log.txt`."""
    with _writing(path, "a") as file:
        file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")


@contextmanager
def _writing(path: Path, mode: Literal["a", "rb+"]) -> Iterator[IO[Any]]:
    try:
        with path.open(mode) as file:
            yield file
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); the last checkpoint is intact: "
            "make room, then give the same command again."
        ) from error


def _cell(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
