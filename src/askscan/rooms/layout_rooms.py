"""What each room type holds and where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from askscan.rooms.catalogue import pick_look
from askscan.rooms.furniture import Piece, fit
from askscan.rooms.furniture_fixtures import pedestal
from askscan.rooms.furniture_small import floor_lamp, small_plant
from askscan.rooms.layout import Planner

SIZES = MappingProxyType(
    {
        "Bedroom / Hotel": ((3.0, 5.0), (3.2, 5.2)),
        "Living room / Lounge": ((3.8, 6.5), (3.8, 6.0)),
        "Kitchen": ((2.8, 5.0), (3.0, 5.2)),
        "Bathroom": ((2.5, 3.6), (2.5, 3.8)),
        "Office": ((3.0, 6.5), (3.0, 5.5)),
        "Conference Room": ((4.0, 6.5), (4.5, 7.5)),
        "Classroom": ((5.5, 8.0), (5.5, 7.5)),
        "Lobby": ((5.0, 8.0), (4.5, 7.0)),
        "Storage/Basement/Garage": ((3.0, 5.5), (3.0, 6.0)),
        "Laundry Room": ((2.6, 4.2), (2.8, 4.5)),
    }
)
"""Width and depth ranges in metres by scene type."""


# --- shared groups ----------------------------------------------------------------------------------------------------


def _doors(p: Planner, count: int = 1) -> None:
    for _ in range(count):
        p.at_wall(p.make("door"), on_wall=True, clear_m=0.75, tries=30)


def _windows(p: Planner, count: int, curtains: float) -> None:
    """Windows, some with a pair of curtains."""
    drape = p.make("curtain")
    for _ in range(count):
        window = p.make("window")
        at = p.at_wall(window, on_wall=True, z=float(p.rng.uniform(0.85, 1.0)))
        if at is None or not p.chance(curtains):
            continue
        half = float(window.bounds[1][1] + drape.bounds[1][1]) + 0.02
        high = float(drape.bounds[1][2])
        for side in (-1, 1):
            x, y, _ = p.placed[at].position
            step = p.placed[at].rotation @ np.array([0.0, side * half, 0.0])
            z = min(0.12, p.height - high - 0.02)
            p.put(drape, (x + float(step[0]), y + float(step[1]), z), p.placed[at].heading_rad, on_wall=True, group=at)


def _hang(p: Planner, kind: str, count: int, low: float, high: float) -> None:
    """Hang things on the walls with their lower end between two heights."""
    for _ in range(count):
        piece = p.make(kind)
        top = p.height - float(piece.bounds[1][2]) - 0.05
        p.at_wall(piece, on_wall=True, z=min(float(p.rng.uniform(low, high)), top))


def _pictures(p: Planner, low: int, high: int) -> None:
    _hang(p, "picture", p.number(low, high), 1.2, 1.5)


def _wall_tv(p: Planner, wall: int | None = None) -> int | None:
    tv = p.make("tv")
    flat = Piece(kind="tv", look=tv.look, parts=tv.parts[:1])
    return p.at_wall(flat, on_wall=True, z=1.0, wall=wall)


def _seats_round(p: Planner, table: int, seat: Piece, count: int, recolor: float) -> list[int]:
    """Seats at a table, facing it: along the sides of straight ones, round the others."""
    base = p.placed[table].piece
    low, high = base.bounds
    hx, hy = float(high[0] - low[0]) / 2, float(high[1] - low[1]) / 2
    reach = float(seat.bounds[1][0])
    spots: list[tuple[float, float, float, float]] = []  # where the edge is, and the outward direction
    if base.look.shape in ("round", "oval"):
        for k in range(count):
            a = 2 * math.pi * (k + 0.5) / count
            spots.append((hx * math.cos(a), hy * math.sin(a), math.cos(a), math.sin(a)))
    else:
        per_side = max(1, int(2 * hy / 0.68))
        for k in range(per_side):
            y = ((k + 0.5) / per_side - 0.5) * 2 * hy * 0.94
            spots += [(hx, y, 1.0, 0.0), (-hx, y, -1.0, 0.0)]
        spots += [(0.0, hy, 0.0, 1.0), (0.0, -hy, 0.0, -1.0)]
        head = spots if count >= len(spots) else [spots[i] for i in p.rng.permutation(len(spots))[:count]]
        spots = head
    found = []
    for x, y, dx, dy in spots[:count]:
        piece = p.again(seat, recolor)
        turn = math.atan2(-dy, -dx) + float(p.rng.normal(0, 0.1))
        for gap in (-0.15, -0.02, 0.1, 0.25):
            d = reach + gap
            at = p.relative(piece, table, x + dx * d, y + dy * d, turn)
            if at is not None:
                found.append(at)
                break
    return found


def _desk_group(p: Planner, desk: int, seat_kind: str, *, screens: int = 1, seat: Piece | None = None) -> None:
    """A chair at the desk, screens with a keyboard (or a laptop), now and then a lamp, books, a plant."""
    piece = p.placed[desk].piece
    front = max(float(h) for h in [piece.parts[0].size[0] / 2])
    seat = seat or p.make(seat_kind)
    for gap in (-0.1, 0.02, 0.15):
        turn = math.pi + float(p.rng.normal(0, 0.25))
        if (
            p.relative(seat, desk, front + float(seat.bounds[1][0]) + gap, float(p.rng.uniform(-0.15, 0.15)), turn)
            is not None
        ):
            break
    if screens and p.chance(0.8):
        monitor = p.make("monitor")
        spread = (0.0,) if screens == 1 else (-0.6, 0.6)
        for v in spread:
            p.on_top(monitor, desk, spot=(-0.75, v + float(p.rng.normal(0, 0.08))))
        p.on_top(p.make("keyboard"), desk, spot=(0.6, 0.0))
    elif p.chance(0.8):
        p.on_top(p.make("laptop"), desk, spot=(0.1, 0.0))
    for kind in ("lamp", "books", "plant", "printer"):
        if p.chance(0.25):
            small = small_plant(p.rng, pick_look(p.rng, "plant")) if kind == "plant" else p.make(kind)
            p.on_top(small, desk)


def _fill(p: Planner, kinds: str, low: int, high: int) -> None:
    """Add loose things of the given kinds (a comma between them) until the room holds a drawn number of objects."""
    target = p.number(low, high)
    for _ in range(3 * target):
        if len(p.placed) >= target:
            return
        kind = p.pick(*kinds.split(", "))
        if kind == "lamp":
            p.at_wall(floor_lamp(p.rng, pick_look(p.rng, "lamp")))
        elif kind == "picture":
            _pictures(p, 1, 1)
        elif kind in ("clock", "mirror", "towel"):
            _hang(p, kind, 1, 1.0 if kind != "clock" else 1.7, 1.3 if kind != "clock" else 1.9)
        elif kind in ("pillow", "books", "vase", "keyboard", "laptop", "microwave"):
            _on_something(p, kind)
        elif p.chance(0.75):
            p.at_wall(p.make(kind), corner=p.chance(0.25))
        else:
            p.on_floor(p.make(kind))


def _on_something(p: Planner, kind: str) -> None:
    """Set a thing on a piece that carries such things."""
    hosts = {
        "pillow": ("bed", "couch", "armchair"),
        "microwave": ("kitchen counter", "table", "cabinet"),
    }.get(kind, ("table", "coffee table", "end table", "desk", "nightstand", "dresser", "cabinet", "counter"))
    able = [i for i, q in enumerate(p.placed) if q.piece.kind in hosts]
    if able:
        p.on_top(p.make(kind), able[p.rng.integers(len(able))])


# --- room types -------------------------------------------------------------------------------------------------------


def _bedroom(p: Planner) -> None:
    _doors(p)
    beds = 2 if p.chance(0.25) else 1
    bed, cushion, stand, lamp = p.make("bed"), p.make("pillow"), p.make("nightstand"), p.make("lamp")
    wall = p.number(0, 3)
    for _ in range(beds):
        at = p.at_wall(p.again(bed), wall=wall, tries=20)
        if at is None:
            at = p.at_wall(p.again(bed), tries=20)
        if at is not None:
            _bedding(p, at, cushion, stand, lamp)
    _windows(p, p.number(1, 2), 0.75)
    if p.chance(0.8):
        p.at_wall(p.make(p.pick("wardrobe", "cabinet", "wardrobe")), clear_m=0.4)
    if p.chance(0.7):
        at = p.at_wall(p.make("dresser"), clear_m=0.3)
        if at is not None and p.chance(0.6):
            p.on_top(p.make("tv"), at, spot=(0.0, 0.0))
    if p.chance(0.6):
        desk = p.at_wall(p.make("desk"), clear_m=0.0)
        if desk is not None:
            _desk_group(p, desk, p.pick("chair", "office chair"))
    if p.chance(0.35):
        p.at_wall(p.make("bookshelf"))
    if p.chance(0.3):
        p.at_wall(p.make("armchair"), corner=True)
    if p.chance(0.4):
        _hang(p, "mirror", 1, 0.9, 1.2)
    _pictures(p, 0, 3)
    _fill(
        p,
        "trash can, backpack, suitcase, lamp, plant, laundry basket, box, pillow, radiator, ottoman, bag, books, stool",
        12,
        22,
    )


def _bedding(p: Planner, bed: int, cushion: Piece, stand: Piece, lamp: Piece) -> None:
    """Pillows at the head, nightstands at the sides, lamps on them."""
    piece = p.placed[bed].piece
    low, high = piece.bounds
    wide = float(high[1] - low[1])
    pillows = 1 if wide < 1.2 else 2
    for k in range(pillows):
        v = 0.0 if pillows == 1 else (-0.85, 0.85)[k]
        p.on_top(p.again(cushion, 0.25), bed, spot=(-0.97, v))
    if p.chance(0.4):
        p.on_top(p.make("pillow"), bed, spot=(float(p.rng.uniform(-0.5, 0.6)), float(p.rng.uniform(-0.7, 0.7))))
    for side in (-1, 1):
        if not p.chance(0.75):
            continue
        deep = float(stand.bounds[1][0] - stand.bounds[0][0])
        gap = float(p.rng.uniform(0.03, 0.1))
        at = p.relative(
            stand, bed, float(low[0]) + deep / 2 + 0.02, side * (wide / 2 + float(stand.bounds[1][1]) + gap)
        )
        if at is not None and p.chance(0.7):
            p.on_top(p.again(lamp, 0.2), at, spot=(0.0, 0.0))


def _lounge(p: Planner) -> None:
    _doors(p)
    wall = p.number(0, 3)
    sofa = p.at_wall(p.make("couch"), wall=wall, tries=20)
    if sofa is None:
        sofa = p.at_wall(p.make("couch", shape="rectangular"), tries=20)
    if sofa is not None:
        _sofa_group(p, sofa)
    if p.chance(0.7):
        stand = p.at_wall(p.make(p.pick("cabinet", "dresser")), wall=(wall + 2) % 4, clear_m=0.3)
        if stand is not None:
            p.on_top(p.make("tv"), stand, spot=(0.0, 0.0))
    else:
        _wall_tv(p, (wall + 2) % 4)
    _windows(p, p.number(1, 3), 0.7)
    for _ in range(p.number(0, 2)):
        p.at_wall(p.make("bookshelf"))
    if p.width * p.depth > 24 and p.chance(0.6):
        _dining(p, 4)
    if p.chance(0.15):
        p.at_wall(p.make("piano"), clear_m=0.5)
    _pictures(p, 1, 4)
    _fill(
        p,
        "lamp, plant, armchair, end table, ottoman, trash can, pillow, vase, books, stool, box, radiator, clock, bag",
        13,
        26,
    )


def _sofa_group(p: Planner, sofa: int) -> None:
    """A table before the couch, armchairs opposite or at the side, cushions, an end table with a lamp."""
    piece = p.placed[sofa].piece
    low, high = piece.bounds
    table = p.make("coffee table")
    ahead = float(high[0]) + 0.35 + float(table.bounds[1][0])
    at = p.relative(table, sofa, ahead, float(p.rng.uniform(-0.2, 0.2)))
    if at is not None:
        for kind in ("books", "vase", "plant"):
            if p.chance(0.35):
                p.on_top(small_plant(p.rng, pick_look(p.rng, "plant")) if kind == "plant" else p.make(kind), at)
        chair = p.make("armchair")
        far = float(table.bounds[1][1]) + 0.3 + float(chair.bounds[1][0])
        for side in (-1, 1):
            if p.chance(0.5):
                p.relative(p.again(chair, 0.35), at, float(p.rng.uniform(-0.1, 0.1)), side * far, -side * math.pi / 2)
    cushion = p.make("pillow")
    for v in (-0.8, -0.1, 0.75):
        if p.chance(0.5):
            p.on_top(p.again(cushion, 0.5), sofa, spot=(0.75, v))
    table = p.make("end table")
    for side in (-1, 1):
        if p.chance(0.5):
            left = side * (float(high[1] - low[1]) / 2 + float(table.bounds[1][1]) + 0.06)
            end = p.relative(table, sofa, float(low[0]) + 0.3, left)
            if end is not None and p.chance(0.6):
                p.on_top(p.make("lamp"), end, spot=(0.0, 0.0))


def _dining(p: Planner, most: int) -> None:
    table = p.make("table")
    for _ in range(16):
        x, y = float(p.rng.uniform(1.0, p.width - 1.0)), float(p.rng.uniform(1.0, p.depth - 1.0))
        at = p.put(table, (x, y, 0.0), (0.0, math.pi / 2)[p.number(0, 1)])
        if at is None:
            continue
        _seats_round(p, at, p.make(p.pick("chair", "chair", "chair", "stool")), p.number(2, most), 0.25)
        if p.chance(0.5):
            p.on_top(p.make(p.pick("vase", "books")), at)
        return


def _kitchen(p: Planner) -> None:
    _doors(p)
    wall = p.number(0, 3)
    ends = _kitchen_run(p, wall)
    if p.chance(0.45):
        _kitchen_run(p, (wall + p.number(1, 3)) % 4, with_stove=not ends)
    if not any(q.piece.kind == "refrigerator" for q in p.placed):
        p.at_wall(p.make("refrigerator"), clear_m=0.5, tries=30)
    _windows(p, p.number(0, 2), 0.3)
    _dining(p, 6)
    _pictures(p, 0, 1)
    _fill(
        p,
        "trash can, trash can, stool, plant, cart, clock, box, bag, towel, bucket, microwave, vase, cabinet, radiator",
        12,
        20,
    )


def _kitchen_run(p: Planner, wall: int, with_stove: bool = True) -> bool:
    """A row along a wall: refrigerator, cabinets under a worktop, stove; then what stands on and hangs above them."""
    length = p.wall_length(wall)
    base = p.make("kitchen cabinet")
    row: list[Piece] = [p.make("refrigerator")] if p.chance(0.7) and with_stove else []
    row += [base] * p.number(1, 2)
    if with_stove:
        row += [p.make("stove"), *[base] * p.number(1, 2)]
    along = float(p.rng.uniform(0.05, 0.3))
    runs: list[list[int]] = [[]]
    for piece in row:
        wide = float(piece.bounds[1][1] - piece.bounds[0][1])
        if along + wide > length - 0.05:
            break
        x, y, heading = p.wall_pose(piece, wall, along + wide / 2, 0.02)
        at = p.put(piece, (x, y, 0.0), heading, clear_m=0.45)
        along += wide + 0.006
        if at is None or piece.kind != "kitchen cabinet":
            runs.append([])
        else:
            runs[-1].append(at)
    runs = [r for r in runs if r]
    top = p.make("kitchen counter")
    upper = fit(
        p.make("kitchen cabinet", color=base.look.color, material=base.look.material),
        (0.33, float(base.bounds[1][1] - base.bounds[0][1]) - 0.02, 0.6),
    )
    for k, run in enumerate(runs):
        counter = _worktop(p, wall, run, top)
        if counter is not None:
            if k == 0:
                p.on_top(p.make("sink", shape="rectangular"), counter, spot=(0.0, float(p.rng.uniform(-0.6, 0.6))))
            for kind in ("microwave", "vase", "books"):
                if p.chance(0.35):
                    p.on_top(p.make(kind), counter)
        for i in run:
            if p.chance(0.6):
                x, y, _ = p.placed[i].position
                along_wall = y if wall in (0, 2) else x
                ux, uy, heading = p.wall_pose(upper, wall, along_wall, 0.002)
                p.put(upper, (ux, uy, min(1.5, p.height - 0.65)), heading, on_wall=True, group=i)
    return bool(runs)


def _worktop(p: Planner, wall: int, run: list[int], top: Piece) -> int | None:
    """A worktop over a run of neighbouring cabinets."""
    ends = []
    for i in run:
        hulls = p.placed[i].hulls()
        axis = 1 if wall in (0, 2) else 0
        ends += [hulls[:, 0, axis].min(), hulls[:, 1, axis].max()]
    wide = float(max(ends) - min(ends))
    piece = fit(top, (0.64, wide, 0.14))
    piece = Piece(kind=piece.kind, look=piece.look, parts=piece.parts, top_m=0.047)
    x, y, heading = p.wall_pose(piece, wall, float(max(ends) + min(ends)) / 2, 0.015)
    return p.put(
        piece, (x, y, float(p.placed[run[0]].piece.top_m or 0.86) + 0.001), heading, support=run[0], group=run[0]
    )


def _bathroom(p: Planner) -> None:
    _doors(p)
    if p.chance(0.75):
        tub = p.at_wall(p.make("bathtub"), corner=True, tries=20)
        if tub is not None and p.chance(0.8):
            cloth = p.make("shower curtain")
            high = p.placed[tub].piece.bounds[1]
            wide = float(high[1]) - float(cloth.bounds[1][1])
            p.relative(cloth, tub, float(high[0]) + 0.07, float(p.rng.uniform(-wide, wide)), z=0.35)
    p.at_wall(p.make("toilet"), clear_m=0.4, tries=30)
    for _ in range(2 if p.chance(0.2) else 1):
        _wash_place(p)
    if p.chance(0.6):
        p.at_wall(p.make("toilet paper"), on_wall=True, z=0.7)
    _windows(p, p.number(0, 1), 0.2)
    _hang(p, "towel", p.number(1, 3), 0.9, 1.2)
    if p.chance(0.4):
        p.at_wall(p.make("cabinet"))
    if p.chance(0.2):
        p.at_wall(p.make("washing machine"), clear_m=0.3)
    _fill(p, "trash can, laundry basket, stool, plant, towel, radiator, bucket, picture, shelf, cart", 9, 16)


def _wash_place(p: Planner) -> None:
    """A sink on a foot or on a cabinet, with a mirror above."""
    sink = p.make("sink")
    if p.chance(0.5):
        at = p.at_wall(pedestal(sink), clear_m=0.4, tries=30)
    else:
        body = fit(p.make("cabinet"), (0.52, float(p.rng.uniform(0.65, 0.95)), 0.74))
        at = p.at_wall(
            Piece(kind="cabinet", look=body.look, parts=body.parts, num_parts=body.num_parts, top_m=0.735),
            clear_m=0.4,
            tries=30,
        )
        if at is not None:
            p.on_top(sink, at, spot=(0.0, 0.0))
    if at is None or not p.chance(0.85):
        return
    wall = int(
        np.argmin(
            [
                abs(math.remainder(p.placed[at].heading_rad - h, 2 * math.pi))
                for h in (0.0, math.pi / 2, math.pi, -math.pi / 2)
            ]
        )
    )
    x, y, _ = p.placed[at].position
    p.at_wall(p.make("mirror"), wall=wall, on_wall=True, z=1.1, near=y if wall in (0, 2) else x, group=at)


def _office(p: Planner) -> None:
    _doors(p)
    desk, seat = p.make("desk"), p.make("office chair")
    for _ in range(max(1, min(5, int(p.width * p.depth / 6)))):
        piece = desk if p.chance(0.7) else p.make("desk")
        at = p.at_wall(piece, tries=20)
        if at is not None:
            _desk_group(p, at, "office chair", screens=p.number(1, 2), seat=p.again(seat, 0.35))
    _windows(p, p.number(0, 2), 0.25)
    if p.chance(0.6):
        _hang(p, "whiteboard", 1, 0.8, 1.0)
    for kind, most in (("file cabinet", 3), ("bookshelf", 2), ("cabinet", 1)):
        for _ in range(p.number(0, most)):
            at = p.at_wall(p.make(kind))
            if at is not None and p.chance(0.35) and kind != "bookshelf":
                p.on_top(p.make(p.pick("printer", "books", "box")), at)
    _pictures(p, 0, 2)
    _fill(
        p,
        "trash can, trash can, backpack, plant, box, chair, lamp, clock, bag, books, radiator, couch, stool",
        13,
        30,
    )


def _conference(p: Planner) -> None:
    _doors(p)
    shape = p.pick("rectangular", "oval", "round", "rectangular")
    table = p.make("table", shape=shape)
    if shape == "round":
        d = min(p.width, p.depth) * 0.36
        table = fit(table, (d, d, 0.74))
    else:
        table = fit(table, (min(1.5, p.width * 0.27), min(3.6, p.depth * 0.5), 0.74))
    turned = 0.0 if p.depth >= p.width or shape == "round" else 0.0
    at = p.put(table, (p.width / 2, p.depth / 2, 0.0), turned)
    if at is not None:
        _seats_round(p, at, p.make(p.pick("chair", "office chair")), p.number(5, 12), 0.2)
        for kind in ("laptop", "books", "vase"):
            if p.chance(0.4):
                p.on_top(p.make(kind), at)
    _hang(p, "whiteboard", p.number(0, 2), 0.8, 1.0)
    if p.chance(0.6):
        _wall_tv(p)
    _windows(p, p.number(0, 3), 0.3)
    if p.chance(0.6):
        p.at_wall(p.make(p.pick("cabinet", "counter")))
    _pictures(p, 0, 2)
    _fill(p, "trash can, plant, chair, chair, clock, lamp, box, backpack, bag, cart, laptop, books", 13, 26)


def _classroom(p: Planner) -> None:
    _doors(p, p.number(1, 2))
    _hang(p, p.pick("whiteboard", "blackboard"), p.number(1, 2), 0.8, 0.95)
    kind = p.pick("desk", "table")
    desk, seat = p.make(kind, shape="rectangular"), p.make("chair")
    desk = fit(desk, (0.6, float(p.rng.uniform(1.1, 1.4)), 0.73))
    rows, columns = p.number(2, 3), p.number(2, 3)
    for r in range(rows):
        for c in range(columns):
            x = 1.6 + (p.width - 2.6) * (r + 0.5) / rows
            y = 0.6 + (p.depth - 1.2) * (c + 0.5) / columns
            at = p.put(desk, (x, y, 0.0), 0.0)
            if at is None:
                continue
            for v in (-0.3, 0.3):
                d = 0.3 + float(seat.bounds[1][0]) + float(p.rng.uniform(-0.08, 0.1))
                p.relative(p.again(seat, 0.25), at, d, v, math.pi + float(p.rng.normal(0, 0.12)))
            if p.chance(0.25):
                p.on_top(p.make(p.pick("books", "laptop")), at)
    teacher = p.at_wall(p.make("desk"), wall=0)
    if teacher is not None:
        _desk_group(p, teacher, "office chair")
    _windows(p, p.number(1, 3), 0.3)
    for name in ("cabinet", "bookshelf", "shelf", "piano"):
        if p.chance(0.4):
            p.at_wall(p.make(name))
    _hang(p, "clock", 1, 1.7, 1.9)
    _fill(p, "trash can, backpack, backpack, box, plant, chair, picture, books, radiator", 20, 36)


def _lobby(p: Planner) -> None:
    _doors(p, p.number(1, 2))
    for _ in range(p.number(1, 3)):
        at = p.at_wall(p.make("couch"), tries=20)
        if at is not None:
            _sofa_group(p, at)
    if p.chance(0.7):
        desk = p.make("counter")
        at = p.at_wall(desk, clear_m=0.5) if p.chance(0.5) else p.put(desk, (p.width * 0.5, p.depth * 0.5, 0.0), 0.0)
        if at is not None:
            p.on_top(p.make(p.pick("monitor", "vase", "books")), at)
            if p.chance(0.6):
                seat = p.make("stool")
                for v in (-0.5, 0.5):
                    p.relative(p.again(seat, 0.3), at, float(desk.bounds[1][0]) + 0.35, v, math.pi)
    for _ in range(p.number(0, 2)):
        p.at_wall(p.make("bench"))
    _windows(p, p.number(1, 3), 0.4)
    if p.chance(0.4):
        _wall_tv(p)
    _pictures(p, 1, 4)
    _fill(
        p,
        "plant, plant, trash can, armchair, ottoman, suitcase, lamp, chair, bench, bag, backpack, vase, "
        "clock, end table, piano",
        15,
        28,
    )


def _storage(p: Planner) -> None:
    _doors(p)
    rack = p.make("shelf")
    for _ in range(p.number(2, 4)):
        p.at_wall(p.again(rack, 0.4) if p.chance(0.6) else p.make("shelf"))
    for _ in range(p.number(2, 5)):
        at = p.at_wall(p.make("box"))
        if at is not None and p.chance(0.5):
            p.on_top(p.make("box"), at, spot=(0.0, 0.0))
    if p.chance(0.5):
        at = p.at_wall(p.make("table", shape="rectangular"))
        if at is not None:
            p.on_top(p.make("box"), at)
    _windows(p, p.number(0, 1), 0.1)
    _fill(
        p,
        "box, box, ladder, bucket, suitcase, cabinet, trash can, cart, bag, stool, laundry basket, "
        "file cabinet, washing machine, wardrobe, refrigerator, chair, lamp",
        13,
        26,
    )


def _laundry(p: Planner) -> None:
    _doors(p)
    wall = p.number(0, 3)
    washer, dryer = p.make("washing machine"), p.make("clothes dryer")
    along = float(p.rng.uniform(0.4, 0.7))
    for k in range(p.number(2, 5)):
        piece = p.again(washer if k % 2 == 0 else dryer, 0.3)
        x, y, heading = p.wall_pose(piece, wall, along, 0.04)
        at = p.put(piece, (x, y, 0.0), heading, clear_m=0.35)
        along += 0.64
        if at is not None and p.chance(0.3):
            p.on_top(p.make(p.pick("laundry basket", "box")), at)
    for _ in range(p.number(1, 3)):
        p.at_wall(p.make("laundry basket"))
    if p.chance(0.7):
        p.on_floor(p.make("ironing board"), tries=20)
    if p.chance(0.6):
        p.at_wall(p.make(p.pick("counter", "table", "cabinet"), shape="rectangular"))
    if p.chance(0.6):
        p.at_wall(pedestal(p.make("sink")), clear_m=0.3)
    if p.chance(0.5):
        p.at_wall(p.make("shelf"))
    _hang(p, "towel", p.number(0, 2), 0.9, 1.2)
    _windows(p, p.number(0, 1), 0.2)
    _fill(
        p,
        "laundry basket, trash can, bucket, box, stool, cart, bag, clock, ladder, cabinet, towel, chair",
        11,
        18,
    )


FURNISH: MappingProxyType[str, Callable[[Planner], None]] = MappingProxyType(
    {
        "Bedroom / Hotel": _bedroom,
        "Living room / Lounge": _lounge,
        "Kitchen": _kitchen,
        "Bathroom": _bathroom,
        "Office": _office,
        "Conference Room": _conference,
        "Classroom": _classroom,
        "Lobby": _lobby,
        "Storage/Basement/Garage": _storage,
        "Laundry Room": _laundry,
    }
)
"""How to furnish each scene type."""
