"""Point clouds to check and time the operations on."""

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
    """Clouds (b, n, 3): room, uniform, grid (ties), duplicates, cluster (tight, with outliers), padded with zeros."""
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
    if kind == "cluster":
        points = points * 0.01
        points[:, :: max(n // 3, 1)] += 50.0
        return points
    if kind == "padded":
        points[:, n // 2 :] = 0.0
        return points
    raise ValueError(kind)


KINDS = ("room", "uniform", "grid", "duplicates", "cluster", "padded")
