"""How well a teacher finds the picture of a sentence and the sentence of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from askscan.metrics.retrieval import cosine_similarity, recall_at
from askscan.models.teacher import Teacher

_BATCH = 64


def sentence_picture_recall(
    teacher: Teacher, images: Sequence[np.ndarray], sentences: Sequence[Sequence[str]]
) -> dict[str, float]:
    """R@1, R@5, R@10 (x100): every sentence among all pictures; every picture among one sentence of each scene.

    The second is the mean over as many draws (the first, second, ... sentence of each scene) as every scene has.
    """
    pictures = _embed(teacher.embed_images, images)
    texts = _embed(teacher.embed_texts, [text for scene in sentences for text in scene])
    counts = np.array([len(scene) for scene in sentences])
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    figures = {f"{k} sentence -> picture": v for k, v in recall_at(cosine_similarity(texts, pictures), owner).items()}
    first = torch.from_numpy(np.cumsum(counts) - counts)
    draws = [
        recall_at(cosine_similarity(pictures, texts[first + draw]), torch.arange(len(counts)))
        for draw in range(int(counts.min()))
    ]
    return figures | {f"{k} picture -> sentence": float(np.mean([d[k] for d in draws])) for k in draws[0]}


def _embed(encode: object, items: Sequence[object]) -> Tensor:
    assert callable(encode)
    return torch.cat([encode(items[i : i + _BATCH]).cpu() for i in range(0, len(items), _BATCH)])
