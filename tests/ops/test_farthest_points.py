import numpy as np
import pytest
import torch
from clouds import KINDS, LARGE, LARGE_KINDS, cloud
from torch import Tensor

from askscan import ops


def naive(points: np.ndarray, num: int) -> list[int]:
    """One cloud, one point at a time, in float32."""
    chosen, nearest = [0], np.full(len(points), np.inf, np.float32)
    while len(chosen) < num:
        best = 0
        for i, point in enumerate(points):
            d = point - points[chosen[-1]]
            nearest[i] = min(nearest[i], np.float32(np.float32(d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]))
            if nearest[i] > nearest[best]:
                best = i
        chosen.append(best)
    return chosen[:num]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("b", "n", "num"), [(1, 1, 3), (2, 7, 12), (1, 33, 33), (2, 257, 40)])
def test_equals_the_naive_loop(device: torch.device, kind: str, b: int, n: int, num: int) -> None:
    xyz = cloud(kind, b, n, seed=n)
    want = [naive(points, num) for points in xyz.numpy()]
    assert ops.farthest_points(xyz.to(device), num).tolist() == want


@pytest.mark.parametrize(("kind", "n", "num"), [("room", 4999, 64), ("cluster", 5003, 33), ("grid", 2048, 70)])
def test_equals_the_reference_on_larger_clouds(device: torch.device, kind: str, n: int, num: int) -> None:
    xyz = cloud(kind, 1, n)
    got = ops.farthest_points(xyz.to(device), num).cpu()
    with ops.use("reference"):
        assert torch.equal(got, _reference(xyz, num))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", LARGE_KINDS)
@pytest.mark.parametrize(("b", "n"), LARGE)
def test_the_kernel_equals_the_reference_on_large_clouds(kind: str, b: int, n: int) -> None:
    xyz = cloud(kind, b, n).cuda()
    with ops.use("cuda"):
        got = ops.farthest_points(xyz, 64)
    assert torch.equal(got, _reference(xyz, 64))


def _reference(xyz: Tensor, num: int) -> Tensor:
    from askscan.ops.reference.farthest_points import farthest_points

    return farthest_points(xyz, num)


def test_numba_equals_the_reference_on_a_room() -> None:
    xyz = cloud("room", 2, 20011)
    assert torch.equal(ops.farthest_points(xyz, 512), _reference(xyz, 512))


def test_a_prefix_is_the_answer_for_fewer(device: torch.device) -> None:
    xyz = cloud("uniform", 2, 500).to(device)
    assert torch.equal(ops.farthest_points(xyz, 50)[:, :20], ops.farthest_points(xyz, 20))


def test_published_centres_of_a_room(real_data) -> None:
    data = np.load(real_data / "parity" / "parity_open.npz")
    got = ops.farthest_points(torch.from_numpy(data["points"]), 2048)
    assert np.array_equal(got.numpy(), data["pre/sa1_inds"])


def test_nothing_asked_nothing_given(device: torch.device) -> None:
    assert ops.farthest_points(torch.rand(2, 5, 3, device=device), 0).shape == (2, 0)
    with pytest.raises(ValueError, match="clouds with points"):
        ops.farthest_points(torch.rand(2, 0, 3, device=device), 4)


def test_fake_tensors_know_the_shape() -> None:
    torch.library.opcheck(torch.ops.askscan.farthest_points.default, (torch.rand(2, 9, 3), 4))
