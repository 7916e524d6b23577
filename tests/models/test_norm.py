from __future__ import annotations

import torch
from torch import nn

from askscan.models.norm import BatchNorm, set_momentum


def test_equals_torchs_over_rows(generator: torch.Generator) -> None:
    ours, theirs = BatchNorm(5, momentum=0.3), nn.BatchNorm1d(5, momentum=0.3)
    theirs.load_state_dict(ours.state_dict())
    for _ in range(2):
        x = 2 + torch.randn(3, 4, 5, generator=generator)
        assert torch.allclose(ours(x), theirs(x.view(12, 5)).view(3, 4, 5), atol=1e-6)
    for name, value in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].double(), value.double(), atol=1e-6), name
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(x), theirs(x.view(12, 5)).view(3, 4, 5), atol=1e-6)


def test_statistics_of_16_bit_inputs_are_float32(generator: torch.Generator) -> None:
    # 4,096 rows around 100: bf16 sums could not even count them.
    x = (100 + torch.randn(4096, 2, generator=generator)).bfloat16()
    norm = BatchNorm(2, momentum=1.0)
    out = norm(x)
    assert out.dtype == torch.bfloat16
    assert norm.running_mean.dtype == torch.float32
    assert torch.allclose(norm.running_mean, x.float().mean(0), rtol=1e-5)
    assert torch.allclose(norm.running_var, x.float().var(0), rtol=1e-3)


def test_momentum_is_set_everywhere() -> None:
    model = nn.Sequential(BatchNorm(2), nn.Sequential(BatchNorm(3)))
    set_momentum(model, 0.25)
    assert [m.momentum for m in model.modules() if isinstance(m, BatchNorm)] == [0.25, 0.25]
