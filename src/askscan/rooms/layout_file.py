"""Rooms from a file: labelled boxes in a small JSON become a plan that can be scanned.

The file is a list of boxes, or an object `{"boxes": [...], "room_size": [w, d, h], "scene_type": "Office"}`:

    [{"kind": "table", "center": [1.5, 2.0, 0.37], "size": [0.8, 1.4, 0.74], "heading": 0.0, "color": "brown"}, ...]

Metres, z up, floor at z = 0. `size` is along the box's own front (depth), left (width) and up; `heading` (optional,
radians) is where the front looks to, counted from x towards y; `color` and `material` are optional. With `room_size`
the corner of the room is the origin; without, the room is as large as the boxes ask for. A kind that is not in the
catalogue becomes a plain solid of class `others` that keeps its label.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.errors import DataError
from askscan.rooms.catalogue import COLORS, KINDS, MATERIALS, STRUCTURE, Look, pick_look
from askscan.rooms.furniture import Piece, Vec, build, fit, soft
from askscan.rooms.layout import Placed, Plan, describe
from askscan.rooms.room import Room

MAX_BOXES = 120
_MAX_SIZE_M = 20.0
_MARGIN_M = 0.4
_ON_WALL = frozenset(
    ("door", "window", "curtain", "picture", "mirror", "whiteboard", "blackboard", "clock", "towel", "toilet paper")
)
_ALSO = MappingProxyType(
    {
        "sofa": "couch",
        "night stand": "nightstand",
        "fridge": "refrigerator",
        "television": "tv",
        "bin": "trash can",
        "dining table": "table",
        "side table": "end table",
        "closet": "wardrobe",
        "shelves": "shelf",
        "cushion": "pillow",
        "washer": "washing machine",
        "dryer": "clothes dryer",
        "carton": "box",
        "painting": "picture",
    }
)
"""Other people's names of kinds in the catalogue."""


def read_layout(path: Path, seed: int) -> Plan:
    """Read a layout and build its pieces; their proportions inside the boxes derive from the seed.

    Args:
        path: The JSON file.
        seed: Of everything that the file leaves open.

    Returns:
        The plan, in which boxes may overlap as the file has them.

    Raises:
        DataError: The file is missing, no JSON, or a box is not as described above; the message names the box.
    """
    try:
        top = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a JSON list of boxes.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error}).") from error
    head = top if isinstance(top, dict) else {"boxes": top}
    boxes = head.get("boxes")
    if not isinstance(boxes, list) or not 0 < len(boxes) <= MAX_BOXES:
        raise DataError(f"{path}: expected a list of 1 to {MAX_BOXES} boxes, or an object with such a list as `boxes`.")
    rng = np.random.default_rng([seed, 7])
    placed = [_placed(f"{path}: box {i}", box, rng) for i, box in enumerate(boxes)]
    size, placed = _fit_room(path, head.get("room_size"), placed)
    return _plan(seed, _scene_type(path, head), size, placed)


def _scene_type(path: Path, head: dict[str, Any]) -> str:
    scene_type = head.get("scene_type", "Misc.")
    if not isinstance(scene_type, str) or not scene_type.isprintable() or len(scene_type) > 80:
        raise DataError(f"{path}: `scene_type` should be a short text such as 'Office', got {scene_type!r:.60}.")
    return scene_type


def _vector(where: str, box: dict[str, Any], key: str, low: float) -> Vec:
    value = box.get(key)
    numbers = [v for v in value if type(v) in (int, float)] if isinstance(value, list) else []
    if len(numbers) != 3 or len(value or ()) != 3 or not all(low < v < 1e6 for v in numbers):
        raise DataError(f"{where}: `{key}` should be three numbers in metres, got {value!r:.60}.")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _word(where: str, box: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = box.get(key, "")
    if value and value not in known:
        raise DataError(f"{where}: `{key}` should be one of {', '.join(known)}, got {value!r:.40}.")
    return str(value)


def _placed(where: str, box: Any, rng: np.random.Generator) -> Placed:
    """One piece, stretched to its box."""
    if not isinstance(box, dict):
        raise DataError(f"{where}: expected an object with kind, center and size, got {box!r:.60}.")
    label = box.get("kind")
    if not isinstance(label, str) or not label.strip().isprintable() or not 0 < len(label.strip()) <= 60:
        raise DataError(f"{where}: `kind` should be a label such as 'chair', got {label!r:.60}.")
    kind = label.strip().lower().replace("_", " ")
    kind = _ALSO.get(kind, kind)
    if kind in STRUCTURE:
        raise DataError(f"{where}: {kind!r} is built from the room's size; leave such boxes out.")
    center, size = _vector(where, box, "center", -1e6), _vector(where, box, "size", 0.0)
    if max(size) > _MAX_SIZE_M or min(size) < 0.005:
        raise DataError(f"{where}: sizes from 0.005 to {_MAX_SIZE_M:.0f} m can be built, got {size}; are these metres?")
    heading = box.get("heading", 0.0)
    if type(heading) not in (int, float) or not abs(heading) < 1e6:
        raise DataError(f"{where}: `heading` should be an angle in radians, got {heading!r:.40}.")
    color = _word(where, box, "color", tuple(COLORS))
    material = _word(where, box, "material", MATERIALS)
    piece = fit(_piece(rng, kind, color, material), size)
    at = (center[0], center[1], center[2] - size[2] / 2)
    return Placed(piece=piece, position=at, heading_rad=float(heading), on_wall=kind in _ON_WALL)


def _piece(rng: np.random.Generator, kind: str, color: str, material: str) -> Piece:
    """A piece of the catalogue, or a plain solid with the label."""
    if kind in KINDS:
        return build(rng, kind, pick_look(rng, kind, color=color, material=material))
    look = Look(color=color or "gray", material=material or "plastic", shape="rectangular")
    body = soft("body", (0.0, 0.0, 0.5), (1.0, 1.0, 1.0), look.paint, 0.03)
    return Piece(kind=kind, look=look, parts=(body,))


def _fit_room(path: Path, given: Any, placed: list[Placed]) -> tuple[Vec, list[Placed]]:
    """The room's size, and the pieces moved so that its corner is the origin."""
    hulls = np.concatenate([p.hulls() for p in placed])
    low, high = hulls[:, 0].min(0), hulls[:, 1].max(0)
    if given is None:
        # Hung and standing pieces at the border keep touching the wall when something there hangs.
        margin = 0.0 if any(p.on_wall for p in placed) else _MARGIN_M
        shift = np.array([margin - low[0], margin - low[1], 0.0])
        extent = high - low
        size = (float(extent[0]) + 2 * margin, float(extent[1]) + 2 * margin, max(2.5, float(high[2]) + 0.1))
        moved = [_moved(p, shift) for p in placed]
    else:
        size, moved = _vector(f"{path}: the room", {"room_size": given}, "room_size", 1.0), placed
        if (low < -0.05).any() or (high > np.array(size) + 0.05).any():
            raise DataError(
                f"{path}: the boxes reach from {low.round(2).tolist()} to {high.round(2).tolist()}, beyond `room_size` "
                f"{list(size)} with its corner at the origin; leave `room_size` out or move the boxes."
            )
    if max(size) > 3 * _MAX_SIZE_M or min(size) < 1.0 or low[2] < -0.05:
        raise DataError(
            f"{path}: rooms from 1 to {3 * _MAX_SIZE_M:.0f} m with the floor at z = 0 can be built, this one is "
            f"{[round(s, 2) for s in size]} with its lowest box at {low[2]:.2f}."
        )
    return size, moved


def _moved(placed: Placed, shift: Float[ndarray, "3"]) -> Placed:
    return replace(placed, position=tuple((np.array(placed.position) + shift).tolist()))


def _plan(seed: int, scene_type: str, size: Vec, placed: list[Placed]) -> Plan:
    """The plan with what stands on what found from the boxes."""
    hulls = [p.hulls() for p in placed]
    spans = [(h[:, 0].min(0), h[:, 1].max(0)) for h in hulls]

    def carrier(i: int) -> int | None:
        low, high = spans[i]
        middle = (low + high)[:2] / 2
        for j, (other_low, other_high) in enumerate(spans):
            tops = hulls[j][:, 1, 2]
            inside = (middle > other_low[:2]).all() and (middle < other_high[:2]).all()
            if j != i and inside and low[2] > 0.1 and np.abs(tops - low[2]).min() < 0.05:
                return j
        return None

    supported = [p if p.on_wall else replace(p, support=carrier(i)) for i, p in enumerate(placed)]
    room = Room(
        seed=seed,
        scene_type=scene_type,
        size=size,
        wall_color="white",
        floor_color="beige",
        floor_material="wood",
        furnishings=tuple(describe(i, p, h, size) for i, (p, h) in enumerate(zip(supported, hulls, strict=True))),
    )
    return Plan(room=room, placed=tuple(supported))
