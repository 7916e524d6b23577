"""Puts pieces into a room without collisions and turns the result into a `Room`.

`plan_room(seed)` is the way in; what each room type holds is in `layout_rooms`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.rooms.catalogue import KINDS, pick_look
from askscan.rooms.furniture import Piece, build, part_hulls
from askscan.rooms.room import ROOM_TYPES, Furnishing, Room

MAX_OBJECTS = 40
AGAINST_WALL_M = 0.15
IN_CORNER_M = 0.4
_TOUCH_M = 0.004
"""Solids that overlap by less than this only touch."""
ACCENT_M2 = 0.1
"""Surface from which a second colour of a piece is seen at a glance."""
WALL_HEADINGS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
"""Where a piece looks to with its back to the wall x = 0, y = 0, x = width, y = depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A piece with its pose in the room's frame, and how it came there."""

    piece: Piece
    position: tuple[float, float, float]
    """Of the piece's origin."""
    heading_rad: float
    support: int | None = None
    on_wall: bool = False
    group: int | None = None

    @property
    def rotation(self) -> Float[ndarray, "3 3"]:
        """Turns the piece's axes into the room's."""
        c, s = math.cos(self.heading_rad), math.sin(self.heading_rad)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    def hulls(self) -> Float[ndarray, "p 2 3"]:
        """Axis-aligned hulls of the parts in the room's frame."""
        return part_hulls(self.piece.parts, self.rotation, self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A furnished room with the geometry it is scanned from; `placed[i]` is `room.furnishings[i]`."""

    room: Room
    placed: tuple[Placed, ...]


@dataclass(slots=True)
class Planner:
    """A room while it is being furnished. Every `put` either places a piece free of collisions or returns None."""

    rng: np.random.Generator
    width: float
    depth: float
    height: float
    placed: list[Placed] = field(default_factory=list)
    _hulls: list[Float[ndarray, "p 2 3"]] = field(default_factory=list)
    _spans: list[Float[ndarray, "2 3"]] = field(default_factory=list)
    """Lower and upper corner of each placed piece."""
    _zones: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Floor to keep free: x0, x1, y0, y1."""

    # --- drawing -------------------------------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def pick(self, *options: str) -> str:
        """One of the options."""
        return options[self.rng.integers(len(options))]

    def number(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def make(self, kind: str, **look: str) -> Piece:
        """A new piece of a kind; `look` keeps a colour, material or shape."""
        return build(self.rng, kind, pick_look(self.rng, kind, **look))

    def again(self, piece: Piece, recolor: float = 0.3) -> Piece:
        """A piece like one already made; with probability `recolor` in another colour of the same material."""
        if not self.chance(recolor):
            return piece
        look = pick_look(self.rng, piece.kind, material=piece.look.material, shape=piece.look.shape)
        old = piece.look.paint
        new = (look.color, piece.look.material)
        parts = tuple(replace(p, paint=new) if p.paint == old else p for p in piece.parts)
        return replace(piece, parts=parts, look=replace(piece.look, color=look.color))

    # --- placing -------------------------------------------------------------------------------------------------

    def put(
        self,
        piece: Piece,
        position: tuple[float, float, float],
        heading_rad: float,
        *,
        support: int | None = None,
        on_wall: bool = False,
        group: int | None = None,
        clear_m: float = 0.0,
    ) -> int | None:
        """Place a piece where it is told if it fits there.

        Args:
            piece: What to place.
            position: Of the piece's origin.
            heading_rad: Where its front looks to.
            support: Index of the piece that it stands on; these two may touch.
            on_wall: It hangs on a wall.
            group: Index of the piece that it belongs to.
            clear_m: Floor to keep free in front of it.

        Returns:
            The index of the piece, or None if it would collide or leave the room.
        """
        new = Placed(
            piece=piece, position=position, heading_rad=heading_rad, support=support, on_wall=on_wall, group=group
        )
        hulls = new.hulls()
        low, high = hulls[:, 0].min(0), hulls[:, 1].max(0)
        inside = np.array([self.width, self.depth, self.height + 0.01])
        outside = (low < -0.02).any() or (high > inside + 0.001).any()
        if outside or len(self.placed) >= MAX_OBJECTS or self._collides(hulls, low, high, support):
            return None
        if support is None and not on_wall and self._in_zone(low, high):
            return None
        if clear_m and not self._clear_front(low, high, heading_rad, clear_m):
            return None
        self.placed.append(new)
        self._hulls.append(hulls)
        self._spans.append(np.stack([low, high]))
        return len(self.placed) - 1

    def _in_zone(self, low: Float[ndarray, "3"], high: Float[ndarray, "3"]) -> bool:
        return any(low[0] < b and high[0] > a and low[1] < d and high[1] > c for a, b, c, d in self._zones)

    def _collides(
        self, hulls: Float[ndarray, "p 2 3"], low: Float[ndarray, "3"], high: Float[ndarray, "3"], support: int | None
    ) -> bool:
        if not self._spans:
            return False
        spans = np.array(self._spans)
        near = ((spans[:, 0] < high - _TOUCH_M) & (spans[:, 1] > low + _TOUCH_M)).all(1)
        for i in np.flatnonzero(near).tolist():
            if i == support:
                continue
            other = self._hulls[i]
            apart = (hulls[:, None, 0] >= other[None, :, 1] - _TOUCH_M) | (
                hulls[:, None, 1] <= other[None, :, 0] + _TOUCH_M
            )
            if not apart.any(2).all():
                return True
        return False

    def _clear_front(self, low: Float[ndarray, "3"], high: Float[ndarray, "3"], heading: float, far: float) -> bool:
        """Keep the floor in front free, unless something already stands there."""
        dx, dy = round(math.cos(heading)), round(math.sin(heading))
        a, b = (low[0], high[0]) if dx == 0 else ((high[0], high[0] + far) if dx > 0 else (low[0] - far, low[0]))
        c, d = (low[1], high[1]) if dy == 0 else ((high[1], high[1] + far) if dy > 0 else (low[1] - far, low[1]))
        for lo, hi in self._spans:
            if lo[2] < 1.0 and lo[0] < b - 0.01 and hi[0] > a + 0.01 and lo[1] < d - 0.01 and hi[1] > c + 0.01:
                return False
        self._zones.append((a, b, c, d))
        return True

    def wall_pose(self, piece: Piece, wall: int, along: float, gap_m: float) -> tuple[float, float, float]:
        """(x, y, heading) of a piece with its back to a wall, its middle at `along` metres of it."""
        low, high = piece.bounds
        off, shift = gap_m - float(low[0]), float(low[1] + high[1]) / 2
        heading = WALL_HEADINGS[wall]
        x, y = (
            (off, along - shift),
            (along + shift, off),
            (self.width - off, along + shift),
            (along - shift, self.depth - off),
        )[wall]
        return x, y, heading

    def wall_length(self, wall: int) -> float:
        """Length of a wall in metres."""
        return self.depth if wall in (0, 2) else self.width

    def at_wall(
        self,
        piece: Piece,
        *,
        wall: int | None = None,
        corner: bool = False,
        z: float = 0.0,
        on_wall: bool = False,
        clear_m: float = 0.0,
        group: int | None = None,
        near: float | None = None,
        tries: int = 14,
    ) -> int | None:
        """Place a piece with its back to a wall (or hang it there, at height z).

        Args:
            piece: What to place.
            wall: 0 to 3; drawn if None.
            corner: At an end of the wall.
            z: Height of its lower end.
            on_wall: It hangs.
            clear_m: Floor to keep free in front.
            group: What it belongs to.
            near: Position along the wall to stay close to, instead of a drawn one.
            tries: How many places to try.

        Returns:
            Its index, or None where no place was found.
        """
        low, high = piece.bounds
        half = float(high[1] - low[1]) / 2
        margin = 0.04 + (0.0 if corner else 0.02)
        for k in range(tries):
            side = wall if wall is not None else self.number(0, 3)
            ends = (half + margin, self.wall_length(side) - half - margin)
            if ends[0] > ends[1]:
                continue
            along = float(self.rng.uniform(*ends))
            if corner:
                along = ends[self.number(0, 1)]
            elif near is not None:
                along = min(max(near + (0.0 if k == 0 else float(self.rng.normal(0, 0.15))), ends[0]), ends[1])
            gap = 0.002 if on_wall else float(self.rng.uniform(0.015, 0.06))
            x, y, heading = self.wall_pose(piece, side, along, gap)
            found = self.put(piece, (x, y, z), heading, on_wall=on_wall, clear_m=clear_m, group=group)
            if found is not None:
                return found
        return None

    def on_floor(self, piece: Piece, *, tries: int = 14, group: int | None = None) -> int | None:
        """Place a piece somewhere on the floor, turned by a drawn angle."""
        for _ in range(tries):
            at = (float(self.rng.uniform(0.3, self.width - 0.3)), float(self.rng.uniform(0.3, self.depth - 0.3)), 0.0)
            found = self.put(piece, at, float(self.rng.uniform(-math.pi, math.pi)), group=group)
            if found is not None:
                return found
        return None

    def relative(
        self,
        piece: Piece,
        to: int | None,
        ahead_m: float,
        left_m: float,
        turn_rad: float = 0.0,
        *,
        z: float | None = None,
        support: bool = False,
    ) -> int | None:
        """Place a piece in another one's frame: `ahead_m` before its origin, `left_m` to its left (none: nothing)."""
        if to is None:
            return None
        base = self.placed[to]
        x, y, z0 = base.position
        step = base.rotation @ np.array([ahead_m, left_m, 0.0])
        at = (x + float(step[0]), y + float(step[1]), z0 if z is None else z)
        return self.put(piece, at, base.heading_rad + turn_rad, support=to if support else None, group=to)

    def maybe(self, p: float, kind: str, clear_m: float = 0.0) -> int | None:
        """With probability p, a new piece of a kind with its back to a wall."""
        return self.at_wall(self.make(kind), clear_m=clear_m) if self.chance(p) else None

    def wall_of(self, index: int) -> tuple[int, float]:
        """Which wall a piece has its back to, and where along it."""
        placed = self.placed[index]
        wall = round(placed.heading_rad / (math.pi / 2)) % 4
        return wall, placed.position[1 if wall in (0, 2) else 0]

    def on_top(self, piece: Piece, to: int | None, *, spot: tuple[float, float] | None = None) -> int | None:
        """Set a piece on another's top.

        Args:
            piece: What to set down.
            to: Index of what it stands on; None does nothing.
            spot: Where on the top, from -1 (back, right) to 1 (front, left); some places are tried if None.

        Returns:
            Its index, or None where there is no room (or no top).
        """
        base = None if to is None else self.placed[to].piece
        if to is None or base is None or base.top_m is None:
            return None
        names = {p.name for p in base.parts}
        name = next((n for n in ("top", "mattress", "seat", "body") if n in names), base.parts[0].name)
        low, high = next(h for p, h in zip(base.parts, part_hulls(base.parts), strict=True) if p.name == name)
        ours = piece.bounds
        middle, room = (low + high)[:2] / 2, (high - low)[:2] / 2 - (ours[1] - ours[0])[:2] / 2 - 0.01
        if (room < 0).any():
            return None
        z = self.placed[to].position[2] + base.top_m
        for _ in range(6 if spot is None else 1):
            u = self.rng.uniform(-1, 1, 2) if spot is None else np.array(spot)
            x, y = (middle + u * room - (ours[0] + ours[1])[:2] / 2).tolist()
            found = self.relative(piece, to, x, y, z=z, support=True)
            if found is not None:
                return found
        return None

    def finish(self, seed: int, scene_type: str) -> Plan:
        """The plan with everything that was placed."""
        walls = ("white", "white", "white", "beige", "beige", "gray", "gray", "blue", "green", "yellow", "pink")
        carpets = ("gray", "beige", "blue", "red", "green")
        floors = [("brown", "wood"), ("beige", "wood"), ("gray", "stone"), ("white", "stone")]
        floors += [(color, "fabric") for color in carpets]
        floor = floors[self.rng.integers(len(floors))]
        size = (self.width, self.depth, self.height)
        furnishings = tuple(
            describe(i, p, hulls, size) for i, (p, hulls) in enumerate(zip(self.placed, self._hulls, strict=True))
        )
        room = Room(
            seed=seed,
            scene_type=scene_type,
            size=size,
            wall_color=walls[self.rng.integers(len(walls))],
            floor_color=floor[0],
            floor_material=floor[1],
            furnishings=furnishings,
        )
        return Plan(room=room, placed=tuple(self.placed))


def describe(
    object_id: int, placed: Placed, hulls: Float[ndarray, "p 2 3"], size: tuple[float, float, float]
) -> Furnishing:
    """The furnishing record of a placed piece, from the hulls of its parts."""
    low, high = hulls[:, 0].min(0), hulls[:, 1].max(0)
    piece = placed.piece
    standing = placed.support is None and not placed.on_wall
    against_wall, in_corner = at_walls(low, high, size)
    return Furnishing(
        object_id=object_id,
        kind=piece.kind,
        class_name=KINDS[piece.kind].class_name if piece.kind in KINDS else "others",
        center=tuple(((low + high) / 2).tolist()),
        size=tuple((high - low).tolist()),
        heading_rad=math.remainder(placed.heading_rad, 2 * math.pi),
        color=piece.look.color,
        material=piece.look.material,
        shape=piece.look.shape,
        num_parts=piece.num_parts,
        support=placed.support,
        on_wall=placed.on_wall,
        against_wall=standing and against_wall,
        in_corner=standing and in_corner,
        group=placed.group,
        accents=_accents(piece),
    )


def at_walls(
    low: Float[ndarray, "3"], high: Float[ndarray, "3"], size: tuple[float, float, float]
) -> tuple[bool, bool]:
    """Whether what stands between these corners of a room of this size is against a wall, and in a corner."""
    gaps = [float(g) for g in (low[0], low[1], size[0] - high[0], size[1] - high[1])]
    in_corner = min(gaps[0], gaps[2]) < IN_CORNER_M and min(gaps[1], gaps[3]) < IN_CORNER_M
    return min(gaps) < AGAINST_WALL_M, in_corner


def _accents(piece: Piece) -> tuple[str, ...]:
    area: dict[str, float] = defaultdict(float)
    for part in piece.parts:
        x, y, z = part.size
        area[part.paint[0]] += 2 * (x * y + y * z + z * x)
    return tuple(sorted(c for c, area_m2 in area.items() if c != piece.look.color and area_m2 > ACCENT_M2))


def plan_room(seed: int) -> Plan:
    """Plan the room of a seed; the same seed gives the same plan.

    Args:
        seed: Everything about the room derives from it.

    Returns:
        The plan; its furnishings' boxes are those of the whole geometry (`scanner.scan_room` returns the room with
        the boxes of what a scanner saw).
    """
    from askscan.rooms.layout_rooms import ROOMS

    rng = np.random.default_rng([seed, 0])
    # Any run of ten seeds that begins at a multiple of ten holds every type once: small collections are balanced.
    turn = np.random.default_rng([seed // len(ROOM_TYPES), 9]).permutation(len(ROOM_TYPES))
    scene_type = ROOM_TYPES[turn[seed % len(ROOM_TYPES)]]
    ((w0, w1), (d0, d1)), furnish = ROOMS[scene_type]
    planner = Planner(rng, float(rng.uniform(w0, w1)), float(rng.uniform(d0, d1)), float(rng.uniform(2.4, 2.9)))
    furnish(planner)
    return planner.finish(seed, scene_type)
