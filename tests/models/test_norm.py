from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
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


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_synchronised_on_a_gpu_it_is_the_same(tmp_path: Path, dtype: torch.dtype) -> None:
    dist.init_process_group("nccl", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        alone, synchronised = BatchNorm(24, momentum=0.3).cuda(), BatchNorm(24, momentum=0.3).cuda()
        x = (2 + torch.randn(4000, 24, device="cuda")).to(dtype)
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        outputs = [alone(inputs[0]), synchronised._synchronised(inputs[1], torch.clone)]
        for output in outputs:
            output.float().sin().sum().backward()
        tolerance = 1e-5 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(outputs[1], outputs[0], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=tolerance, atol=tolerance)
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(getattr(synchronised, name), getattr(alone, name), rtol=1e-5, atol=1e-5)
        for ours, theirs in zip(synchronised.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=4000 * tolerance)
    finally:
        dist.destroy_process_group()
