"""Retrieval between scenes, sentences and pictures: recall at k."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def recall_at(
    similarity: Float[Tensor, "q c"], target: Int[Tensor, "q"], ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Share of queries whose target is among the k most similar candidates, x100.

    Ties count against the query: a candidate as similar as the target ranks before it, so constant embeddings score 0.

    >>> recall_at(torch.tensor([[0.9, 0.1, 0.3], [0.5, 0.2, 0.4]]), torch.tensor([0, 1]), ks=(1, 3))
    {'R@1': 50.0, 'R@3': 100.0}
    """
    own = similarity.gather(1, target[:, None])
    rank = (similarity >= own).sum(1)  # the target itself counts one
    return {f"R@{k}": 100.0 * float((rank <= k).double().mean()) for k in ks}


def cosine_similarity(a: Float[Tensor, "q d"], b: Float[Tensor, "c d"]) -> Float[Tensor, "q c"]:
    """Cosine of every row of `a` with every row of `b`."""
    return torch.nn.functional.normalize(a, dim=-1) @ torch.nn.functional.normalize(b, dim=-1).T
