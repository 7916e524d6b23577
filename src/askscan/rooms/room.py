"""The plan of a generated room: what the geometry is built from and what the language is about."""

from __future__ import annotations

from dataclasses import dataclass

ROOM_TYPES = (
    "Bedroom / Hotel",
    "Living room / Lounge",
    "Kitchen",
    "Bathroom",
    "Office",
    "Conference Room",
    "Classroom",
    "Lobby",
    "Storage/Basement/Garage",
    "Laundry Room",
)
"""ScanNet's sceneType names of the rooms that can be generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnishing:
    """One object, in the room's frame: metres, z up, floor at z = 0, walls along x and y, origin at a corner."""

    object_id: int
    """0-based objectId; its position in `Room.furnishings`."""
    kind: str
    """Raw label, such as `office chair` or `trash can`; also the noun of sentences."""
    class_name: str
    """One of the 18 class names of `askscan.shapes.CLASS_NAMES`."""
    center: tuple[float, float, float]
    """Centre of the axis-aligned extent of the visible geometry."""
    size: tuple[float, float, float]
    """Axis-aligned extent (turned objects: of the hull), metres."""
    heading_rad: float
    """Direction the front looks to: (cos, sin) in x, y; backs are to walls, fronts of chairs face their table."""
    color: str
    """Name of the dominant visible colour."""
    material: str
    """Name of the dominant visible material (wood, metal, plastic, fabric, leather, glass, ceramic, stone, paper)."""
    shape: str
    """Outline from above or in front: rectangular, square, round, oval or l-shaped; empty where no word fits."""
    num_parts: tuple[tuple[str, int], ...] = ()
    """Countable visible parts: (("leg", 4),), (("drawer", 3),), (("shelf", 5),), (("armrest", 2),)."""
    support: int | None = None
    """objectId of what it stands, lies or hangs on or in; None: the floor, or a wall where `on_wall`."""
    on_wall: bool = False
    """Mounted on a wall: pictures, windows, curtains, doors, wall-mounted shelves and mirrors."""
    against_wall: bool = False
    """Stands on the floor with a side within 0.15 m of a wall."""
    in_corner: bool = False
    """Stands on the floor within 0.4 m of two walls that meet."""
    group: int | None = None
    """objectId of the piece it was placed with (a chair with its table or desk, a nightstand with its bed)."""
    accents: tuple[str, ...] = ()
    """Other colours that are seen on it: of a chair's legs, a bed's frame, the books in a shelf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A furnished room."""

    seed: int
    scene_type: str
    """One of ROOM_TYPES (or what a layout file says)."""
    size: tuple[float, float, float]
    """Inner width (x), depth (y) and height (z), metres."""
    wall_color: str
    floor_color: str
    floor_material: str
    furnishings: tuple[Furnishing, ...]
