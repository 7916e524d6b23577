import pytest
import torch
from torch import Tensor

from askscan import ops

TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""Relative; float32 sums in another order differ by a few units of 6e-8, narrow types by one rounding of the result."""


def example(device: torch.device, c: int, dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    features = torch.randn(2, 31, c, generator=generator).to(device, dtype)
    index = torch.randint(0, 31, (2, 7, 5), generator=generator)
    index[:, :, 3:] = index[:, :, :1]  # repeats, as a ball with few points has
    return features.requires_grad_(), index.to(device)


@pytest.mark.parametrize("c", [1, 3, 8, 20, 128, 131])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_rows_and_gradient(device, c: int, dtype: torch.dtype, generator: torch.Generator, request) -> None:
    if request.node.callspec.params["device"] == "emulated" and dtype == torch.float16:
        pytest.skip("the emulator has no half precision instructions")
    features, index = example(device, c, dtype, generator)
    rows = ops.group(features, index)
    for scene in range(2):
        assert torch.equal(rows[scene], features[scene][index[scene]])
    grad = torch.randn(rows.shape, generator=generator).to(device, dtype)
    (got,) = torch.autograd.grad(rows, features, grad)
    want = torch.zeros(2, 31, c, dtype=torch.float64)
    for scene in range(2):
        for center in range(7):
            for neighbor in range(5):
                want[scene, index[scene, center, neighbor]] += grad[scene, center, neighbor].double().cpu()
    assert got.dtype == dtype
    assert (got.cpu().double() - want).norm() <= TOLERANCE[dtype] * want.norm()


def test_gradcheck(generator: torch.Generator) -> None:
    index = torch.randint(0, 6, (2, 3, 4), generator=generator)
    features = torch.randn(2, 6, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(ops.group, (features, index))
    assert torch.autograd.gradgradcheck(ops.group, (features, index))


def test_the_gradient_is_the_same_every_time(generator: torch.Generator) -> None:
    features, index = example(torch.device("cpu"), 20, torch.float32, generator)
    grads = [torch.autograd.grad(ops.group(features, index).square().sum(), features)[0] for _ in range(3)]
    assert torch.equal(grads[0], grads[1]) and torch.equal(grads[0], grads[2])


def test_slices_and_no_neighbours(device: torch.device) -> None:
    wide = torch.randn(2, 31, 9, device=device)
    index = torch.randint(0, 31, (2, 4, 3), device=device)
    assert torch.equal(ops.group(wide[:, :, 1:5], index), ops.group(wide, index)[..., 1:5])
    assert ops.group(wide, index[:, :, :0]).shape == (2, 4, 0, 9)


def test_fake_tensors_and_autograd_registration(generator: torch.Generator) -> None:
    torch.library.opcheck(torch.ops.askscan.group.default, example(torch.device("cpu"), 4, torch.float32, generator))
