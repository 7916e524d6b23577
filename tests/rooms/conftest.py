"""A small room made by hand, of which every relation is known."""

import math

import pytest

from askscan.rooms.room import Furnishing, Room

UP, DOWN, EAST, WEST = math.pi / 2, -math.pi / 2, 0.0, math.pi


CORNER = {"against_wall": True, "in_corner": True}


def _item(kind: str, class_name: str, center: tuple, size: tuple, look: str, **more: object) -> dict:
    color, material, shape = (*look.split(), "rectangular")[:3]
    given = {"kind": kind, "class_name": class_name, "center": center, "size": size}
    return {"color": color, "material": material, "shape": shape, "heading_rad": DOWN, **given, **more}


ITEMS = (
    # 0: bed with its head at the far wall (y = 4), front towards y = 0.
    _item("bed", "bed", (2.0, 3.0, 0.4), (1.6, 2.0, 0.8), "blue fabric", against_wall=True),
    _item("nightstand", "others", (3.1, 3.75, 0.25), (0.4, 0.4, 0.5), "brown wood square", against_wall=True, group=0),
    _item("lamp", "others", (3.1, 3.75, 0.7), (0.25, 0.25, 0.4), "yellow fabric round", support=1),
    _item("pillow", "others", (1.7, 3.7, 0.6), (0.5, 0.35, 0.15), "white fabric", support=0),
    _item("pillow", "others", (2.35, 3.7, 0.6), (0.5, 0.35, 0.15), "red fabric", support=0),
    _item("picture", "picture", (2.0, 3.97, 1.6), (0.8, 0.05, 0.5), "green paper", on_wall=True),
    # 6: desk at the near wall, front towards y = 4.
    _item("desk", "desk", (3.5, 0.35, 0.375), (1.4, 0.7, 0.75), "brown wood", heading_rad=UP, against_wall=True),
    _item("office chair", "chair", (3.5, 1.0, 0.45), (0.6, 0.6, 0.9), "black leather square", group=6),
    _item("monitor", "others", (3.5, 0.3, 1.0), (0.6, 0.2, 0.5), "black plastic", heading_rad=UP, support=6),
    _item("trash can", "others", (3.0, 0.3, 0.2), (0.3, 0.3, 0.4), "gray plastic round"),
    _item("wardrobe", "others", (0.5, 0.35, 1.0), (1.0, 0.6, 2.0), "white wood", heading_rad=UP, **CORNER),
    _item("chair", "chair", (4.7, 2.0, 0.45), (0.5, 0.5, 0.9), "red wood square", heading_rad=WEST, against_wall=True),
    _item("door", "door", (0.03, 2.0, 1.0), (0.06, 0.9, 2.0), "brown wood", heading_rad=EAST, on_wall=True),
    _item("plant", "others", (4.7, 3.7, 0.5), (0.5, 0.5, 1.0), "green leaf round", **CORNER),
    _item("stool", "others", (2.5, 1.9, 0.25), (0.4, 0.4, 0.5), "purple plastic round"),
)


@pytest.fixture(scope="session")
def bedroom() -> Room:
    """5 x 4 m; objectIds are positions in ITEMS."""
    return Room(
        seed=0,
        scene_type="Bedroom / Hotel",
        size=(5.0, 4.0, 2.6),
        wall_color="white",
        floor_color="brown",
        floor_material="wood",
        furnishings=tuple(Furnishing(object_id=i, **item) for i, item in enumerate(ITEMS)),
    )
