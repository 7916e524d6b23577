import numpy as np
import torch

from askscan.metrics.retrieval import cosine_similarity, recall_at


def test_equals_a_sort(generator: torch.Generator) -> None:
    similarity = torch.rand(40, 30, generator=generator)
    target = torch.randint(30, (40,), generator=generator)
    order = np.argsort(-similarity.numpy(), axis=1)
    for k in (1, 5, 10):
        expected = 100 * np.mean([t in row[:k] for t, row in zip(target.tolist(), order, strict=True)])
        assert abs(recall_at(similarity, target)[f"R@{k}"] - expected) < 1e-9


def test_constant_embeddings_score_nothing() -> None:
    similarity = cosine_similarity(torch.ones(20, 4), torch.ones(20, 4)).round(decimals=5)
    assert recall_at(similarity, torch.arange(20))["R@10"] == 0.0
