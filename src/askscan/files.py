"""Writing files so that a kill at any moment leaves the old file or the new one, and folders that are ours alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from askscan.errors import ConfigError, DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it takes the place of `path` when the block ends well.

    Raises:
        DataError: the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free or choose another place"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Replace a file; its content is on the disk when this returns.

    Raises:
        DataError: the folder cannot be written to, or the disk is full.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any, **options: Any) -> None:
    """Replace a JSON file; `options` are those of `json.dumps`.

    Raises:
        DataError: the folder cannot be written to, or the disk is full.
    """
    write_synced(path, (json.dumps(value, **options) + "\n").encode())


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether the lock of a file could be had at once; it is held inside the block, and never beyond the process.

    It always can where the system, or the file system, knows no locks.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); free or choose another place") from error
    with file:
        yield _lock(file)


def _lock(file: IO[str]) -> bool:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def claim(folder: Path, manifest: str, about: Mapping[str, Any], *, what: str) -> None:
    """Make a folder ours by a JSON file in it that says what it holds, or find that it is.

    Args:
        folder: New, empty, or claimed before with the same `about`.
        manifest: Name of the file.
        about: Plain values that decide what the folder holds.
        what: That in words, for messages.

    Raises:
        ConfigError: The folder holds something else; nothing in it was touched.
    """
    path = folder / manifest
    if path.is_file():
        try:
            there = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            there = None
        if there != about:
            raise ConfigError(f"{folder}: holds {what} of other settings, or {manifest} is damaged; give a new folder.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is not empty and holds no {what}; give a new folder.")
    else:
        write_json(path, about, indent=1)
