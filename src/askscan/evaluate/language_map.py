"""Language maps: how similar each object of a scan is to a phrase, in the space of a pre-trained run's teacher.

The head of pre-training reads the CLS token and was trained on nothing else: given a proposal's own token it finds the
object of a phrase no better than chance (docs/RESULTS.md). So each object is embedded as a scene of its own: the CLS
token looks at that one proposal, and the head reads the CLS token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.scan_files import box_to_file
from askscan.geometry.boxes import decode_boxes
from askscan.geometry.iou import pairwise_iou
from askscan.metrics.retrieval import cosine_similarity
from askscan.models.decoding import surviving
from askscan.models.pretrainer import Pretrainer
from askscan.records import PreparedScene, Scan
from askscan.shapes import CLASS_NAMES

KINDS = CLASS_NAMES[:-1]
"""Classes with a name of their own."""
KIND_PHRASES = tuple(f"a {name}" for name in KINDS)
_MATCH_IOU = 0.25
"""Overlap from which on a proposal is an annotated object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObjects:
    """The proposals of one scene that are objects and survive suppression, on the device."""

    scene: Float[Tensor, "e"]
    """The whole scene in the teacher's space."""
    embedding: Float[Tensor, "k e"]
    """Each object in the teacher's space, as a scene that holds nothing else."""
    center: Float[Tensor, "k 3"]
    size: Float[Tensor, "k 3"]
    semantic_class: Int[Tensor, "k"]
    objectness: Float[Tensor, "k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageMap:
    """Similarity of each object of a scan to each of p phrases.

    Cosines of one phrase compare objects with one another; how high they are as a whole says little.
    """

    phrases: tuple[str, ...]
    similarity: Float[ndarray, "p k"]
    """Cosine in the teacher's space."""
    scene_similarity: Float[ndarray, "p"]
    """The same of the whole scene."""
    labels: tuple[str, ...]
    """Class of each object as the detector has it, by which nothing is chosen here."""
    objectness: Float[ndarray, "k"]
    center: Float[ndarray, "k 3"]
    """In the axes and units of the user's file, as are size and corners."""
    size: Float[ndarray, "k 3"]
    corners: Float[ndarray, "k 8 3"]
    aligned_corners: Float[ndarray, "k 8 3"]
    """In the scan's aligned frame (metres), for pictures."""

    @classmethod
    def of(
        cls,
        scan: Scan,
        objects: SceneObjects,
        phrases: Sequence[str],
        texts: Float[Tensor, "p e"],
        aligned_corners: Float[ndarray, "k 8 3"],
    ) -> LanguageMap:
        """The map of a scan's objects; `texts`: the phrases in the teacher's space."""
        boxes = [box_to_file(scan, corners) for corners in aligned_corners]
        return cls(
            phrases=tuple(phrases),
            similarity=cosine_similarity(texts, objects.embedding).cpu().numpy(),
            scene_similarity=cosine_similarity(texts, objects.scene[None])[:, 0].cpu().numpy(),
            labels=tuple(CLASS_NAMES[i] for i in objects.semantic_class.tolist()),
            objectness=objects.objectness.cpu().numpy(),
            center=np.stack([box.center for box in boxes]),
            size=np.stack([box.size for box in boxes]),
            corners=np.stack([box.corners for box in boxes]),
            aligned_corners=aligned_corners,
        )

    def ranking(self, phrase: int) -> Int[ndarray, "k"]:
        """Objects by their similarity to the phrase of that number, best first."""
        return np.argsort(-self.similarity[phrase], kind="stable")


@torch.no_grad()
def embed_objects(module: Pretrainer, points: Float[Tensor, "b n c"]) -> tuple[SceneObjects, ...]:
    """Each scene of a batch and its objects in the teacher's space."""
    encoder = module.scene.encoder
    detector = module.scene.detector(points)
    tokens = encoder.embed(detector, points)
    scenes = module.head(encoder.attend(tokens)[:, 0])
    boxes = decode_boxes(detector)
    kept = surviving(boxes)
    return tuple(
        SceneObjects(
            scene=scenes[i],
            embedding=module.head(encoder.attend(tokens[i, kept[i], None])[:, 0]),
            center=boxes.center[i, kept[i]],
            size=boxes.size[i, kept[i]].clamp_min(0),
            semantic_class=boxes.semantic_class[i, kept[i]],
            objectness=boxes.objectness[i, kept[i]],
        )
        for i in range(len(points))
    )


class PhraseRetrieval:
    """How often the object most similar to a kind's name is of that kind; add scenes, then compute."""

    def __init__(self) -> None:
        self._hits: list[tuple[float, float, float]] = []

    def add(self, similarity: Float[ndarray, "p k"], fits: Bool[ndarray, "p k"]) -> None:
        """Count a scene.

        Args:
            similarity: Of k objects to the names of p kinds, at least two.
            fits: Whether an object is of a kind. Kinds that no object is of are not asked for.
        """
        if not fits.size:
            return
        found = fits[:, similarity.argmax(1)]  # (i, j): whether the object most similar to name j is of kind i
        own = found.diagonal()
        others = (found.sum(1) - own) / (len(fits) - 1)
        asked = fits.any(1)
        self._hits += zip(own[asked].astype(float), others[asked], fits.mean(1)[asked], strict=True)

    def compute(self) -> dict[str, float]:
        """Figures x100 over all pairs of a scene and a kind; nothing, if there were none.

        `R@1 other phrase -> object` asks with the names of the other kinds: what a phrase adds stands above that.
        `R@1 object chance` draws an object at random.

        >>> retrieval = PhraseRetrieval()
        >>> retrieval.add(np.array([[0.9, 0.1], [0.2, 0.1]]), np.array([[True, False], [False, True]]))
        >>> retrieval.compute()
        {'R@1 phrase -> object': 50.0, 'R@1 other phrase -> object': 50.0, 'R@1 object chance': 50.0}
        """
        names = ("R@1 phrase -> object", "R@1 other phrase -> object", "R@1 object chance")
        means = 100 * np.mean(self._hits, axis=0) if self._hits else ()
        return {name: float(value) for name, value in zip(names, means, strict=False)}


def objects_of_kinds(objects: SceneObjects, scene: PreparedScene) -> Bool[ndarray, "p k"]:
    """Whether each object overlaps an annotated one of each of `KINDS` (IoU above 0.25)."""
    boxes = torch.from_numpy(scene.boxes)
    overlap = pairwise_iou(objects.center.cpu(), objects.size.cpu(), boxes[:, :3], boxes[:, 3:]).numpy() > _MATCH_IOU
    of_kind = scene.box_class[None] == np.arange(len(KINDS))[:, None]
    return np.asarray((overlap[None] & of_kind[:, None]).any(-1))
