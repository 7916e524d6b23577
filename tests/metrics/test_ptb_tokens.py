"""Against the tokens of the Java program: kept ones of odd strings, fresh ones (slow) of everything else."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.metrics.odd_strings import FILE, NUM_STRINGS, java_tokens, odd_strings

from askscan.metrics.ptb_tokens import tokenize
from askscan.rooms import questions, sentences, situations
from askscan.rooms.catalogue import KINDS
from askscan.rooms.layout import plan_room

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs java")


def real_texts(folder: Path) -> list[str]:
    texts = []
    for path in sorted((folder / "scanqa").glob("*.json")):
        for question in json.loads(path.read_text()):
            texts += [question["question"], *question.get("answers", [])]
    for path in sorted((folder / "sqa3d").glob("*_questions_*.json")):
        for question in json.loads(path.read_text())["questions"]:
            texts += [question["situation"], *question["alternative_situation"], question["question"]]
    for path in sorted((folder / "sqa3d").glob("*_annotations_*.json")):
        for annotation in json.loads(path.read_text())["annotations"]:
            texts += [answer["answer"] for answer in annotation["answers"]]
    return list(dict.fromkeys(" ".join(text.splitlines()) for text in texts))


def room_texts(seeds: range) -> list[str]:
    texts = []
    for seed in seeds:
        room, rng = plan_room(seed).room, np.random.default_rng(seed)
        for question in questions.ask(room, rng):
            texts += [question.text, *question.answers]
        for situation in situations.ask(room, rng):
            texts += [situation.text, *situation.alternatives, situation.question, situation.answer]
        texts += [sentence.text for sentence in sentences.describe(room, rng)]
    return list(dict.fromkeys(texts))


def differing(texts: list[str], tokens: list[str]) -> list[tuple[str, str, str]]:
    return [(text, token, tokenize(text)) for text, token in zip(texts, tokens, strict=True) if tokenize(text) != token]


def test_odd_strings() -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert len(kept) == NUM_STRINGS
    wrong = differing(list(kept), list(kept.values()))
    assert len(wrong) < 0.01 * NUM_STRINGS, wrong[:5]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ""),
        (" \t\n ", ""),
        ("Don't go, it's the U.S.A.!", "do n't go it 's the u.s.a."),
        ("left\nright", "left right"),
        ("a" * 5000, "a" * 5000),
        ("?!" * 3, "?!?!?!"),
        ("(chair) [bed]", "-lrb- chair -rrb- -lsb- bed -rsb-"),
    ],
)
def test_by_hand(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens


def test_plain_texts_of_rooms_are_split_at_spaces_and_marks() -> None:
    for text in room_texts(range(3)):
        plain = re.sub(r"'(s|re)\b", r" '\1", re.sub(r"[.,?!:;\"]", " ", text.lower()))
        assert tokenize(text).split() == plain.split(), text


@pytest.mark.slow
@needs_java
def test_real_texts(real_data: Path) -> None:
    texts = real_texts(real_data)
    assert len(texts) > 20_000
    assert differing(texts, java_tokens(texts)) == []


@pytest.mark.slow
@needs_java
def test_texts_of_rooms() -> None:
    texts = room_texts(range(40))
    assert differing(texts, java_tokens(texts)) == []


@pytest.mark.slow
@needs_java
def test_every_answer_of_rooms() -> None:
    """Those of many rooms, and each with every kind of object in the place of its own."""
    answers = set()
    for seed in range(100):
        room, rng = plan_room(seed).room, np.random.default_rng(seed)
        answers |= {answer for question in questions.ask(room, rng) for answer in question.answers}
        answers |= {situation.answer for situation in situations.ask(room, rng)}
    longest_first = "|".join(sorted(map(re.escape, KINDS), key=len, reverse=True))
    forms = {re.sub(rf"\b({longest_first})\b", "{}", answer) for answer in answers}
    texts = sorted({form.format(kind) for form in forms for kind in KINDS} | answers)
    assert len(texts) > 300
    assert differing(texts, java_tokens(texts)) == []


@pytest.mark.slow
@needs_java
def test_other_odd_strings() -> None:
    texts = odd_strings(5000, seed=1)
    assert len(differing(texts, java_tokens(texts, alone=True))) < 50
