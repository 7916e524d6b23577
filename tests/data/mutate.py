"""Seeded damage to files: bytes flipped, cut out, doubled; numbers and words of the text changed."""

from __future__ import annotations

import re

import numpy as np

WORDS = (
    b"-1",
    b"0",
    b"1e400",
    b"nan",
    b"99999999999999",
    b"null",
    b'"x"',
    b"[]",
    b"{}",
    b"\xff",
    b"uint",
    b"",
    b"4294967295",
)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One or two changes; many of them to a whole number or word, so that they reach behind the parser."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2])):
        if not out:
            break
        at = int(rng.integers(len(out)))
        match rng.integers(7):
            case 0 | 1:
                out[at] = rng.integers(256)
            case 2:
                del out[at:]
            case 3:
                del out[at : at + int(rng.integers(1, 40))]
            case 4:
                out[at:at] = out[at : at + int(rng.integers(1, 40))]
            case _:
                words = list(re.finditer(rb"[\w.+-]+", bytes(out[:4000])))
                if words:
                    word = words[rng.integers(len(words))]
                    out[word.start() : word.end()] = WORDS[rng.integers(len(WORDS))]
    return bytes(out)
