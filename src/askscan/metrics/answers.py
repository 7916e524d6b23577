"""Exact match of answers, overall and by question type (ScanQA, Azuma et al. 2022; refined: Huang et al. 2024)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

QUESTION_TYPES = ("place", "number", "color", "object nature", "object", "other")
FIRST_WORDS = ("what", "is", "how", "can", "which", "other")
"""SQA3D's kinds of questions (Ma et al. 2023)."""

_TYPE_PHRASES = (
    ("place", ("Where",)),
    ("number", ("How many",)),
    ("color", ("What color", "What is the color")),
    ("object nature", ("What shape", "What type", "What kind")),
    ("object", ("What is",)),
)
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ARTICLES = frozenset(("a", "an", "the"))


def question_type(question: str) -> str:
    """Type of a ScanQA question by the phrases of its raw text, tested in a fixed order.

    >>> [question_type(q) for q in ("What is the color of the bed?", "What is on the bed?", "Is it on the bed?")]
    ['color', 'object', 'other']
    """
    for name, phrases in _TYPE_PHRASES:
        if any(phrase in question for phrase in phrases):
            return name
    return "other"


def first_word(question: str) -> str:
    """Kind of an SQA3D question: its first word.

    >>> first_word("Which direction should I go?"), first_word("Am I facing the bed?")
    ('which', 'other')
    """
    word = re.match(r"\W*(\w*)", question.lower())
    return word[1] if word is not None and word[1] in FIRST_WORDS else "other"


def refine(answer: str) -> str:
    """Lower case, without articles and punctuation, number words as digits, single spaces.

    >>> refine("The two  chairs.")
    '2 chairs'
    """
    words = re.sub(r"[^\w\s]", " ", answer.lower()).split()
    digits = {word: str(i) for i, word in enumerate(_NUMBER_WORDS)}
    return " ".join(digits.get(word, word) for word in words if word not in _ARTICLES)


def refined_match(answer: str, truth: str) -> bool:
    """Equal after refinement, or one holds the other's words as a whole.

    >>> refined_match("brown chair", "a brown chair"), refined_match("2", "12"), refined_match("2", "two chairs")
    (True, False, True)
    """
    a, b = (f" {refine(text)} " for text in (answer, truth))
    return a == b or (bool(a.strip()) and bool(b.strip()) and (a in b or b in a))


@dataclass(slots=True)
class Share:
    """A share of counted cases."""

    hits: int | float = 0
    count: int = 0

    def add(self, hit: bool | float) -> None:
        """Count one case: whether it is a hit, or the chance of it."""
        self.hits += hit
        self.count += 1

    @property
    def percent(self) -> float:
        """x100; 0 of nothing is 0."""
        return 100.0 * self.hits / self.count if self.count else 0.0


@dataclass(slots=True)
class ExactMatch:
    """EM@1, EM@10, the refined EM@1, and EM@1 by question type, over questions added one at a time.

    >>> scores = ExactMatch(vocabulary={"brown", "black"})
    >>> scores.add("What color is the bed?", ["brown", "black"], ["black"])
    >>> scores.add("What color is the desk?", ["black", "brown"], ["dark blue"])
    >>> {name: value for name, value in scores.compute().items() if "answerable" in name or name == "EM@10"}
    {'EM@10': 50.0, 'EM@1 answerable': 0.0, 'EM@10 answerable': 100.0}
    """

    vocabulary: Collection[str] | None = None
    """Answers of the training split; None: the answerable-only figures are left out."""
    type_of: Callable[[str], str] = question_type
    """Sorts questions: `question_type`, or `first_word` for SQA3D."""
    ranked: bool = True
    """Whether the system ranks several answers; if not, EM@10 is left out. If it does, all its questions count."""
    _shares: dict[str, Share] = field(default_factory=dict)

    def add(self, question: str, answers: Sequence[str], truth: Sequence[str]) -> None:
        """Count one question: answers best first, at most ten, against the right ones."""
        top1 = answers[0] in truth
        top10 = any(answer in truth for answer in answers[:10])
        self._count("EM@1", top1)
        self._count(f"EM@1 {self.type_of(question)}", top1)
        self._count("EM@1 refined", any(refined_match(answers[0], right) for right in truth))
        if self.ranked:
            self._count("EM@10", top10)
        if self.vocabulary is not None and any(right in self.vocabulary for right in truth):
            self._count("EM@1 answerable", top1)
            if self.ranked:
                self._count("EM@10 answerable", top10)

    @property
    def shares(self) -> dict[str, Share]:
        """Every figure with its counts, in a fixed order; types that never occurred are left out."""
        order = ["EM@1", "EM@10", "EM@1 refined", "EM@1 answerable", "EM@10 answerable"]
        order += [f"EM@1 {name}" for name in dict.fromkeys((*QUESTION_TYPES[:-1], *FIRST_WORDS))]
        return {name: self._shares[name] for name in order if name in self._shares}

    def compute(self) -> dict[str, float]:
        """Figures x100."""
        return {name: share.percent for name, share in self.shares.items()}

    def _count(self, name: str, hit: bool) -> None:
        self._shares.setdefault(name, Share()).add(hit)
