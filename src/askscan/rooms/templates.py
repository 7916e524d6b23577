"""The question families: how each is phrased, and how many of it a room is asked on average.

Slots: `ref` and `other` are unique noun phrases, `Ref` the same with a capital; `noun`, `nouns` and `a_noun` a kind;
`where` a place phrase such as `next to the bed`; `color` a colour name; `parts` countable parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAMILIES: dict[str, tuple[float, str]] = {
    # colour
    "color_of": (
        6.0,
        "What color is {ref}? | What is the color of {ref}? | What color does {ref} have? | "
        "What color would you say {ref} is?",
    ),
    "color_placed": (
        5.0,
        "What color is the {noun} {where}? | What is the color of the {noun} {where}? | "
        "What color is the {noun} that is {where}? | What color does the {noun} {where} have?",
    ),
    "color_all": (
        2.0,
        "What color are the {nouns}? | What color are all the {nouns} in the room? | What color do the {nouns} have?",
    ),
    # number
    "count_kind": (
        3.0,
        "How many {nouns} are there? | How many {nouns} are in the room? | "
        "How many {nouns} can be seen in this room? | How many {nouns} does this room have?",
    ),
    "count_color": (
        1.2,
        "How many {color} {nouns} are there? | How many of the {nouns} are {color}? | "
        "How many {nouns} in the room are {color}?",
    ),
    "count_at": (
        1.0,
        "How many {nouns} are at {ref}? | How many {nouns} belong to {ref}? | How many {nouns} stand around {ref}?",
    ),
    "count_on": (
        0.8,
        "How many {nouns} are on {ref}? | How many {nouns} lie or stand on {ref}? | "
        "How many {nouns} are there on {ref}?",
    ),
    "count_wall": (
        0.6,
        "How many {nouns} are against the wall? | How many {nouns} stand against a wall? | "
        "How many of the {nouns} are placed against the walls?",
    ),
    "count_parts": (
        1.2,
        "How many {parts} does {ref} have? | How many {parts} are there in {ref}? | "
        "How many {parts} can be counted on {ref}?",
    ),
    # place
    "where_on": (
        2.6,
        "Where is {ref}? | Where is {ref} placed? | Where has {ref} been put? | Where can {ref} be found?",
    ),
    "where_stands": (
        3.4,
        "Where is {ref} located? | Where would you find {ref}? | Where in the room is {ref}? | "
        "Where can you find {ref}?",
    ),
    "where_hangs": (1.0, "Where is {ref} hanging? | Where does {ref} hang? | Where on the wall is {ref}?"),
    # object nature
    "shape_of": (
        3.0,
        "What shape is {ref}? | What shape does {ref} have? | What shape would you say {ref} is? | "
        "What shape has {ref} got?",
    ),
    "type_placed": (
        0.8,
        "What type of {noun} is {where}? | What kind of {noun} is {where}? | What type of {noun} can be seen {where}?",
    ),
    "kind_placed": (
        2.0,
        "What kind of object is {where}? | What type of object is {where}? | "
        "What kind of thing can be seen {where}? | What type of thing is placed {where}?",
    ),
    "kind_colored": (
        1.2,
        "What kind of object in the room is {color}? | What type of object has the color {color}? | "
        "What kind of thing here is {color}?",
    ),
    "material_type": (
        1.2,
        "What type of material is {ref} made of? | What kind of material is {ref} made of? | "
        "What kind of material has been used for {ref}?",
    ),
    # object
    "what_next": (
        1.6,
        "What is next to {ref}? | What is right beside {ref}? | What is located next to {ref}? | "
        "What is standing beside {ref}?",
    ),
    "what_on": (
        1.6,
        "What is on {ref}? | What is on top of {ref}? | What is placed on {ref}? | What is sitting on {ref}?",
    ),
    "what_under": (0.8, "What is under {ref}? | What is underneath {ref}? | What is placed under {ref}?"),
    "what_above": (1.2, "What is above {ref}? | What is hanging above {ref}? | What is on the wall above {ref}?"),
    "what_below": (1.0, "What is below {ref}? | What is right under {ref}? | What is standing below {ref}?"),
    "what_between": (
        0.6,
        "What is between {ref} and {other}? | What is standing between {ref} and {other}? | "
        "What is in between {ref} and {other}?",
    ),
    "what_corner": (
        0.7,
        "What is in the corner? | What is in the corner of the room? | What is standing in a corner of this room?",
    ),
    "what_middle": (
        0.6,
        "What is in the middle of the room? | What is in the center of the room? | "
        "What is standing in the middle of this room?",
    ),
    "what_colored": (
        1.4,
        "What is the {color} object in the room? | What is {color} in this room? | What is the thing that is {color}?",
    ),
    "what_colored_placed": (
        1.4,
        "What is the {color} object {where}? | What is the {color} thing {where}? | What is {color} and {where}?",
    ),
    "what_facing": (0.7, "What is {ref} facing? | What is {ref} turned towards? | What is {ref} looking at?"),
    "what_extreme": (
        0.7,
        "What is the {most} object that stands on the floor? | What is the {most} thing standing on the floor? | "
        "What is the {most} of the things on the floor?",
    ),
    # other
    "next_to_what": (
        0.9,
        "{Ref} is next to what? | Which object is next to {ref}? | What can be found next to {ref}? | "
        "{Ref} stands beside what?",
    ),
    "on_what": (
        1.0,
        "{Ref} is on what? | What does {ref} stand or lie on? | On which object is {ref}? | On top of what is {ref}?",
    ),
    "holds_what": (0.8, "What can be seen on {ref}? | What has been put on {ref}? | Which object is on top of {ref}?"),
    "above_what": (0.7, "{Ref} is above what? | What does {ref} hang above? | Above which object is {ref}?"),
    "corner_what": (
        0.5,
        "Which object is in the corner? | What stands in the corner of the room? | Which thing stands in a corner?",
    ),
    "material_of": (
        0.9,
        "What material is {ref} made of? | Which material is {ref} made from? | Of what material is {ref}?",
    ),
    "side_of": (
        0.3,
        "When you stand in front of {ref} facing it, on which side of it is {other}? | "
        "Standing in front of {ref} and looking at it, to which side of it is {other}? | "
        "If you face {ref} from the front, on what side of it is {other}?",
    ),
    "view_what": (
        0.4,
        "When you stand in front of {ref} facing it, what is to the {side} of it? | "
        "Standing in front of {ref} and looking at it, what do you see to the {side} of it? | "
        "If you face {ref} from the front, which object is on its {side} side?",
    ),
}
"""Form -> (questions a room, paraphrases with ` | ` between them). ScanQA's six types follow from the wording."""

OPEN_FORMS = frozenset({"sit_closer"})
"""Forms whose answer is one of two things that the question itself names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A question that could be asked of a room, before its wording is chosen."""

    form: str
    context: str
    """What the question gives away, such as the kind it mentions: answers are balanced within it."""
    answers: tuple[str, ...]
    targets: tuple[int, ...]
    """objectIds, the one asked about first."""
    slots: dict[str, str] = field(default_factory=dict)
    """What the templates are filled with."""
