"""Scene and proposal features of a collection as files, for other people's models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from askscan.data.folder import DataFolder
from askscan.data.prepared import load_prepared
from askscan.errors import DataError
from askscan.evaluate.answerer import Answerer
from askscan.files import claim, replacing

MANIFEST = "embeddings.json"
KEYS = {
    "scene": "(d) float32: the scene; of a pre-trained model in the space of its teacher, not normalised",
    "proposals": "(k, c) float32: the encoded token of each proposal",
    "center": "(k, 3) float32: centre of each proposal's box, aligned metres",
    "size": "(k, 3) float32: its extent along the axes, metres",
    "objectness": "(k) float32: probability that the proposal is an object",
}
"""What each `<scene>.safetensors` holds; `embeddings.json` repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What a call of `write_embeddings` did."""

    num_new: int
    num_kept: int
    """Scenes that were there already."""


def write_embeddings(
    answerer: Answerer, data: DataFolder, out: Path, *, progress: Callable[[int, int], None] | None = None
) -> Embedded:
    """Write `<scene>.safetensors` for every prepared scene; the same call again goes on where it stopped.

    Args:
        answerer: A run with a scene encoder, loaded.
        data: With prepared scenes.
        out: A new folder, or an unfinished one of the same weights.
        progress: Gets (done, total) in scenes.

    Raises:
        ConfigError: The run has no scene encoder, or the folder holds something else.
        DataError: No scene is prepared.
    """
    from safetensors.numpy import save_file

    scene_ids = sorted(path.stem for path in (data.root / "prepared").glob("*.safetensors"))
    if not scene_ids:
        raise DataError(f"{data.root}: no scene is prepared; run `askscan prepare` first.")
    _claim(answerer, out)
    missing = [scene_id for scene_id in scene_ids if not (out / f"{scene_id}.safetensors").is_file()]
    done = len(scene_ids) - len(missing)
    for scene_id in missing:
        scene = load_prepared(data.prepared(scene_id))
        found = answerer.embed_points(scene)
        arrays = {key: getattr(found, key) for key in KEYS}
        with replacing(out / f"{scene_id}.safetensors") as temporary:
            # One key: safetensors writes several in random order.
            about = {"scene_id": scene_id, "scene_type": scene.scene_type}
            save_file(arrays, temporary, {"about": json.dumps(about)})
        done += 1
        if progress is not None:
            progress(done, len(scene_ids))
    return Embedded(num_new=len(missing), num_kept=len(scene_ids) - len(missing))


def _claim(answerer: Answerer, out: Path) -> None:
    """Make the folder ours, or refuse."""
    with answerer.run.weights.open("rb") as stream:
        weights = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    about = {"weights": weights, "teacher": answerer.run.teacher_identity, "keys": KEYS}
    claim(out, MANIFEST, about, what="embeddings")
