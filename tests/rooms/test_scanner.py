import numpy as np
import pytest
from tests.rooms.colors import nearest_color

from askscan.rooms.layout import plan_room
from askscan.rooms.scanner import MIN_VISIBLE, ScannedRoom, scan_room

SEEDS = range(700, 720)


@pytest.fixture(scope="module")
def scans() -> list[ScannedRoom]:
    return [scan_room(plan_room(seed)) for seed in SEEDS]


def _aligned(scan: ScannedRoom) -> np.ndarray:
    return scan.mesh.vertices @ scan.alignment[:3, :3].T + scan.alignment[:3, 3]


def test_vertex_counts_and_triangle_sizes(scans: list[ScannedRoom]):
    for scan in scans:
        assert 40_000 <= len(scan.mesh.vertices) <= 150_000
        a, b, c = (scan.mesh.vertices[scan.mesh.faces[:, k]] for k in range(3))
        legs = np.sort([np.linalg.norm(q - p, axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)[:2]
        assert 0.018 < np.median(legs) < 0.042
        assert scan.mesh.faces.max() < len(scan.mesh.vertices)


def test_boxes_are_the_extents_of_the_visible_vertices(scans: list[ScannedRoom]):
    for scan in scans[:8]:
        xyz = _aligned(scan)
        for f in scan.room.furnishings:
            mine = xyz[scan.instance == f.object_id]
            assert len(mine) >= MIN_VISIBLE
            np.testing.assert_allclose(f.center, (mine.min(0) + mine.max(0)) / 2, atol=1e-5)
            np.testing.assert_allclose(f.size, np.ptp(mine, axis=0), atol=1e-5)


def test_the_named_color_is_the_one_that_is_seen(scans: list[ScannedRoom]):
    right = total = 0
    for scan in scans:
        for f in scan.room.furnishings:
            median = np.median(scan.mesh.colors[scan.instance == f.object_id], axis=0)
            right += nearest_color(median) == f.color
            total += 1
    assert total > 300
    assert right / total >= 0.97


def test_black_wood_shows_its_grain_and_stays_black(scans: list[ScannedRoom]):
    spread: dict[str, list[float]] = {"wood": [], "plastic": []}
    for scan in scans:
        for f in scan.room.furnishings:
            if f.color == "black" and f.material in spread and not f.accents and f.kind not in ("tv", "monitor"):
                rgb = scan.mesh.colors[scan.instance == f.object_id].astype(float)
                assert nearest_color(np.median(rgb, axis=0)) == "black"
                spread[f.material].append(float(rgb.mean(axis=1).std()))
    assert min(len(values) for values in spread.values()) > 3
    assert np.median(spread["wood"]) > 1.4 * np.median(spread["plastic"])


def test_walls_lie_along_the_axes_only_after_alignment(scans: list[ScannedRoom]):
    turned = 0
    for scan in scans[:6]:
        rotation = scan.alignment[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        wall = len(scan.room.furnishings) + scan.structure.index("wall")
        x = _aligned(scan)[scan.instance == wall][:, 0]
        assert np.ptp(x) < 0.05
        turned += abs(np.sin(2 * np.arctan2(rotation[1, 0], rotation[0, 0]))) > 0.1
    assert turned >= 4


def _normals(scan: ScannedRoom) -> np.ndarray:
    assert scan.mesh.normals is not None
    return scan.mesh.normals @ scan.alignment[:3, :3].T


def test_undersides_and_hidden_floor_are_holes(scans: list[ScannedRoom]):
    covered = []
    for scan in scans[:6]:
        xyz = _aligned(scan)
        under = (_normals(scan)[:, 2] < -0.9) & (xyz[:, 2] < 1.0)
        assert under.mean() < 0.02
        floor = xyz[scan.instance == len(scan.room.furnishings) + scan.structure.index("floor")]
        cells = {tuple(c) for c in np.floor(floor[:, :2] / 0.1).astype(int)}
        covered.append(len(cells) / np.prod(np.ceil(np.array(scan.room.size[:2]) / 0.1)))
    assert max(covered) < 1 and np.mean(covered) < 0.95, covered


def test_backs_to_the_wall_are_holes(scans: list[ScannedRoom]):
    shares = []
    for scan in scans:
        normals = _normals(scan)
        for f in scan.room.furnishings:
            if f.kind in ("wardrobe", "cabinet", "dresser", "bookshelf", "refrigerator") and f.against_wall:
                front = np.array([np.cos(f.heading_rad), np.sin(f.heading_rad)])
                facing = normals[scan.instance == f.object_id, :2] @ front
                assert (facing > 0.9).any()
                shares.append(float((facing < -0.9).mean()))
    assert len(shares) > 10
    assert np.mean(shares) < 0.02 and max(shares) < 0.1  # of a closed box it would be a fifth and more


def test_segments_are_finer_than_objects_and_never_cross_them(scans: list[ScannedRoom]):
    for scan in scans[:6]:
        order = np.argsort(scan.segment, kind="stable")
        first = np.searchsorted(scan.segment[order], np.arange(scan.segment.max() + 1))
        same = np.minimum.reduceat(scan.instance[order], first) == np.maximum.reduceat(scan.instance[order], first)
        assert same.all()
        assert scan.segment.max() + 1 > 2 * (scan.instance.max() + 1)


def test_it_is_noisy_and_uneven(scans: list[ScannedRoom]):
    scan = scans[0]
    floor = scan.instance == len(scan.room.furnishings) + scan.structure.index("floor")
    z = _aligned(scan)[floor][:, 2]
    assert 0.001 < z.std() < 0.02
    assert scan.mesh.colors[floor].std(axis=0).min() > 2
    cells = np.unique(np.floor(_aligned(scan)[floor][:, :2] / 0.5).astype(int), axis=0, return_counts=True)[1]
    assert np.percentile(cells, 90) > 1.2 * np.percentile(cells, 50)


def test_the_same_seed_gives_the_same_bytes():
    a, b = (scan_room(plan_room(811)) for _ in range(2))
    for name in ("vertices", "faces", "colors"):
        assert getattr(a.mesh, name).tobytes() == getattr(b.mesh, name).tobytes()
    assert a.segment.tobytes() == b.segment.tobytes() and a.room == b.room
    assert scan_room(plan_room(812)).mesh.vertices.tobytes() != a.mesh.vertices.tobytes()
