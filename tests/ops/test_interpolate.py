import numpy as np
import pytest
import torch
from clouds import KINDS, cloud

from askscan import ops

ONE_ULP = 2.4e-7  # square roots of vectorised libraries may be off by one unit in the last place


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 37, 601])
def test_nearest_three_equal_a_stable_sort(device: torch.device, kind: str, n: int) -> None:
    points, query = cloud(kind, 2, n, seed=n), cloud(kind, 2, 13, seed=n + 1)
    distances, index = ops.three_nearest(query.to(device), points.to(device))
    for scene in range(2):
        for row, q in enumerate(query[scene].numpy()):
            d = points[scene].numpy() - q
            squared = (d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1]) + d[:, 2] * d[:, 2]
            want = np.argsort(squared, kind="stable")[:3]
            want = np.concatenate([want, np.full(3 - len(want), want[0])])
            assert index[scene, row].tolist() == want.tolist()
            np.testing.assert_allclose(distances[scene, row].cpu().numpy(), np.sqrt(squared[want]), rtol=ONE_ULP)


def test_weights_are_inverse_distances() -> None:
    weight = ops.interpolation_weights(torch.tensor([[[1.0, 2.0, 4.0], [0.0, 1.0, 1.0]]]))
    torch.testing.assert_close(weight[0, 0], torch.tensor([4.0, 2.0, 1.0]) / 7)
    torch.testing.assert_close(weight[0, 1], torch.tensor([1.0, 0.0, 0.0]), atol=1e-7, rtol=0)


@pytest.mark.parametrize("c", [1, 6, 32, 131])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mixture_and_gradient(device: torch.device, c: int, dtype: torch.dtype, generator: torch.Generator) -> None:
    features = torch.randn(2, 19, c, generator=generator).to(device, dtype).requires_grad_()
    index = torch.randint(0, 19, (2, 11, 3), generator=generator).to(device)
    weight = torch.rand(2, 11, 3, generator=generator).to(device).requires_grad_()
    out = ops.interpolate(features, index, weight)
    grad = torch.randn(out.shape, generator=generator).to(device, dtype)
    got = (out, *torch.autograd.grad(out, (features, weight), grad))

    wide, heavy = features.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    near = torch.stack([wide[scene][index[scene]] for scene in range(2)])
    want_out = (near * heavy[..., None]).sum(2)
    want = (want_out, *torch.autograd.grad(want_out, (wide, heavy), grad.double()))
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    assert [g.dtype for g in got] == [dtype, dtype, torch.float32]
    for g, w in zip(got, want, strict=True):
        assert (g.double() - w).norm() <= tolerance * w.norm()


def test_gradcheck(generator: torch.Generator) -> None:
    features = torch.randn(2, 5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    index = torch.randint(0, 5, (2, 6, 3), generator=generator)
    weight = torch.rand(2, 6, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(ops.interpolate, (features, index, weight))


def test_a_query_on_a_point_takes_its_features() -> None:
    points = cloud("uniform", 1, 50)
    distances, index = ops.three_nearest(points[:, :9].contiguous(), points)
    features = torch.randn(1, 50, 8)
    got = ops.interpolate(features, index, ops.interpolation_weights(distances))
    torch.testing.assert_close(got, features[:, :9], atol=1e-5, rtol=0)


def test_fake_tensors_and_autograd_registration(generator: torch.Generator) -> None:
    index = torch.randint(0, 5, (2, 6, 3), generator=generator)
    features, weight = torch.randn(2, 5, 4, requires_grad=True), torch.rand(2, 6, 3)
    torch.library.opcheck(torch.ops.askscan.interpolate.default, (features, index, weight))
    torch.library.opcheck(torch.ops.askscan.three_nearest.default, (torch.rand(1, 4, 3), torch.rand(1, 6, 3)))
