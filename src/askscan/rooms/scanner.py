"""Scans a planned room: a triangulated, painted, occluded and noisy mesh with instance and segment ids."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from numpy import ndarray

from askscan.records import Mesh
from askscan.rooms.catalogue import COLORS
from askscan.rooms.furniture import Part
from askscan.rooms.layout import Placed, Plan, at_walls
from askscan.rooms.room import Furnishing, Room
from askscan.rooms.scanner_color import paint
from askscan.rooms.scanner_mesh import Solid, Surface, count_vertices, triangulate

MIN_VISIBLE = 24
"""Objects with fewer visible vertices are not annotated, as an annotator would not have found them."""
_SEGMENT_M = 0.7
"""Extent of a patch of a large part in the over-segmentation."""
_BUDGET = (90e3, 165e3)
"""Vertices before occlusion, which takes a third."""
_COARSEST_M = 0.04
STRUCTURE_OWNERS = {-1: "floor", -2: "wall", -3: "wall", -4: "wall", -5: "wall", -6: "ceiling"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedRoom:
    """A room as a scanner delivers it, with its annotation."""

    room: Room
    """Boxes are the extents of visible vertices; objects that nothing is seen of are gone and ids are renumbered."""
    mesh: Mesh
    """In the scan's own frame: turned against the walls and moved."""
    alignment: Float[ndarray, "4 4"]
    """Rigid motion from the scan's frame to the room's (ScanNet's axisAlignment)."""
    instance: Int32[ndarray, "v"]
    """objectId of the vertex; floor, walls and ceiling follow after the furnishings; -1: none."""
    segment: Int32[ndarray, "v"]
    """Over-segmentation: every segment lies in one instance."""
    structure: tuple[str, ...]
    """Labels of the instances after the furnishings."""


def scan_room(plan: Plan) -> ScannedRoom:
    """Scan a planned room; all randomness derives from its seed.

    Args:
        plan: From `layout.plan_room` or a layout file.

    Returns:
        The scan: 40,000 to 150,000 vertices for a generated room.
    """
    rng = np.random.default_rng([plan.room.seed, 1])
    solids = _solids(plan, rng)
    whole = triangulate(solids, rng)
    inside = _buried(whole, solids)
    visible = _visible(whole, solids, inside, plan.room.size, rng)
    surface = whole.only(*_compact(whole.triangles, visible, inside))
    colors = paint(surface, solids, _tints(plan.room), rng)
    xyz = surface.xyz + _noise(surface.xyz, rng)
    room, instance, structure = _annotate(plan, xyz, np.array([s.owner for s in solids])[surface.solid])
    scan_from_room = _pose(xyz, rng)
    normals = surface.normals @ scan_from_room[:3, :3].T
    mesh = Mesh(
        vertices=(xyz @ scan_from_room[:3, :3].T + scan_from_room[:3, 3]).astype(np.float32),
        faces=surface.triangles.astype(np.int32),
        colors=colors,
        normals=normals.astype(np.float32),
    )
    return ScannedRoom(
        room=room,
        mesh=mesh,
        alignment=np.linalg.inv(scan_from_room),
        instance=instance,
        segment=_segments(surface, solids),
        structure=structure,
    )


def _tints(room: Room) -> dict[str, tuple[int, int, int]]:
    """Walls and floors are a little paler than furniture of the same colour name."""

    def pale(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
        return tuple(round(c + 0.15 * (245 - c)) for c in rgb)  # type: ignore[return-value]

    return {name: pale(rgb) for name, rgb in COLORS.items()}


def _solids(plan: Plan, rng: np.random.Generator) -> list[Solid]:
    """Furniture, floor, walls and now and then a strip of ceiling, with triangle sizes for a drawn vertex budget."""
    w, d, h = plan.room.size
    fine, coarse = 0.024, 0.032
    solids = [s for i, q in enumerate(plan.placed) for s in _piece_solids(i, q, fine * float(rng.uniform(0.9, 1.15)))]
    floor = (plan.room.floor_color, plan.room.floor_material)
    wall = (plan.room.wall_color, "paint")
    eye = np.eye(3)

    def plane(
        owner: int,
        center: tuple[float, float, float],
        size: tuple[float, float, float],
        face: int,
        finish: tuple[str, str],
    ) -> Solid:
        part = Part(name="plane", primitive="box", center=center, size=size, paint=finish)
        return Solid(part=part, rotation=eye, center=np.array(center), owner=owner, spacing_m=coarse, faces=(face,))

    thin = 0.02
    solids.append(plane(-1, (w / 2, d / 2, -thin / 2), (w, d, thin), 5, floor))
    solids.append(plane(-2, (-thin / 2, d / 2, h / 2), (thin, d, h), 1, wall))
    solids.append(plane(-3, (w / 2, -thin / 2, h / 2), (w, thin, h), 3, wall))
    solids.append(plane(-4, (w + thin / 2, d / 2, h / 2), (thin, d, h), 0, wall))
    solids.append(plane(-5, (w / 2, d + thin / 2, h / 2), (w, thin, h), 2, wall))
    if rng.random() < 0.15:
        cut = float(rng.uniform(0.15, 0.4))
        solids.append(plane(-6, (w * cut / 2, d / 2, h + thin / 2), (w * cut, d, thin), 4, ("white", "paint")))
    budget = float(rng.uniform(*_BUDGET))
    for _ in range(2):  # thin parts keep their vertices, so the first try misses
        scale = math.sqrt(count_vertices(solids) / budget)
        solids = [replace(s, spacing_m=min(max(s.spacing_m * scale, 0.014), _COARSEST_M)) for s in solids]
    return solids


def _piece_solids(index: int, placed: Placed, spacing: float) -> list[Solid]:
    turn, at = placed.rotation, np.array(placed.position)
    low, high = placed.piece.bounds
    spacing *= min(max(float((high - low).max()), 0.65), 1.0)  # scanners come closer to small things
    return [
        Solid(
            part=p,
            rotation=turn @ p.rotation,
            center=turn @ np.array(p.center) + at,
            owner=index,
            spacing_m=spacing,
        )
        for p in placed.piece.parts
    ]


# --- what is seen -----------------------------------------------------------------------------------------------------


def _buried(surface: Surface, solids: list[Solid]) -> Bool[ndarray, "v"]:
    """Vertices inside another part of their own piece."""
    from askscan.rooms.scanner_rays import buried

    owner = np.array([s.owner for s in solids])
    first = np.searchsorted(np.where(owner < 0, len(solids), owner), np.arange(owner.max() + 2))
    piece = np.zeros((len(solids), 2), dtype=np.int64)
    piece[owner >= 0] = np.stack([first[owner[owner >= 0]], first[owner[owner >= 0] + 1]], axis=1)
    rotation = np.array([s.rotation.T for s in solids])
    center = np.array([s.center for s in solids])
    frame = np.concatenate([rotation, -np.einsum("sij,sj->si", rotation, center)[:, :, None]], axis=2)
    half = np.array([s.part.size for s in solids]) / 2
    half[[s.part.open_top or s.part.taper != 1.0 or s.part.wave_m > 0 for s in solids]] = -1.0
    round_axes = np.array([{"cylinder": 2, "ellipsoid": 3}.get(s.part.primitive, 0) for s in solids])
    return np.asarray(buried(surface.xyz, surface.solid, piece, frame, half, round_axes))


def _visible(
    surface: Surface,
    solids: list[Solid],
    inside: Bool[ndarray, "v"],
    size: tuple[float, float, float],
    rng: np.random.Generator,
) -> Bool[ndarray, "v"]:
    """Seen by one of a few cameras held at head height, and below the ragged upper edge of the scanned walls."""
    from askscan.rooms.scanner_rays import VOXEL_M, seen

    grid = np.ceil(np.array([size[0], size[1], size[2] + 0.3]) / VOXEL_M).astype(int) + 1
    furniture = np.array([s.owner >= 0 for s in solids])[surface.solid]
    cell = (surface.xyz[furniture] / VOXEL_M).astype(int)
    cell = cell[((cell >= 0) & (cell < grid)).all(1)]
    occupied = np.zeros(grid, dtype=bool)
    occupied[cell[:, 0], cell[:, 1], cell[:, 2]] = True
    cameras = _cameras(occupied, VOXEL_M, size, rng)
    visible = np.zeros(len(inside), dtype=bool)
    shown = ~inside
    visible[shown] = seen(surface.xyz[shown], surface.normals[shown], surface.two_sided[shown], cameras, occupied)
    along = surface.xyz[:, 0] + surface.xyz[:, 1]
    edge = (
        rng.uniform(0.82, 1.05) * size[2] + 0.1 * np.sin(along * 2.1 + rng.uniform(0, 6)) + 0.05 * np.sin(along * 7.3)
    )
    return np.asarray(visible & (furniture | (surface.xyz[:, 2] < edge) | (surface.normals[:, 2] < -0.5)))


def _cameras(
    occupied: Bool[ndarray, "x y z"], voxel: float, size: tuple[float, float, float], rng: np.random.Generator
) -> Float[ndarray, "c 3"]:
    """Seven places over free floor, far from each other, between chest and stretched-arm height."""
    free = ~occupied[:, :, int(0.9 / voxel) :].any(2)
    at = (np.argwhere(free) + 0.5) * voxel
    inside = ((at > 0.25) & (at < np.array(size[:2]) - 0.25)).all(1)
    spots = at[inside] if inside.any() else np.array([[size[0] / 2, size[1] / 2]])
    chosen = [spots[rng.integers(len(spots))]]
    distance = np.linalg.norm(spots - chosen[0], axis=1)
    for _ in range(6):
        chosen.append(spots[int(distance.argmax())])
        distance = np.minimum(distance, np.linalg.norm(spots - chosen[-1], axis=1))
    height = np.minimum(rng.uniform(1.3, 2.2, len(chosen)), size[2] - 0.15)
    height[:2] = (1.2, min(2.2, size[2] - 0.15))
    return np.column_stack([np.array(chosen), height])


def _compact(
    triangles: Int[ndarray, "f 3"], visible: Bool[ndarray, "v"], inside: Bool[ndarray, "v"]
) -> tuple[Int[ndarray, "k"], Int[ndarray, "g 3"]]:
    """Triangles whose corners are visible, or buried but not all (that closes the seams), and their vertices."""
    kept = triangles[(visible | inside)[triangles].all(1) & visible[triangles].any(1)]
    used = np.zeros(len(visible), dtype=bool)
    used[kept] = True
    renumber = np.cumsum(used) - 1
    return np.flatnonzero(used), renumber[kept]


def _noise(xyz: Float[ndarray, "v 3"], rng: np.random.Generator) -> Float[ndarray, "v 3"]:
    """Displacement in metres: fine ripples and slow drift, as functions of position so that seams stay closed."""
    out = np.zeros_like(xyz)
    for period, amplitude in ((0.037, 0.0028), (0.11, 0.0022), (0.9, 0.004)):
        waves = rng.normal(0, 2 * np.pi / period, (3, 3))
        out += amplitude * np.sin(xyz @ waves + rng.uniform(0, 2 * np.pi, 3))
    return out


def _pose(xyz: Float[ndarray, "v 3"], rng: np.random.Generator) -> Float[ndarray, "4 4"]:
    """From the room's frame to the scan's: a turn about z, then moved so that coordinates are mostly positive."""
    yaw = float(rng.uniform(-math.pi, math.pi))
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    low = (xyz @ pose[:3, :3].T).min(0)
    pose[:3, 3] = np.round(rng.uniform(0.0, 1.0, 3) * np.array([1.0, 1.0, 0.1]) - low, 3)
    return pose


# --- annotation -------------------------------------------------------------------------------------------------------


def _segments(surface: Surface, solids: list[Solid]) -> Int32[ndarray, "v"]:
    """Segments: small parts whole, large ones by face and tile."""
    large = np.array([max(s.part.size) > 0.5 for s in solids])[surface.solid]
    tile = np.floor(surface.local / _SEGMENT_M).astype(np.int64) + 8
    code = surface.face * 4096 + tile @ np.array([256, 16, 1])
    key = surface.solid.astype(np.int64) * 65536 + np.where(large, code, 0)
    return np.unique(key, return_inverse=True)[1].astype(np.int32)


def _annotate(
    plan: Plan, xyz: Float[ndarray, "v 3"], owner: Int[ndarray, "v"]
) -> tuple[Room, Int32[ndarray, "v"], tuple[str, ...]]:
    """The room with the boxes of visible vertices, and each vertex's instance."""
    count = np.bincount(owner[owner >= 0], minlength=len(plan.placed))
    kept = [i for i in range(len(plan.placed)) if count[i] >= MIN_VISIBLE]
    number = {old: new for new, old in enumerate(kept)}
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(len(plan.placed) + 1))
    furnishings = []
    for old in kept:
        points = xyz[order[ends[old] : ends[old + 1]]]
        furnishings.append(_seen_furnishing(plan.room.furnishings[old], points, number, plan.room.size))
    present = [o for o in STRUCTURE_OWNERS if (owner == o).any()]
    table = np.full(len(plan.placed) + len(STRUCTURE_OWNERS), -1, dtype=np.int32)
    for old, new in number.items():
        table[old] = new
    for k, o in enumerate(present):
        table[o] = len(kept) + k
    room = replace(plan.room, furnishings=tuple(furnishings))
    return room, table[owner], tuple(STRUCTURE_OWNERS[o] for o in present)


def _seen_furnishing(
    full: Furnishing, points: Float[ndarray, "v 3"], number: dict[int, int], size: tuple[float, float, float]
) -> Furnishing:
    """A furnishing with the box of its visible points and renumbered references."""
    low, high = points.min(0), points.max(0)
    against_wall, in_corner = at_walls(low, high, size)
    standing = full.support is None and not full.on_wall
    return replace(
        full,
        object_id=number[full.object_id],
        center=tuple(((low + high) / 2).tolist()),
        size=tuple((high - low).tolist()),
        support=None if full.support is None else number.get(full.support),
        group=None if full.group is None else number.get(full.group),
        against_wall=full.against_wall or (standing and against_wall),
        in_corner=full.in_corner and in_corner,
    )
