import numpy as np

from askscan.rooms.layout import plan_room
from askscan.rooms.references import find
from askscan.rooms.room import Room
from askscan.rooms.sentences import describe, facts, named, pick
from askscan.rooms.words import tokens


def test_every_description_fits_its_object_alone(bedroom: Room) -> None:
    rng = np.random.default_rng(0)
    rooms = [bedroom, *(plan_room(seed).room for seed in range(3))]
    described = 0
    for room in rooms:
        finder = find(room)
        for i in range(len(room.furnishings)):
            known = tuple(facts(finder, i))
            assert all(fact.fits[i] for fact in known)
            chosen = pick(finder, i, known, rng)
            if chosen is not None:
                described += 1
                fits = np.logical_and.reduce([named(finder, i), *(fact.fits for fact in chosen)])
                assert np.flatnonzero(fits).tolist() == [i]
    assert described > 0.8 * sum(len(room.furnishings) for room in rooms)


def test_colour_words_are_true(bedroom: Room) -> None:
    """An oracle of its own: a colour said right before a kind is the colour of an object of that kind."""
    looks = {(f.color, f.kind) for f in bedroom.furnishings}
    colors, kinds = {c for c, _ in looks}, {k for _, k in looks}
    for sentence in describe(bedroom, np.random.default_rng(1)):
        for color in colors:
            for kind in kinds:
                if f" {color} {kind}" in sentence.text:
                    assert (color, kind) in looks, sentence.text


def test_form_of_sentences(bedroom: Room) -> None:
    sentences = describe(bedroom, np.random.default_rng(2))
    assert len(sentences) >= 30
    assert len({(s.object_id, s.text) for s in sentences}) == len(sentences)
    for sentence in sentences:
        assert sentence.text == sentence.text.lower() and sentence.text.endswith(".")
        assert sentence.token == tokens(sentence.text) and " ".join(sentence.token).count(" .") >= 1
        assert bedroom.furnishings[sentence.object_id].kind in sentence.text
        assert "{" not in sentence.text


def test_same_generator_same_sentences(bedroom: Room) -> None:
    first, second = (describe(bedroom, np.random.default_rng(3)) for _ in range(2))
    assert first == second != describe(bedroom, np.random.default_rng(4))
