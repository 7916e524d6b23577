"""Words for kinds, colours, materials and shapes, and which of them people mix up."""

from __future__ import annotations

import re

from askscan.rooms.room import Furnishing

ALSO_CALLED = {
    "table": ("desk", "nightstand"),
    "end table": ("nightstand",),
    "nightstand": ("end table",),
    "desk": ("table",),
    "cabinet": ("dresser", "wardrobe", "nightstand"),
    "dresser": ("cabinet", "wardrobe", "nightstand"),
    "wardrobe": ("cabinet", "dresser"),
    "chair": ("stool",),
    "stool": ("chair", "ottoman"),
    "ottoman": ("stool",),
    "trash can": ("bucket", "laundry basket"),
    "bucket": ("trash can",),
    "laundry basket": ("trash can",),
    "monitor": ("tv", "laptop"),
    "tv": ("monitor",),
    "laptop": ("monitor",),
    "picture": ("mirror",),
    "bag": ("backpack",),
    "backpack": ("bag",),
    "bookshelf": ("shelf",),
    "washing machine": ("clothes dryer",),
    "clothes dryer": ("washing machine",),
    "whiteboard": ("blackboard",),
    "blackboard": ("whiteboard",),
}
"""Other kinds that somebody may call by this noun, beside those whose name ends with it (`office chair`: chair)."""

PLURAL_KINDS = frozenset({"books", "toilet paper"})
"""Kinds that take no article and are not counted."""

MATERIAL_ADJECTIVES = {
    "wood": "wooden",
    "metal": "metal",
    "plastic": "plastic",
    "fabric": "fabric",
    "leather": "leather",
    "glass": "glass",
}
"""Materials that show in a scan, as people put them before a noun."""

SHAPE_ANSWERS = {
    "rectangular": ("rectangular", "rectangle"),
    "square": ("square",),
    "round": ("round", "circular"),
    "oval": ("oval",),
    "l-shaped": ("l-shaped", "l shaped"),
}
"""Shapes that questions ask for, with what counts as right."""

COLOR_ANSWERS = {"gray": ("gray", "grey")}
"""Colours with a second spelling that counts as right."""

FLAT_OR_CLEAR = frozenset({"window", "mirror", "glass"})
"""What a scanner sees through or sees the room in: nobody is asked for its colour."""


def article(noun: str) -> str:
    """The noun with a or an.

    >>> article("armchair"), article("desk")
    ('an armchair', 'a desk')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural of a kind.

    >>> plural("bookshelf"), plural("box"), plural("trash can")
    ('bookshelves', 'boxes', 'trash cans')
    """
    if noun.endswith("shelf"):
        return noun[:-1] + "ves"
    if noun.endswith(("x", "ch", "sh", "s")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + "s"


def covers(noun: str, kind: str) -> bool:
    """Whether somebody who says the noun may mean an object of that kind.

    >>> covers("chair", "office chair"), covers("office chair", "chair"), covers("table", "desk")
    (True, False, True)
    """
    return kind.endswith(noun) or any(kind.endswith(other) for other in ALSO_CALLED.get(noun, ()))


def tokens(text: str) -> tuple[str, ...]:
    """Words and punctuation marks, as ScanRefer's `token` lists have them.

    >>> tokens("it is l-shaped, and white.")
    ('it', 'is', 'l-shaped', ',', 'and', 'white', '.')
    """
    return tuple(re.findall(r"[\w'-]+|[^\w\s]", text.lower()))


def has_clear_color(item: Furnishing) -> bool:
    """Whether a scan of a few centimetres shows the colour: large enough, and neither glass nor a mirror."""
    largest = sorted(item.size)[1:]
    return item.kind not in FLAT_OR_CLEAR and item.material not in FLAT_OR_CLEAR and min(largest) > 0.2
