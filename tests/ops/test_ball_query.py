import numpy as np
import pytest
import torch
from clouds import KINDS, LARGE, LARGE_KINDS, cloud

from askscan import ops
from askscan.ops.cuda.ball_query import ball_query as cuda_ball_query
from askscan.ops.reference.ball_query import ball_query as reference


def naive(centers: np.ndarray, points: np.ndarray, radius: float, num: int) -> list[list[int]]:
    limit, rows = np.float32(radius) * np.float32(radius), []
    for center in centers:
        row: list[int] = []
        for i, point in enumerate(points):
            d = center - point
            if np.float32(np.float32(d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]) < limit and len(row) < num:
                row.append(i)
        rows.append(row + [row[0] if row else 0] * (num - len(row)))
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "m", "radius", "num"), [(1, 1, 0.5, 3), (37, 5, 0.6, 16), (211, 7, 1.7, 8), (64, 3, 0.01, 100)]
)
def test_equals_the_naive_loop(device: torch.device, kind: str, n: int, m: int, radius: float, num: int) -> None:
    points = cloud(kind, 2, n, seed=n)
    centers = torch.cat([points[:, :m], points.new_full((2, 1, 3), 1e3)], dim=1)  # the last ball is empty
    want = [naive(c, p, radius, num) for c, p in zip(centers.numpy(), points.numpy(), strict=True)]
    assert ops.ball_query(centers.to(device), points.to(device), radius, num).tolist() == want


@pytest.mark.parametrize(("kind", "radius", "num"), [("room", 0.3, 16), ("grid", 0.5, 64), ("cluster", 1.0, 20)])
def test_equals_the_reference_on_larger_clouds(device: torch.device, kind: str, radius: float, num: int) -> None:
    points = cloud(kind, 1, 5003)
    centers = points[:, :61].contiguous()
    got = ops.ball_query(centers.to(device), points.to(device), radius, num).cpu()
    squared = float(np.float32(radius) * np.float32(radius))
    assert torch.equal(got, reference(centers, points, squared, num))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", LARGE_KINDS)
@pytest.mark.parametrize(("b", "n"), LARGE)
@pytest.mark.parametrize(("radius", "num"), [(0.2, 64), (0.003, 5), (100.0, 7)])
def test_both_ways_of_the_kernel_equal_the_reference_on_large_clouds(
    kind: str, b: int, n: int, radius: float, num: int
) -> None:
    points = cloud(kind, b, n).cuda()
    centers = points[:, :: n // 12].contiguous()
    squared = float(np.float32(radius) * np.float32(radius))
    want = reference(centers, points, squared, num)
    for scan in (0, 1 << 30):
        assert torch.equal(cuda_ball_query(centers, points, squared, num, max_scan=scan), want)


def test_a_point_on_the_sphere_is_outside(device: torch.device) -> None:
    points = torch.tensor([[[0.25, 0.0, 0.0], [0.0, 0.2499, 0.0], [0.0, 0.0, 0.2501]]], device=device)
    assert ops.ball_query(torch.zeros(1, 1, 3, device=device), points, 0.25, 2).tolist() == [[[1, 1]]]


def test_published_neighbours_of_a_room(real_data) -> None:
    data = np.load(real_data / "parity" / "parity_open.npz")
    points, index = torch.from_numpy(data["points"]), torch.from_numpy(data["pre/sa1_inds"]).long()
    centers = points.gather(1, index[..., None].expand(-1, -1, 3))[:, ::8].contiguous()
    assert np.array_equal(ops.ball_query(centers, points, 0.2, 64).numpy(), data["ops/ball_sa1"])


@pytest.mark.parametrize("scan", [0, 1 << 30])
def test_both_ways_of_the_kernel_agree(device: torch.device, scan: int, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["device"] not in ("emulated", "cuda"):
        pytest.skip("the other implementations have one way")
    points = cloud("room", 2, 999).to(device)
    want = ops.ball_query(points[:, :50].contiguous(), points, 0.5, 16)
    squared = float(np.float32(0.5) * np.float32(0.5))
    assert torch.equal(cuda_ball_query(points[:, :50].contiguous(), points, squared, 16, max_scan=scan), want)


def test_clouds_without_points_are_refused() -> None:
    with pytest.raises(ValueError, match="clouds with points"):
        ops.ball_query(torch.rand(1, 2, 3), torch.rand(1, 0, 3), 0.2, 4)
    assert ops.ball_query(torch.rand(1, 0, 3), torch.rand(1, 5, 3), 0.2, 4).shape == (1, 0, 4)


def test_fake_tensors_know_the_shape() -> None:
    torch.library.opcheck(torch.ops.askscan.ball_query.default, (torch.rand(2, 4, 3), torch.rand(2, 9, 3), 0.04, 5))
