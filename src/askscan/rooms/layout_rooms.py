"""What each room type holds and where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

from askscan.rooms import layout_groups as groups
from askscan.rooms.furniture import fit
from askscan.rooms.furniture_fixtures import pedestal
from askscan.rooms.layout import Planner


def _bedroom(p: Planner) -> None:
    groups.doors(p)
    bed, cushion, stand, lamp = p.make("bed"), p.make("pillow"), p.make("nightstand"), p.make("lamp")
    wall = p.number(0, 3)
    for _ in range(2 if p.chance(0.25) else 1):
        at = p.at_wall(p.again(bed), wall=wall, tries=20)
        at = p.at_wall(p.again(bed), tries=20) if at is None else at
        groups.bedding(p, at, cushion, stand, lamp)
    groups.windows(p, p.number(1, 2), 0.75)
    p.maybe(0.8, p.pick("wardrobe", "cabinet", "wardrobe"), clear_m=0.4)
    dresser = p.maybe(0.7, "dresser", clear_m=0.3)
    if p.chance(0.6):
        p.on_top(p.make("tv"), dresser, spot=(0.0, 0.0))
    groups.desk_group(p, p.maybe(0.6, "desk"), p.make(p.pick("chair", "office chair")))
    p.maybe(0.35, "bookshelf")
    p.maybe(0.3, "armchair")
    groups.hang(p, "mirror", p.number(0, 1), 0.9, 1.2)
    groups.pictures(p, 0, 3)
    loose = (
        "trash can, backpack, suitcase, lamp, plant, laundry basket, box, pillow, radiator, ottoman, bag, books, stool"
    )
    groups.fill(p, loose, 12, 22)


def _lounge(p: Planner) -> None:
    groups.doors(p)
    wall = p.number(0, 3)
    sofa = p.at_wall(p.make("couch"), wall=wall, tries=20)
    sofa = p.at_wall(p.make("couch", shape="rectangular"), tries=20) if sofa is None else sofa
    groups.sofa_group(p, sofa)
    if p.chance(0.7):
        stand = p.at_wall(p.make(p.pick("cabinet", "dresser")), wall=(wall + 2) % 4, clear_m=0.3)
        p.on_top(p.make("tv"), stand, spot=(0.0, 0.0))
    else:
        groups.wall_tv(p, (wall + 2) % 4)
    groups.windows(p, p.number(1, 3), 0.7)
    for probability in (0.7, 0.3):
        p.maybe(probability, "bookshelf")
    if p.width * p.depth > 24 and p.chance(0.6):
        groups.dining(p, 4)
    p.maybe(0.15, "piano", clear_m=0.5)
    groups.pictures(p, 1, 4)
    loose = (
        "lamp, plant, armchair, end table, ottoman, trash can, pillow, vase, books, stool, box, radiator, clock, bag"
    )
    groups.fill(p, loose, 13, 26)


def _kitchen(p: Planner) -> None:
    wall = p.number(0, 3)
    groups.kitchen_row(p, wall, with_stove=True)
    groups.doors(p)
    if p.chance(0.45):
        groups.kitchen_row(p, (wall + p.number(1, 3)) % 4, with_stove=False)
    if not any(q.piece.kind == "refrigerator" for q in p.placed):
        p.at_wall(p.make("refrigerator"), clear_m=0.5, tries=30)
    groups.windows(p, p.number(0, 2), 0.3)
    groups.dining(p, 6)
    groups.pictures(p, 0, 1)
    loose = (
        "trash can, trash can, stool, plant, cart, clock, box, bag, towel, bucket, microwave, vase, cabinet, radiator"
    )
    groups.fill(p, loose, 12, 20)


def _bathroom(p: Planner) -> None:
    groups.doors(p)
    if p.chance(0.75):
        tub = p.at_wall(p.make("bathtub"), corner=True, tries=20)
        if tub is not None and p.chance(0.8):
            cloth = p.make("shower curtain")
            front, half, _ = p.placed[tub].piece.bounds[1].tolist()
            free = half - float(cloth.bounds[1][1])
            p.relative(cloth, tub, front + 0.07, float(p.rng.uniform(-free, free)), z=0.35)
    p.at_wall(p.make("toilet"), clear_m=0.4, tries=30)
    for _ in range(2 if p.chance(0.2) else 1):
        groups.wash_place(p)
    groups.hang(p, "toilet paper", p.number(0, 1), 0.6, 0.8)
    groups.windows(p, p.number(0, 1), 0.2)
    groups.hang(p, "towel", p.number(1, 3), 0.9, 1.2)
    p.maybe(0.4, "cabinet")
    p.maybe(0.2, "washing machine", clear_m=0.3)
    groups.fill(p, "trash can, laundry basket, stool, plant, towel, radiator, bucket, picture, shelf, cart", 9, 16)


def _office(p: Planner) -> None:
    groups.doors(p)
    desk, seat = p.make("desk"), p.make("office chair")
    for _ in range(max(1, min(5, int(p.width * p.depth / 6)))):
        at = p.at_wall(desk if p.chance(0.7) else p.make("desk"), tries=20)
        groups.desk_group(p, at, p.again(seat, 0.35), screens=p.number(1, 2))
    groups.windows(p, p.number(0, 2), 0.25)
    groups.hang(p, "whiteboard", p.number(0, 1), 0.8, 1.0)
    for kind in ("file cabinet", "file cabinet", "cabinet"):
        groups.top_up(p, p.maybe(0.5, kind), 0.25, "printer", "books")
    for probability in (0.6, 0.3):
        p.maybe(probability, "bookshelf")
    groups.pictures(p, 0, 2)
    loose = "trash can, trash can, backpack, plant, box, chair, lamp, clock, bag, books, radiator, couch, stool"
    groups.fill(p, loose, 13, 30)


def _conference(p: Planner) -> None:
    groups.doors(p)
    table = p.make("table", shape=p.pick("rectangular", "oval", "round", "rectangular"))
    across = min(p.width, p.depth) * 0.36
    long = (min(1.5, p.width * 0.27), min(3.6, p.depth * 0.5), 0.74)
    table = fit(table, (across, across, 0.74) if table.look.shape == "round" else long)
    at = p.put(table, (p.width / 2, p.depth / 2, 0.0), 0.0)
    if at is not None:
        groups.seats_round(p, at, p.make(p.pick("chair", "office chair")), p.number(5, 12), 0.2)
    groups.top_up(p, at, 0.4, "laptop", "books", "vase")
    groups.hang(p, "whiteboard", p.number(0, 2), 0.8, 1.0)
    if p.chance(0.6):
        groups.wall_tv(p)
    groups.windows(p, p.number(0, 3), 0.3)
    p.maybe(0.6, p.pick("cabinet", "counter"))
    groups.pictures(p, 0, 2)
    loose = "trash can, plant, chair, chair, clock, lamp, box, backpack, bag, cart, laptop, books"
    groups.fill(p, loose, 13, 26)


def _classroom(p: Planner) -> None:
    groups.doors(p, p.number(1, 2))
    groups.hang(p, p.pick("whiteboard", "blackboard"), p.number(1, 2), 0.8, 0.95)
    desk, seat = p.make(p.pick("desk", "table"), shape="rectangular"), p.make("chair")
    desk = fit(desk, (0.6, float(p.rng.uniform(1.1, 1.4)), 0.73))
    rows, columns = p.number(2, 3), p.number(2, 3)
    for k in range(rows * columns):
        x = 1.6 + (p.width - 2.6) * (k // columns + 0.5) / rows
        y = 0.6 + (p.depth - 1.2) * (k % columns + 0.5) / columns
        at = p.put(desk, (x, y, 0.0), 0.0)
        for v in (-0.3, 0.3):
            d = 0.3 + float(seat.bounds[1][0]) + float(p.rng.uniform(-0.08, 0.1))
            p.relative(p.again(seat, 0.25), at, d, v, math.pi + float(p.rng.normal(0, 0.12)))
        groups.top_up(p, at, 0.15, "books", "laptop")
    groups.desk_group(p, p.at_wall(p.make("desk"), wall=0), p.make("office chair"))
    groups.windows(p, p.number(1, 3), 0.3)
    for name in ("cabinet", "bookshelf", "shelf", "piano"):
        p.maybe(0.4, name)
    groups.hang(p, "clock", 1, 1.7, 1.9)
    groups.fill(p, "trash can, backpack, backpack, box, plant, chair, picture, books, radiator", 20, 36)


def _lobby(p: Planner) -> None:
    groups.doors(p, p.number(1, 2))
    for _ in range(p.number(1, 3)):
        groups.sofa_group(p, p.at_wall(p.make("couch"), tries=20))
    if p.chance(0.7):
        desk, seat = p.make("counter"), p.make("stool")
        at = p.at_wall(desk, clear_m=0.5) if p.chance(0.5) else p.put(desk, (p.width * 0.5, p.depth * 0.5, 0.0), 0.0)
        groups.top_up(p, at, 0.4, "monitor", "vase", "books")
        for v in (-0.5, 0.5) if p.chance(0.6) else ():
            p.relative(p.again(seat, 0.3), at, float(desk.bounds[1][0]) + 0.35, v, math.pi)
    for _ in range(p.number(0, 2)):
        p.at_wall(p.make("bench"))
    groups.windows(p, p.number(1, 3), 0.4)
    if p.chance(0.4):
        groups.wall_tv(p)
    groups.pictures(p, 1, 4)
    loose = "plant, plant, trash can, armchair, ottoman, suitcase, lamp, chair, bench, bag, backpack, vase, clock"
    groups.fill(p, loose + ", end table, piano", 15, 28)


def _storage(p: Planner) -> None:
    groups.doors(p)
    rack = p.make("shelf")
    for _ in range(p.number(2, 4)):
        p.at_wall(p.again(rack, 0.4) if p.chance(0.6) else p.make("shelf"))
    for _ in range(p.number(2, 5)):
        at = p.at_wall(p.make("box"))
        if p.chance(0.5):
            p.on_top(p.make("box"), at, spot=(0.0, 0.0))
    groups.top_up(p, p.maybe(0.5, "table"), 0.8, "box")
    groups.windows(p, p.number(0, 1), 0.1)
    loose = "box, box, ladder, bucket, suitcase, cabinet, trash can, cart, bag, stool, laundry basket, file cabinet"
    groups.fill(p, loose + ", washing machine, wardrobe, refrigerator, chair, lamp", 13, 26)


def _laundry(p: Planner) -> None:
    groups.doors(p)
    wall = p.number(0, 3)
    machines = (p.make("washing machine"), p.make("clothes dryer"))
    along = float(p.rng.uniform(0.4, 0.7))
    for k in range(p.number(2, 5)):
        piece = p.again(machines[k % 2], 0.3)
        x, y, heading = p.wall_pose(piece, wall, along, 0.04)
        at = p.put(piece, (x, y, 0.0), heading, clear_m=0.35)
        along += 0.64
        groups.top_up(p, at, 0.2, "laundry basket", "box")
    for _ in range(p.number(1, 3)):
        p.at_wall(p.make("laundry basket"))
    if p.chance(0.7):
        p.on_floor(p.make("ironing board"), tries=20)
    p.maybe(0.6, p.pick("counter", "table", "cabinet"))
    if p.chance(0.6):
        p.at_wall(pedestal(p.make("sink")), clear_m=0.3)
    p.maybe(0.5, "shelf")
    groups.hang(p, "towel", p.number(0, 2), 0.9, 1.2)
    groups.windows(p, p.number(0, 1), 0.2)
    loose = "laundry basket, trash can, bucket, box, stool, cart, bag, clock, ladder, cabinet, towel, chair"
    groups.fill(p, loose, 11, 18)


Ranges = tuple[tuple[float, float], tuple[float, float]]

ROOMS: MappingProxyType[str, tuple[Ranges, Callable[[Planner], None]]] = MappingProxyType(
    {
        "Bedroom / Hotel": (((3.0, 5.0), (3.2, 5.2)), _bedroom),
        "Living room / Lounge": (((3.8, 6.5), (3.8, 6.0)), _lounge),
        "Kitchen": (((2.8, 5.0), (3.0, 5.2)), _kitchen),
        "Bathroom": (((2.5, 3.6), (2.5, 3.8)), _bathroom),
        "Office": (((3.0, 6.5), (3.0, 5.5)), _office),
        "Conference Room": (((4.0, 6.5), (4.5, 7.5)), _conference),
        "Classroom": (((5.5, 8.0), (5.5, 7.5)), _classroom),
        "Lobby": (((5.0, 8.0), (4.5, 7.0)), _lobby),
        "Storage/Basement/Garage": (((3.0, 5.5), (3.0, 6.0)), _storage),
        "Laundry Room": (((2.6, 4.2), (2.8, 4.5)), _laundry),
    }
)
"""By scene type: ranges of width and depth in metres, and how to furnish it."""
