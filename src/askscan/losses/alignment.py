"""Losses that draw a scene's embedding to its teacher's: cosine, and contrastive beside it.

Cosine: CLIP-guided pre-training (Parelli et al., CVPRW 2023). Contrastive: InfoNCE as in CLIP (Radford et al. 2021),
which Multi-CLIP (Delitzas et al. 2023) uses on scans.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from askscan.errors import ConfigError
from askscan.losses.detection import DetectionTerms, DetectionWeights
from askscan.losses.reduce import EPS, gather_rows, masked, ratios

NOWHERE = -1e9
"""Logit of what is no negative; finite, so that a batch of one scene has a gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentWeights:
    """Shares of sentences and pictures; they are normalised to sum 1."""

    text: float = 0.5
    """Sentences."""
    image: float = 0.5
    """Pictures."""
    objective: Literal["cosine", "contrastive"] = "cosine"
    """One minus the cosine, or InfoNCE over the global batch with a learned temperature."""

    def __post_init__(self) -> None:
        if min(self.text, self.image) < 0 or self.text + self.image <= 0:
            raise ConfigError(f"alignment weights must be positive in sum, none negative: {self.text}, {self.image}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentTerms:
    """Named terms, unweighted."""

    text: Float[Tensor, ""]
    image: Float[Tensor, ""]

    def total(self, weights: AlignmentWeights) -> Float[Tensor, ""]:
        """Weighted mean."""
        return (weights.text * self.text + weights.image * self.image) / (weights.text + weights.image)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainWeights:
    """Weights of the pre-training loss; the defaults are the published ones."""

    detection: DetectionWeights = field(default_factory=DetectionWeights)
    """Detection terms."""
    alignment: AlignmentWeights = field(default_factory=AlignmentWeights)
    """Sentences against pictures."""
    detection_share: float = 1.0
    """Weight of detection as a whole."""
    alignment_share: float = 0.1
    """Weight of alignment as a whole."""
    scale: float = 10.0
    """Factor of the sum."""

    def total(self, detection: DetectionTerms, alignment: AlignmentTerms) -> Float[Tensor, ""]:
        """The loss that pre-training descends."""
        guided = self.detection_share * detection.total(self.detection)
        return self.scale * (guided + self.alignment_share * alignment.total(self.alignment))


def _cosine(
    scene: Float[Tensor, "b d"], teacher: Float[Tensor, "b q d"], mask: Bool[Tensor, "b q"]
) -> tuple[Tensor, Tensor]:
    similarity = F.cosine_similarity(scene.float()[:, None], teacher.float(), dim=-1)
    return masked(1 - similarity, mask)


def cosine_alignment(
    scene: Float[Tensor, "b d"],
    texts: Float[Tensor, "b q d"],
    text_mask: Bool[Tensor, "b q"],
    images: Float[Tensor, "b v d"],
    image_mask: Bool[Tensor, "b v"],
) -> AlignmentTerms:
    """One minus the cosine to each of a scene's sentences and pictures; masked ones (False) do not count."""
    text, image = ratios(_cosine(scene, texts, text_mask), _cosine(scene, images, image_mask))
    return AlignmentTerms(text=text, image=image)


def info_nce(
    scene: Float[Tensor, "b d"],
    teacher: Float[Tensor, "b q d"],
    mask: Bool[Tensor, "b q"],
    scene_index: Int[Tensor, "b"],
    log_temperature: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE over the global batch, several teacher embeddings per scene.

    What belongs to the same scene (equal `scene_index`, also elsewhere in the batch) is nobody's negative: each
    embedding is told from those of other scenes only. The temperature is kept above 0.01, as in CLIP.
    """
    scene, index = gather_rows(F.normalize(scene.float(), dim=-1)), gather_rows(scene_index)
    # Teachers are constants, but gathered alike so that their rows stay in step with the scenes'.
    teacher, mask = gather_rows(F.normalize(teacher.float(), dim=-1)), gather_rows(mask)
    logits = torch.einsum("bd,cqd->bcq", scene, teacher) / log_temperature.exp().clamp_min(0.01)
    other = index[:, None] != index[None, :]
    own = torch.diagonal(logits, dim1=0, dim2=1).mT
    negative = logits.masked_fill(~other[:, :, None], NOWHERE)
    to_scene = negative.logsumexp(0)
    to_teacher = negative.masked_fill(~mask[None], NOWHERE).flatten(1).logsumexp(1)[:, None]
    loss = (torch.logaddexp(own, to_scene) + torch.logaddexp(own, to_teacher)) / 2 - own
    total, count = masked(loss, mask)
    return total / (count + EPS)


def contrastive_alignment(
    scene: Float[Tensor, "b d"],
    texts: Float[Tensor, "b q d"],
    text_mask: Bool[Tensor, "b q"],
    images: Float[Tensor, "b v d"],
    image_mask: Bool[Tensor, "b v"],
    *,
    scene_index: Int[Tensor, "b"],
    log_temperature: Float[Tensor, ""],
) -> AlignmentTerms:
    """`info_nce` against sentences and against pictures."""
    return AlignmentTerms(
        text=info_nce(scene, texts, text_mask, scene_index, log_temperature),
        image=info_nce(scene, images, image_mask, scene_index, log_temperature),
    )
