"""Scene embeddings of a run: a 2-d map by room type, and figures on how well they tell rooms apart.

The map is t-SNE (van der Maaten and Hinton 2008) as in Parelli et al., CVPRW 2023, figure 3; a picture can mislead, so
room-type k-NN accuracy, silhouette and retrieval stand beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.annotations import read_descriptions
from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.json_fields import read_json
from askscan.data.prepared import load_prepared, read_about
from askscan.errors import ConfigError, DataError
from askscan.evaluate.language_map import KIND_PHRASES, PhraseRetrieval, embed_objects, objects_of_kinds
from askscan.evaluate.runs import Run
from askscan.evaluate.score import AGAIN
from askscan.files import write_json
from askscan.metrics.retrieval import cosine_similarity, recall_at
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import QuestionOnly
from askscan.records import PreparedScene
from askscan.train.embeddings import EmbeddingCache, OnProgress, TeacherLike

NUM_NEIGHBORS = 5
_MAX_PERPLEXITY = 30.0
_TEXTS_PER_SCENE = 8
"""Sentences of each scene that retrieval is averaged over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMap:
    """Where each scene of a split lies, and what that is worth."""

    scene_ids: tuple[str, ...]
    room_types: tuple[str, ...]
    """ScanNet's sceneType; empty where unknown."""
    xy: Float[ndarray, "s 2"]
    scores: dict[str, float]
    """Figures x100."""


def map_path(folder: Path, split: str) -> Path:
    """Where the map of a split is kept in a run folder."""
    return folder / f"map.{split}.json"


def map_scenes(
    run: Run,
    data: DataFolder,
    split: str,
    *,
    out: Path | None = None,
    teacher: TeacherLike | None = None,
    progress: OnProgress | None = None,
) -> SceneMap:
    """Embed the prepared scenes of a split, measure and map them, and write `map.<split>.json`.

    Args:
        run: With a scene encoder; retrieval (of scenes, and of objects by phrases) is measured for pre-training runs.
        data: Prepared scenes; sentences and pictures for retrieval.
        split: train or val.
        out: Folder to write to; default: the run's.
        teacher: The run's teacher; found by its name where not given.
        progress: Gets (done, total) in scenes.

    Raises:
        ConfigError: The run has no scene encoder.
        DataError: No scene of the split is prepared.
    """
    scene_ids = [scene_id for scene_id in data.scenes(split) if data.prepared(scene_id).is_file()]
    if not scene_ids:
        raise DataError(f"{data.root}: no scene of split {split} is prepared; run `askscan prepare` first.")
    device = next(run.module.parameters()).device
    room_types = tuple(read_about(data.prepared(scene_id))["scene_type"] for scene_id in scene_ids)
    if isinstance(run.module, Pretrainer):
        cache = EmbeddingCache(data.root / "prepared" / "embeddings", teacher or run.teacher(device), progress)
        embeddings, phrase_scores = _scenes_and_objects(run, data, scene_ids, cache, progress)
        scores = type_scores(embeddings.numpy(), room_types)
        scores |= retrieval_scores(embeddings, data, split, scene_ids, cache) | phrase_scores
    else:
        embeddings = _cls_tokens(run, data, scene_ids, progress=progress).cpu()
        scores = type_scores(embeddings.numpy(), room_types)
    found = SceneMap(
        scene_ids=tuple(scene_ids), room_types=room_types, xy=project_2d(embeddings.numpy()), scores=scores
    )
    write_json(map_path(out or run.folder.path, split), _plain(found), ensure_ascii=False, indent=0)
    return found


def read_map(path: Path) -> SceneMap:
    """Read `map.<split>.json`.

    Raises:
        DataError: It cannot be read.
    """
    fields = read_json(path, expected=dict, remedy=AGAIN)
    try:
        xy = np.array(fields["xy"], np.float64).reshape(-1, 2)
        ids, types = (tuple(map(str, fields[key])) for key in ("scene_ids", "room_types"))
        scores = {name: float(value) for name, value in fields["scores"].items()}
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise DataError(f"{path}: no map of scenes ({error}); {AGAIN}.") from error
    if not len(xy) == len(ids) == len(types):
        raise DataError(f"{path}: has {len(ids)} scenes but {len(xy)} positions; {AGAIN}.")
    return SceneMap(scene_ids=ids, room_types=types, xy=xy, scores=scores)


@torch.no_grad()
def _cls_tokens(
    run: Run, data: DataFolder, scene_ids: Sequence[str], *, progress: OnProgress | None = None
) -> Float[Tensor, "s d"]:
    """Each scene's CLS token.

    Raises:
        ConfigError: The run has no scene encoder.
    """
    module = run.module
    if isinstance(module, QuestionOnly):
        raise ConfigError(f"{run.name}: is the question-only baseline; it has no scene encoder.")
    batches = _sampled(run, data, scene_ids, progress)
    return torch.cat([module.scene(points).tokens[:, 0].float() for _, points in batches])


def _scenes_and_objects(
    run: Run, data: DataFolder, scene_ids: Sequence[str], cache: EmbeddingCache, progress: OnProgress | None
) -> tuple[Float[Tensor, "s d"], dict[str, float]]:
    """Scenes in the teacher's space, on the host, and how well their objects are found by the names of kinds."""
    assert isinstance(run.module, Pretrainer)
    phrases = torch.from_numpy(cache.sentences(KIND_PHRASES))
    embeddings, retrieval = [], PhraseRetrieval()
    for scenes, points in _sampled(run, data, scene_ids, progress):
        for scene, objects in zip(scenes, embed_objects(run.module, points), strict=True):
            similarity = cosine_similarity(phrases, objects.embedding.cpu())
            retrieval.add(similarity.numpy(), objects_of_kinds(objects, scene))
            embeddings.append(objects.scene.cpu())
    return torch.stack(embeddings), retrieval.compute()


def _sampled(
    run: Run, data: DataFolder, scene_ids: Sequence[str], progress: OnProgress | None
) -> Iterator[tuple[Sequence[PreparedScene], Float[Tensor, "b n c"]]]:
    """Prepared scenes, a few at a time, with what the model sees of them."""
    device, step = next(run.module.parameters()).device, run.config.loop.scenes_per_step
    for start in range(0, len(scene_ids), step):
        scenes = [load_prepared(data.prepared(scene_id)) for scene_id in scene_ids[start : start + step]]
        bank = SceneBank.from_scenes(scenes, device)
        rows = torch.arange(len(scenes), device=device)
        yield scenes, bank.points(rows, run.config.inputs)
        if progress is not None:
            progress(start + len(scenes), len(scene_ids))


def type_scores(embeddings: Float[ndarray, "s d"], room_types: Sequence[str]) -> dict[str, float]:
    """Room-type k-NN accuracy (leave one out, cosine), the share of the most frequent type, silhouette; all x100.

    Scenes without a type are left out; from the first two figures also the only scene of a type, which no neighbour can
    be of. A figure that few scenes or types do not define is left out.
    """
    from sklearn.metrics import silhouette_score

    known = np.array([bool(name) for name in room_types], bool)
    names, types = np.unique(np.array([name for name in room_types if name], str), return_inverse=True)
    unit = _unit(embeddings[known])
    scores: dict[str, float] = {}
    members = np.bincount(types, minlength=1)
    shared = members[types] > 1
    if shared.any():
        scores["room type k-NN"] = 100 * float((_neighbor_types(unit, types) == types)[shared].mean())
        scores["room type most frequent"] = 100 * float(members.max() / shared.sum())
    if 2 <= len(names) < len(unit):
        scores["room type silhouette"] = 100 * float(silhouette_score(unit, types, metric="cosine"))
    return scores


def retrieval_scores(
    embeddings: Float[Tensor, "s d"], data: DataFolder, split: str, scene_ids: Sequence[str], cache: EmbeddingCache
) -> dict[str, float]:
    """R@1, R@5, R@10 (x100) between scenes and sentences, and scenes and pictures, among the scenes that have one.

    With one sentence of each scene at a time, averaged over up to 8 sentences a scene.
    """
    texts: dict[str, list[str]] = {}
    for description in read_descriptions(data, split) if data.scanrefer(split).is_file() else ():
        texts.setdefault(description.scene_id, []).append(description.text)
    told = [row for row, scene_id in enumerate(scene_ids) if scene_id in texts]
    drawn = [row for row, scene_id in enumerate(scene_ids) if data.picture(scene_id, split).is_file()]
    scores: dict[str, float] = {}
    if told:
        num_draws = min(_TEXTS_PER_SCENE, max(len(texts[scene_ids[row]]) for row in told))
        chosen = [[own[i % len(own)] for i in range(num_draws)] for own in (texts[scene_ids[row]] for row in told)]
        flat = torch.from_numpy(cache.sentences([text for own in chosen for text in own]))
        draws = flat.view(len(told), num_draws, -1).unbind(1)
        scores |= _both_ways(embeddings[told], draws, "sentence")
    if drawn:
        pictures = torch.from_numpy(cache.pictures([data.picture(scene_ids[row], split) for row in drawn]))
        scores |= _both_ways(embeddings[drawn], [pictures], "picture")
    if told:
        scores |= {f"R@{k} chance": 100 * min(1.0, k / len(told)) for k in (1, 5, 10)}
    return scores


def project_2d(embeddings: Float[ndarray, "s d"]) -> Float[ndarray, "s 2"]:
    """t-SNE of the directions of embeddings, scaled to [-1, 1]; of fewer than 5 scenes a circle."""
    from sklearn.manifold import TSNE

    count = len(embeddings)
    if count < 5:
        angle = 2 * np.pi * np.arange(count) / max(count, 1)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    perplexity = min(_MAX_PERPLEXITY, (count - 1) / 3)
    xy = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(_unit(embeddings))
    xy = xy - (xy.max(0) + xy.min(0)) / 2
    return (xy / max(float(np.abs(xy).max()), 1e-9)).astype(np.float64)


def _neighbor_types(unit: Float[ndarray, "s d"], types: Int[ndarray, "s"]) -> Int[ndarray, "s"]:
    """Most frequent type among each scene's nearest others; of equally frequent ones the nearer wins."""
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(NUM_NEIGHBORS, len(unit) - 1)]
    return np.array([Counter(types[row].tolist()).most_common(1)[0][0] for row in nearest])


def _both_ways(scenes: Float[Tensor, "s d"], draws: Sequence[Tensor], name: str) -> dict[str, float]:
    own = torch.arange(len(scenes))
    scores: dict[str, float] = {}
    for title, turn in ((f"scene -> {name}", False), (f"{name} -> scene", True)):
        similarities = [cosine_similarity(scenes, draw) for draw in draws]
        found = [recall_at(s.T if turn else s, own) for s in similarities]
        scores |= {f"{k} {title}": float(np.mean([figures[k] for figures in found])) for k in found[0]}
    return scores


def _unit(rows: Float[ndarray, "s d"]) -> Float[ndarray, "s d"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _plain(found: SceneMap) -> dict[str, Any]:
    return {
        "scene_ids": list(found.scene_ids),
        "room_types": list(found.room_types),
        "xy": found.xy.round(4).tolist(),
        "scores": found.scores,
    }
