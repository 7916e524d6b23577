"""Point clouds to check the operations on."""

import torch
from torch import Tensor


def room(b: int, n: int, generator: torch.Generator) -> Tensor:
    """Points on the floor, the walls and twenty boxes of a furnished room of 8 x 6 x 2.6 m, with 5 mm of noise."""
    low = torch.cat([torch.zeros(1, 3), torch.rand(20, 3, generator=generator) * torch.tensor([7.0, 5.0, 0.2])])
    size = torch.cat([torch.tensor([[8.0, 6.0, 2.6]]), 0.3 + torch.rand(20, 3, generator=generator)])
    area = torch.stack([size[:, 1] * size[:, 2], size[:, 0] * size[:, 2], size[:, 0] * size[:, 1]], 1)
    face = torch.multinomial(area.reshape(-1), b * n, replacement=True, generator=generator)
    box, axis = face // 3, face % 3
    place = torch.rand(b * n, 3, generator=generator)
    place.scatter_(1, axis[:, None], torch.randint(0, 2, (b * n, 1), generator=generator).float())
    points = low[box] + place * size[box] + 0.005 * torch.randn(b * n, 3, generator=generator)
    return points.reshape(b, n, 3)


def cloud(kind: str, b: int, n: int, seed: int = 0) -> Tensor:
    """Clouds (b, n, 3): room, uniform, grid (ties), duplicates, padded with zeros, and small clusters: tight (alone),
    outlier (with one far point), cluster (with a few)."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "room":
        return room(b, n, generator)
    points = torch.rand(b, n, 3, generator=generator)
    if kind == "uniform":
        return points * torch.tensor([8.0, 6.0, 2.6])
    if kind == "grid":
        return torch.randint(0, 12, (b, n, 3), generator=generator) * 0.25
    if kind == "duplicates":
        return torch.ones(b, n, 3) * 0.3
    if kind in ("tight", "outlier", "cluster"):
        points = points * 0.01
        far = {"tight": slice(0), "outlier": slice(n // 2, n // 2 + 1), "cluster": slice(0, n, max(n // 3, 1))}
        points[:, far[kind]] += 50.0
        return points
    if kind == "padded":
        points[:, n // 2 :] = 0.0
        return points
    raise ValueError(kind)


KINDS = ("room", "uniform", "grid", "duplicates", "cluster", "padded")

LARGE_KINDS = ("room", "uniform", "duplicates", "tight", "outlier")
LARGE = ((1, 70_001), (1, 500_000), (128, 40_000))
"""Clouds and points of each; for GPUs alone."""
