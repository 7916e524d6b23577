"""Files of named tensors with a checksum of what they hold, so that a flipped bit is noticed when they are read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from askscan.files import write_synced

_CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFile:
    """What a safetensors file holds, on the host."""

    tensors: dict[str, Tensor]
    about: dict[str, str]
    """Texts beside the tensors."""
    checksum: str | None
    """Of tensors and texts, compared when they were read; None: the file is of another program and has none."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> str:
    """Replace a file; returns the checksum in it.

    Raises:
        DataError: It cannot be written.
    """
    from safetensors.torch import save

    host = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    checksum = _checksum(host, about or {})
    write_synced(path, save(host, {**(about or {}), _CHECKSUM: checksum}))
    return checksum


def load_tensors(path: Path) -> TensorFile:
    """Read a safetensors file; one of ours must hold what was written.

    Raises:
        ValueError: It does not, or it cannot be read; the message is the reason alone.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise ValueError("there is no such file") from error
    except (SafetensorError, OSError) as error:
        raise ValueError(str(error)[:160]) from error
    checksum = about.pop(_CHECKSUM, None)
    if checksum is not None and checksum != _checksum(tensors, about):
        raise ValueError("its checksum is that of other content")
    return TensorFile(tensors=tensors, about=about, checksum=checksum)


def _checksum(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    value = 0
    for text in (text for entry in sorted(about.items()) for text in entry):
        value = zlib.crc32(text.encode(), value)
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
