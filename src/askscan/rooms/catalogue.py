"""What can stand in a generated room: kinds with their class, finishes and shapes; colour prototypes; materials."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

COLORS = MappingProxyType(
    {
        "white": (246, 245, 243),
        "black": (26, 26, 28),
        "gray": (124, 125, 127),
        "brown": (116, 70, 38),
        "beige": (214, 178, 118),
        "red": (188, 32, 34),
        "blue": (38, 78, 172),
        "green": (46, 128, 58),
        "yellow": (232, 200, 46),
        "orange": (232, 118, 28),
        "purple": (118, 58, 152),
        "pink": (236, 118, 164),
    }
)
"""Mean RGB of each colour name: far enough apart to stay nameable under shading and noise."""

MATERIALS = (
    "wood",
    "metal",
    "plastic",
    "fabric",
    "leather",
    "glass",
    "ceramic",
    "stone",
    "paper",
    "cardboard",
    "wicker",
    "leaf",
    "paint",
)
"""Surfaces that `scanner_color.texture` can draw. `leaf` and `paint` are never asked about as a material."""

BRIGHT = ("red", "blue", "green", "yellow", "orange", "purple", "pink")
ALL = tuple(COLORS)

WOOD = ("wood", ("brown", "beige", "black", "white"))
METAL = ("metal", ("gray", "black", "white"))
PAINTED_METAL = ("metal", ("gray", "black", "white", "blue", "red", "green", "beige"))
PLASTIC = ("plastic", ("white", "black", "gray", *BRIGHT))
FABRIC = ("fabric", ALL)
LEATHER = ("leather", ("black", "brown", "white", "red", "beige"))
CERAMIC = ("ceramic", ("white", "beige", "pink", "green"))
STONE = ("stone", ("gray", "black", "white", "beige"))
LACQUER = ("wood", ("brown", "beige", "white", "black", "gray", "blue", "green", "red"))

DARK, GLOSS, STEEL = ("black", "plastic"), ("black", "glass"), ("gray", "metal")
"""Colour and material of what is the same on most pieces: feet, screens, handles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A raw label of furniture and how its pieces may look."""

    name: str
    class_name: str
    """One of `askscan.shapes.CLASS_NAMES`."""
    nyu40_id: int
    nyu40_class: str
    finishes: tuple[tuple[str, tuple[str, ...]], ...]
    """Material and the colours that it comes in."""
    shapes: tuple[str, ...] = ("rectangular",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a piece looks like: the words that language uses and geometry obeys."""

    color: str
    material: str
    shape: str

    @property
    def paint(self) -> tuple[str, str]:
        """Colour and material."""
        return self.color, self.material


# nyu40 ids and class names as ScanNet's label table has them.
_NYU = MappingProxyType(
    {
        3: "cabinet", 4: "bed", 5: "chair", 6: "sofa", 7: "table", 8: "door", 9: "window", 10: "bookshelf",
        11: "picture", 12: "counter", 14: "desk", 15: "shelves", 16: "curtain", 17: "dresser", 18: "pillow",
        19: "mirror", 23: "books", 24: "refrigerator", 25: "television", 27: "towel", 28: "shower curtain",
        29: "box", 30: "whiteboard", 32: "night stand", 33: "toilet", 34: "sink", 35: "lamp", 36: "bathtub",
        37: "bag", 38: "otherstructure", 39: "otherfurniture", 40: "otherprop",
    }
)  # fmt: skip
_NAMED = frozenset((3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36))

STRUCTURE = MappingProxyType({"wall": (1, "wall"), "floor": (2, "floor"), "ceiling": (22, "ceiling")})
"""Raw label -> nyu40 id and class of what is annotated but is no object."""

_RECT = ("rectangular",)
_ROWS: tuple[tuple[str, int, tuple[tuple[str, tuple[str, ...]], ...], tuple[str, ...]], ...] = (
    ("cabinet", 3, (LACQUER, PAINTED_METAL), _RECT),
    ("kitchen cabinet", 3, (LACQUER,), _RECT),
    ("file cabinet", 3, (PAINTED_METAL,), _RECT),
    ("bed", 4, (FABRIC,), _RECT),
    ("chair", 5, (WOOD, PLASTIC, FABRIC, LEATHER), ("square", "round")),
    ("office chair", 5, (FABRIC, LEATHER), ("square", "round")),
    ("armchair", 5, (FABRIC, LEATHER), ("square", "round")),
    ("couch", 6, (FABRIC, LEATHER), ("rectangular", "l-shaped")),
    ("table", 7, (WOOD, LACQUER, PLASTIC, ("stone", ("white", "gray"))), ("rectangular", "square", "round", "oval")),
    ("coffee table", 7, (WOOD, METAL, STONE, LACQUER), ("rectangular", "square", "round", "oval")),
    ("end table", 7, (WOOD, METAL, LACQUER), ("square", "round")),
    ("door", 8, (LACQUER, PAINTED_METAL), _RECT),
    ("window", 9, (("glass", ("white",)),), ("rectangular", "square")),
    ("bookshelf", 10, (LACQUER, METAL), _RECT),
    ("picture", 11, (("paper", ALL),), ("rectangular", "square", "round")),
    ("counter", 12, (STONE, WOOD), ("rectangular", "l-shaped")),
    ("kitchen counter", 12, (STONE, WOOD), _RECT),
    ("desk", 14, (WOOD, LACQUER, METAL), ("rectangular", "l-shaped")),
    ("curtain", 16, (FABRIC,), _RECT),
    ("refrigerator", 24, (("metal", ("white", "gray", "black", "red", "blue")),), _RECT),
    ("shower curtain", 28, (("fabric", ALL), PLASTIC), _RECT),
    ("toilet", 33, (CERAMIC,), ("oval", "round")),
    ("sink", 34, (CERAMIC, ("metal", ("gray",))), ("rectangular", "round", "oval")),
    ("bathtub", 36, (CERAMIC,), ("rectangular", "oval")),
    ("nightstand", 32, (WOOD, LACQUER), ("square",)),
    ("dresser", 17, (WOOD, LACQUER), _RECT),
    ("wardrobe", 39, (LACQUER,), _RECT),
    ("shelf", 15, (WOOD, METAL, PLASTIC), _RECT),
    ("stool", 40, (WOOD, PLASTIC, PAINTED_METAL), ("round", "square")),
    ("ottoman", 39, (FABRIC, LEATHER), ("square", "round", "rectangular")),
    ("bench", 39, (WOOD, PAINTED_METAL, LEATHER), _RECT),
    ("lamp", 35, (FABRIC, PAINTED_METAL), ("round", "square")),
    ("trash can", 39, (PLASTIC, METAL), ("round", "square", "rectangular")),
    ("pillow", 18, (FABRIC,), ("rectangular", "square", "round")),
    ("monitor", 40, (("plastic", ("black",)),), _RECT),
    ("keyboard", 40, (("plastic", ("black", "white", "gray")),), _RECT),
    ("laptop", 40, (("metal", ("gray", "black", "white")),), _RECT),
    ("printer", 40, (("plastic", ("white", "gray", "black")),), _RECT),
    ("tv", 25, (("plastic", ("black",)),), _RECT),
    ("whiteboard", 30, (("plastic", ("white",)),), _RECT),
    ("blackboard", 30, (("stone", ("black", "green")),), _RECT),
    ("mirror", 19, (("glass", ("white",)),), ("rectangular", "round", "oval")),
    ("clock", 40, (PLASTIC,), ("round", "square")),
    ("radiator", 39, (("metal", ("white", "gray")),), _RECT),
    ("towel", 27, (FABRIC,), _RECT),
    ("box", 29, (("cardboard", ("brown", "beige")), PLASTIC), ("rectangular", "square")),
    ("plant", 40, (("leaf", ("green",)),), ("round",)),
    ("backpack", 40, (FABRIC,), ("",)),
    ("suitcase", 40, (PLASTIC, FABRIC), _RECT),
    ("bag", 37, (("paper", ("brown", "white", "beige")), FABRIC), _RECT),
    ("books", 23, (("paper", ("red", "blue", "green", "brown", "black", "white", "orange")),), _RECT),
    ("bucket", 40, (PLASTIC, METAL), ("round",)),
    ("laundry basket", 40, (PLASTIC, ("wicker", ("beige", "brown"))), ("rectangular", "round")),
    ("washing machine", 39, (("metal", ("white", "gray", "black")),), _RECT),
    ("clothes dryer", 39, (("metal", ("white", "gray", "black")),), _RECT),
    ("ironing board", 39, (FABRIC,), ("",)),
    ("microwave", 40, (("metal", ("white", "gray", "black")),), _RECT),
    ("stove", 38, (("metal", ("white", "gray", "black")),), _RECT),
    ("toilet paper", 40, (("paper", ("white",)),), ("round",)),
    ("vase", 40, (("ceramic", ("white", "black", "blue", "red", "yellow", "green", "purple")),), ("round",)),
    ("ladder", 39, (METAL, ("wood", ("brown", "beige"))), ("",)),
    ("cart", 40, (PAINTED_METAL, PLASTIC), _RECT),
    ("piano", 39, (("wood", ("black", "brown", "white")),), _RECT),
)

KINDS = MappingProxyType(
    {
        name: Kind(
            name=name,
            class_name=_NYU[nyu] if nyu in _NAMED else "others",
            nyu40_id=nyu,
            nyu40_class=_NYU[nyu],
            finishes=finishes,
            shapes=shapes,
        )
        for name, nyu, finishes, shapes in _ROWS
    }
)
"""Every kind of object by its raw label."""


def pick_look(rng: np.random.Generator, kind: str, *, color: str = "", material: str = "", shape: str = "") -> Look:
    """Draw a look for a kind: every colour it comes in is equally likely; what is given is kept.

    Args:
        rng: Source of the draw.
        kind: Key of `KINDS`.
        color: Colour name to keep; one that the kind does not come in is kept all the same.
        material: Material to keep.
        shape: Shape word to keep.

    Returns:
        The look.
    """
    spec = KINDS[kind]
    finishes = [f for f in spec.finishes if not material or f[0] == material] or list(spec.finishes)
    colors = sorted({c for _, names in finishes for c in names})
    color = color or colors[rng.integers(len(colors))]
    fitting = sorted({name for name, names in finishes if color in names}) or [finishes[0][0]]
    material = material or fitting[rng.integers(len(fitting))]
    shape = shape or spec.shapes[rng.integers(len(spec.shapes))]
    return Look(color=color, material=material, shape=shape)
