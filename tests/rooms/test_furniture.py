import numpy as np
import pytest
from tests.rooms.colors import nearest_color

from askscan.errors import DataError
from askscan.rooms.catalogue import COLORS, KINDS, MATERIALS, Look, pick_look
from askscan.rooms.furniture import build, builders, fit, part_hulls
from askscan.rooms.layout import Placed
from askscan.rooms.scanner_mesh import Solid, triangulate
from askscan.shapes import CLASS_NAMES


def test_catalogue_covers_what_is_promised():
    assert {k.class_name for k in KINDS.values()} == set(CLASS_NAMES)
    assert sum(k.class_name == "others" for k in KINDS.values()) >= 12
    assert len(COLORS) >= 11
    assert set(builders()) == set(KINDS)
    for kind in KINDS.values():
        for material, colors in kind.finishes:
            assert material in MATERIALS and set(colors) <= set(COLORS)


def test_color_prototypes_stay_apart_in_shade():
    for name, rgb in COLORS.items():
        for factor in (0.85, 1.0, 1.05):
            assert nearest_color(np.minimum(255.0, factor * np.array(rgb))) == name


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_pieces_stand_on_the_floor_and_show_their_color(kind: str):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        look = pick_look(rng, kind)
        piece = build(rng, kind, look)
        low, high = piece.bounds
        assert piece.kind == kind and piece.look == look
        assert -0.03 < low[2] < 0.2 and (high - low).max() < 3.5 and (high > low).all()
        assert (look.color, look.material) in {p.paint for p in piece.parts}
        assert all(count > 0 for _, count in piece.num_parts)
        if piece.top_m is not None:
            assert low[2] < piece.top_m <= high[2] + 0.01


def test_countable_parts_are_there():
    rng = np.random.default_rng(0)
    seen = 0
    for kind, name in (
        ("dresser", "drawer"),
        ("bookshelf", "shelf"),
        ("wardrobe", "door"),
        ("ladder", "step"),
        ("chair", "leg"),
    ):
        for _ in range(5):
            piece = build(rng, kind)
            count = dict(piece.num_parts)[name]
            assert sum(p.name == name for p in piece.parts) == count
            seen += count
    assert seen > 50


def test_a_kind_comes_in_several_shapes_and_proportions():
    rng = np.random.default_rng(1)
    tables = [build(rng, "table") for _ in range(100)]
    assert len({t.look.shape for t in tables}) == 4
    assert len({len(t.parts) for t in tables}) >= 2
    widths = [float(t.bounds[1][1] - t.bounds[0][1]) for t in tables]
    assert max(widths) > 1.4 * min(widths)


def test_shape_words_are_true():
    for shape, check in (("square", lambda s: abs(s[0] - s[1]) < 0.02), ("rectangular", lambda s: s[1] > 1.3 * s[0])):
        low, high = build(np.random.default_rng(2), "table", Look(color="brown", material="wood", shape=shape)).bounds
        assert check(high - low)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_fit_gives_the_asked_extent(kind: str):
    piece = fit(build(np.random.default_rng(3), kind), (0.7, 1.1, 0.9))
    low, high = piece.bounds
    tilted = any(p.tilt_rad or p.yaw_rad for p in piece.parts)
    np.testing.assert_allclose(high - low, (0.7, 1.1, 0.9), atol=0.16 if tilted else 1e-6)


@pytest.mark.parametrize("kind", ["couch", "plant", "curtain", "toilet", "sink", "ladder", "backpack"])
def test_hulls_hold_the_surface_and_triangles_face_outward(kind: str):
    piece = build(np.random.default_rng(4), kind)
    placed = Placed(piece=piece, position=(1.0, 2.0, 1.5), heading_rad=0.7)
    turn, at = placed.rotation, np.array(placed.position)
    solids = [
        Solid(part=p, rotation=turn @ p.rotation, center=turn @ np.array(p.center) + at, owner=0, spacing_m=0.05)
        for p in piece.parts
    ]
    surface = triangulate(solids, np.random.default_rng(0))
    hulls = placed.hulls()[surface.solid]
    assert (surface.xyz > hulls[:, 0] - 1e-6).all() and (surface.xyz < hulls[:, 1] + 1e-6).all()
    a, b, c = (surface.xyz[surface.triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    wanted = surface.normals[surface.triangles].mean(1)
    area = np.linalg.norm(normals, axis=1)
    facing = (normals * wanted).sum(1)[area > 1e-8] / area[area > 1e-8]
    assert (facing > 0).mean() > 0.97
    assert part_hulls(piece.parts).shape == (len(piece.parts), 2, 3)


def test_unknown_kind_is_refused_by_name():
    with pytest.raises(DataError, match="'sofa bed' is no kind"):
        build(np.random.default_rng(0), "sofa bed")
