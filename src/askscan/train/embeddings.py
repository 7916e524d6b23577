"""The teacher's embeddings of texts and pictures, computed once and kept.

They lie in `<folder>/<teacher identity>/<kind>-*.safetensors`, found by content. They are written as they are done, so
that an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from askscan.data.questions import RaggedTokens
from askscan.errors import DataError
from askscan.files import replacing

Kind = Literal["sentences", "tokens", "pictures"]
OnProgress = Callable[[int, int], None]
SENTENCE_PREFIX = "Point cloud of a scene where "
_DIGEST_BYTES = 16
_BATCH = {"sentences": 256, "tokens": 256, "pictures": 32}
_BATCHES_PER_SHARD = 8


@runtime_checkable
class TeacherLike(Protocol):
    """What training asks of a teacher; `askscan.models.teacher.Teacher` is one."""

    name: str
    identity: str

    @property
    def embed_width(self) -> int:
        """Channels of sentence and picture embeddings."""

    @property
    def token_width(self) -> int:
        """Channels of per-token features."""

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "q d"]:
        """Embeddings of texts."""

    def embed_images(self, images: Sequence[np.ndarray]) -> Float[Tensor, "i d"]:
        """Embeddings of (h, w, 3) uint8 pictures."""

    def encode_tokens(self, texts: Sequence[str]) -> Any:
        """A record of `features` (q t d) and `mask` (q t)."""


class EmbeddingCache:
    """Embeddings of one teacher, on the disk."""

    def __init__(self, folder: Path, teacher: TeacherLike, on_progress: OnProgress | None = None) -> None:
        self.folder = folder / teacher.identity
        self.teacher = teacher
        self.on_progress = on_progress or (lambda done, total: None)

    def sentences(self, texts: Sequence[str]) -> Float32[ndarray, "q d"]:
        """Embeddings of sentences about scenes, each as `Point cloud of a scene where ...`."""
        contents = [(SENTENCE_PREFIX + text).encode() for text in texts]
        return np.concatenate(self._get("sentences", contents, self._embed_sentences)).astype(np.float32)

    def tokens(self, texts: Sequence[str]) -> RaggedTokens:
        """Per-token features of questions."""
        rows = self._get("tokens", [text.encode() for text in texts], self._encode_tokens)
        return RaggedTokens(features=np.concatenate(rows), count=np.array([len(row) for row in rows]))

    def pictures(self, paths: Sequence[Path]) -> Float32[ndarray, "i d"]:
        """Embeddings of picture files.

        Raises:
            DataError: A picture is missing or cannot be read.
        """
        contents = [_read(path) for path in paths]
        names = dict(zip(contents, paths, strict=True))
        rows = self._get("pictures", contents, lambda batch: self._embed_pictures(batch, names))
        return np.concatenate(rows).astype(np.float32)

    def _embed_sentences(self, batch: Sequence[bytes]) -> list[Float[ndarray, "1 d"]]:
        features = self.teacher.embed_texts([content.decode() for content in batch])
        return list(features.cpu().numpy()[:, None])

    def _encode_tokens(self, batch: Sequence[bytes]) -> list[np.ndarray]:
        output = self.teacher.encode_tokens([content.decode() for content in batch])
        features, mask = output.features.half().cpu().numpy(), output.mask.cpu().numpy()
        return [row[real] for row, real in zip(features, mask, strict=True)]

    def _embed_pictures(self, batch: Sequence[bytes], names: dict[bytes, Path]) -> list[Float[ndarray, "1 d"]]:
        features = self.teacher.embed_images([_decode(names[content], content) for content in batch])
        return list(features.cpu().numpy()[:, None])

    def _get(
        self, kind: Kind, contents: Sequence[bytes], compute: Callable[[Sequence[bytes]], list[np.ndarray]]
    ) -> list[np.ndarray]:
        """Rows of each content, (r, d); what is not on the disk is computed and written."""
        keys = [hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() for content in contents]
        known = self._load(kind)
        missing = {key: content for key, content in zip(keys, contents, strict=True) if key not in known}
        # Alike lengths together: less padding.
        order = sorted(missing, key=lambda key: len(missing[key]))
        step = _BATCH[kind]
        pending: dict[bytes, np.ndarray] = {}
        for start in range(0, len(order), step):
            batch = order[start : start + step]
            pending.update(zip(batch, compute([missing[key] for key in batch]), strict=True))
            if len(pending) >= step * _BATCHES_PER_SHARD or start + step >= len(order):
                self._store(kind, pending)
                known.update(pending)
                pending = {}
            self.on_progress(min(start + step, len(order)), len(order))
        return [known[key] for key in keys]

    def _load(self, kind: Kind) -> dict[bytes, np.ndarray]:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        known: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob(f"{kind}-*.safetensors")):
            try:
                shard = load_file(path)
                rows = np.split(shard["features"], np.cumsum(shard["count"])[:-1])
                known.update(zip((key.tobytes() for key in shard["keys"]), rows, strict=True))
            except (SafetensorError, OSError, KeyError, ValueError) as error:
                raise DataError(
                    f"{path}: damaged ({error!s:.160}); delete it and run the same command again."
                ) from error
        return known

    def _store(self, kind: Kind, rows: dict[bytes, np.ndarray]) -> None:
        from safetensors.numpy import save_file

        name = hashlib.blake2b(b"".join(sorted(rows)), digest_size=8).hexdigest()
        arrays: dict[str, ndarray] = {
            "keys": np.frombuffer(b"".join(rows), np.uint8).reshape(-1, _DIGEST_BYTES),
            "count": np.array([len(row) for row in rows.values()], np.int64),
            "features": np.concatenate(list(rows.values())),
        }
        with replacing(self.folder / f"{kind}-{name}.safetensors") as temporary:
            save_file(arrays, temporary)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: no picture there ({error.strerror}); run `askscan render` first.") from error


def _decode(path: Path, content: bytes) -> np.ndarray:
    from io import BytesIO

    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: not a picture that can be read ({error}); delete it and run `askscan render`."
        ) from error
