"""Groups that room types share: seats round a table, a desk with its chair, a bed with its nightstands, ..."""

from __future__ import annotations

import math

import numpy as np

from askscan.rooms.catalogue import pick_look
from askscan.rooms.furniture import Piece, fit
from askscan.rooms.furniture_fixtures import pedestal
from askscan.rooms.furniture_small import floor_lamp, small_plant
from askscan.rooms.layout import Planner


def _width(piece: Piece) -> float:
    low, high = piece.bounds
    return float(high[1] - low[1])


def _reach(piece: Piece) -> float:
    """From the origin to the front."""
    return float(piece.bounds[1][0])


def doors(p: Planner, count: int = 1) -> None:
    """Doors with free floor before them."""
    for _ in range(count):
        p.at_wall(p.make("door"), on_wall=True, clear_m=0.75, tries=30)


def windows(p: Planner, count: int, curtains: float) -> None:
    """Windows; with the given probability a window has a pair of curtains."""
    drape = p.make("curtain")
    for _ in range(count):
        window = p.make("window")
        at = p.at_wall(window, on_wall=True, z=float(p.rng.uniform(0.85, 1.0)))
        if at is None or not p.chance(curtains):
            continue
        beside = (_width(window) + _width(drape)) / 2 + 0.02
        x, y, _ = p.placed[at].position
        for side in (-beside, beside):
            dx, dy, _ = (p.placed[at].rotation @ np.array([0.0, side, 0.0])).tolist()
            z = min(0.12, p.height - float(drape.bounds[1][2]) - 0.02)
            p.put(drape, (x + dx, y + dy, z), p.placed[at].heading_rad, on_wall=True, group=at)


def hang(p: Planner, kind: str, count: int, low: float, high: float) -> None:
    """Hang things on the walls with their lower end between two heights."""
    for _ in range(count):
        piece = p.make(kind)
        top = p.height - float(piece.bounds[1][2]) - 0.05
        p.at_wall(piece, on_wall=True, z=min(float(p.rng.uniform(low, high)), top))


def pictures(p: Planner, low: int, high: int) -> None:
    """A drawn number of pictures at eye height."""
    hang(p, "picture", p.number(low, high), 1.2, 1.5)


def wall_tv(p: Planner, wall: int | None = None) -> None:
    """A television that hangs: without its stand."""
    tv = p.make("tv")
    p.at_wall(Piece(kind="tv", look=tv.look, parts=tv.parts[:1]), on_wall=True, z=1.0, wall=wall)


def top_up(p: Planner, to: int | None, chance: float, *kinds: str) -> None:
    """Set each of some small things on a top with a probability."""
    for kind in kinds:
        if p.chance(chance):
            small = small_plant(p.rng, pick_look(p.rng, "plant")) if kind == "plant" else p.make(kind)
            p.on_top(small, to)


def seats_round(p: Planner, table: int, seat: Piece, count: int, recolor: float) -> None:
    """Seats at a table, facing it: along the sides of straight ones, round the others."""
    base = p.placed[table].piece
    low, high = base.bounds
    hx, hy = ((high - low)[:2] / 2).tolist()
    if base.look.shape in ("round", "oval"):
        angles = [2 * math.pi * (k + 0.5) / count for k in range(count)]
        spots = [(hx * math.cos(a), hy * math.sin(a), math.cos(a), math.sin(a)) for a in angles]
    else:
        per_side = max(1, int(2 * hy / 0.68))
        sides = [((k + 0.5) / per_side - 0.5) * 1.88 * hy for k in range(per_side)]
        spots = [(0.0, hy, 0.0, 1.0), (0.0, -hy, 0.0, -1.0)]
        spots += [(s * hx, y, s, 0.0) for y in sides for s in (1.0, -1.0)]
        spots = [spots[i] for i in p.rng.permutation(len(spots))]
    for x, y, dx, dy in spots[:count]:  # where the edge is, and the outward direction
        piece = p.again(seat, recolor)
        turn = math.atan2(-dy, -dx) + float(p.rng.normal(0, 0.1))
        for gap in (-0.13, -0.02, 0.1, 0.25):
            d = _reach(seat) + gap
            if p.relative(piece, table, x + dx * d, y + dy * d, turn) is not None:
                break


def desk_group(p: Planner, desk: int | None, seat: Piece, screens: int = 1) -> None:
    """A chair at the desk, screens with a keyboard (or a laptop), now and then a lamp, books, a plant, a printer."""
    if desk is None:
        return
    front = p.placed[desk].piece.parts[0].size[0] / 2 + _reach(seat)
    for gap in (-0.1, 0.02, 0.15):
        turn = math.pi + float(p.rng.normal(0, 0.25))
        if p.relative(seat, desk, front + gap, float(p.rng.uniform(-0.15, 0.15)), turn) is not None:
            break
    if p.chance(0.8):
        monitor = p.make("monitor")
        for v in (0.0,) if screens == 1 else (-0.6, 0.6):
            p.on_top(monitor, desk, spot=(-0.75, v + float(p.rng.normal(0, 0.08))))
        p.on_top(p.make("keyboard"), desk, spot=(0.6, 0.0))
    else:
        p.on_top(p.make("laptop"), desk, spot=(0.1, 0.0))
    top_up(p, desk, 0.25, "lamp", "books", "plant", "printer")


def bedding(p: Planner, bed: int | None, cushion: Piece, stand: Piece, lamp: Piece) -> None:
    """Pillows at the head, nightstands at the sides, lamps on them."""
    if bed is None:
        return
    piece = p.placed[bed].piece
    for v in (0.0,) if _width(piece) < 1.2 else (-0.85, 0.85):
        p.on_top(p.again(cushion, 0.25), bed, spot=(-0.97, v))
    top_up(p, bed, 0.4, "pillow")
    ahead = float(piece.bounds[0][0]) + _reach(stand) + 0.04
    left = (_width(piece) + _width(stand)) / 2 + float(p.rng.uniform(0.03, 0.1))
    for side in (-1, 1):
        at = p.relative(stand, bed, ahead, side * left) if p.chance(0.75) else None
        if p.chance(0.7):
            p.on_top(p.again(lamp, 0.2), at, spot=(0.0, 0.0))


def sofa_group(p: Planner, sofa: int | None) -> None:
    """A table before the couch, armchairs at its sides, cushions, end tables with lamps."""
    if sofa is None:
        return
    piece = p.placed[sofa].piece
    table, chair, cushion, end = p.make("coffee table"), p.make("armchair"), p.make("pillow"), p.make("end table")
    at = p.relative(table, sofa, _reach(piece) + 0.35 + _reach(table), float(p.rng.uniform(-0.2, 0.2)))
    top_up(p, at, 0.35, "books", "vase", "plant")
    far, left = _width(table) / 2 + 0.3 + _reach(chair), (_width(piece) + _width(end)) / 2 + 0.06
    for side in (-1, 1):
        if at is not None and p.chance(0.5):
            p.relative(p.again(chair, 0.35), at, float(p.rng.uniform(-0.1, 0.1)), side * far, -side * math.pi / 2)
        if p.chance(0.5):
            beside = p.relative(end, sofa, float(piece.bounds[0][0]) + 0.3, side * left)
            top_up(p, beside, 0.6, "lamp")
    for v in (-0.8, -0.1, 0.75):
        if p.chance(0.5):
            p.on_top(p.again(cushion, 0.5), sofa, spot=(0.75, v))


def dining(p: Planner, most: int) -> None:
    """A table somewhere on the floor with at most so many seats."""
    table = p.make("table")
    for _ in range(16):
        x, y = float(p.rng.uniform(1.0, p.width - 1.0)), float(p.rng.uniform(1.0, p.depth - 1.0))
        at = p.put(table, (x, y, 0.0), (0.0, math.pi / 2)[p.number(0, 1)])
        if at is not None:
            seats_round(p, at, p.make(p.pick("chair", "chair", "chair", "stool")), p.number(2, most), 0.25)
            top_up(p, at, 0.3, "vase", "books")
            return


def kitchen_row(p: Planner, wall: int, with_stove: bool) -> None:
    """A row along a wall: refrigerator, cabinets under a worktop, stove; then what stands on and hangs above them."""
    base = p.make("kitchen cabinet")
    row: list[Piece] = [p.make("refrigerator")] if with_stove and p.chance(0.7) else []
    row += [base] * p.number(1, 2)
    row += [p.make("stove"), *[base] * p.number(1, 2)] if with_stove else []
    along = float(p.rng.uniform(0.05, 0.3))
    runs: list[list[int]] = [[]]
    for piece in row:
        wide = _width(piece)
        if along + wide > p.wall_length(wall) - 0.05:
            break
        x, y, heading = p.wall_pose(piece, wall, along + wide / 2, 0.02)
        at = p.put(piece, (x, y, 0.0), heading, clear_m=0.45)
        along += wide + 0.006
        if at is None or piece.kind != "kitchen cabinet":
            runs.append([])
        else:
            runs[-1].append(at)
    top = p.make("kitchen counter")
    sink: Piece | None = p.make("sink", shape="rectangular")
    for run in filter(None, runs):
        counter = _worktop(p, run, top)
        if sink is not None:
            p.on_top(sink, counter, spot=(0.0, float(p.rng.uniform(-0.6, 0.6))))
        sink = None
        top_up(p, counter, 0.35, "microwave", "vase", "books")
        _wall_cabinets(p, run, base)


def _worktop(p: Planner, run: list[int], top: Piece) -> int | None:
    """A worktop over a run of neighbouring cabinets."""
    wall, _ = p.wall_of(run[0])
    halves = [_width(p.placed[i].piece) / 2 for i in run]
    ends = [p.wall_of(i)[1] + s * half for i, half in zip(run, halves, strict=True) for s in (-1, 1)]
    piece = fit(top, (0.64, max(ends) - min(ends), 0.14))
    x, y, heading = p.wall_pose(piece, wall, (max(ends) + min(ends)) / 2, 0.015)
    high = float(p.placed[run[0]].piece.top_m or 0.0) + 0.001
    return p.put(piece, (x, y, high), heading, support=run[0], group=run[0])


def _wall_cabinets(p: Planner, run: list[int], base: Piece) -> None:
    """Cabinets of the same front above some of those of a run."""
    again = p.make("kitchen cabinet", color=base.look.color, material=base.look.material)
    upper = fit(again, (0.33, _width(base) - 0.02, 0.6))
    for i in run:
        wall, along = p.wall_of(i)
        x, y, heading = p.wall_pose(upper, wall, along, 0.002)
        if p.chance(0.6):
            p.put(upper, (x, y, min(1.5, p.height - 0.65)), heading, on_wall=True, group=i)


def wash_place(p: Planner) -> None:
    """A sink on a foot or on a cabinet, with a mirror above."""
    sink = p.make("sink")
    if p.chance(0.5):
        at = p.at_wall(pedestal(sink), clear_m=0.4, tries=30)
    else:
        at = p.at_wall(fit(p.make("cabinet"), (0.52, float(p.rng.uniform(0.65, 0.95)), 0.74)), clear_m=0.4, tries=30)
        p.on_top(sink, at, spot=(0.0, 0.0))
    if at is not None and p.chance(0.85):
        wall, along = p.wall_of(at)
        p.at_wall(p.make("mirror"), wall=wall, on_wall=True, z=1.1, near=along, group=at)


def fill(p: Planner, kinds: str, low: int, high: int) -> None:
    """Add loose things of the given kinds (a comma between them) until the room holds a drawn number of objects."""
    target = p.number(low, high)
    for _ in range(3 * target):
        if len(p.placed) >= target:
            return
        kind = p.pick(*kinds.split(", "))
        if kind in ("picture", "towel", "mirror"):
            hang(p, kind, 1, 1.1, 1.4)
        elif kind == "clock":
            hang(p, kind, 1, 1.7, 1.9)
        elif kind in ("pillow", "books", "vase", "laptop", "microwave"):
            _on_something(p, kind)
        elif kind == "lamp":
            p.at_wall(floor_lamp(p.rng, pick_look(p.rng, kind)))
        elif p.chance(0.75):
            p.at_wall(p.make(kind), corner=p.chance(0.25))
        else:
            p.on_floor(p.make(kind))


def _on_something(p: Planner, kind: str) -> None:
    """Set a thing on a piece that carries such things."""
    hosts = {"pillow": ("bed", "couch", "armchair"), "microwave": ("kitchen counter", "table", "cabinet")}.get(
        kind, ("table", "coffee table", "end table", "desk", "nightstand", "dresser", "cabinet", "counter")
    )
    able = [i for i, q in enumerate(p.placed) if q.piece.kind in hosts]
    if able:
        p.on_top(p.make(kind), able[p.rng.integers(len(able))])
