"""Token F1 of answers, in the manner of the public ScanQA scorer: noun lemmas, membership instead of counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Lemma = Callable[[str], str]


def best_f1(answer: str, truths: Sequence[str], lemma: Lemma) -> float:
    """The best F1 over the right answers, in [0, 1]. Case is kept; an exact match is 1.

    >>> round(best_f1("brown chairs", ["a brown chair", "chair"], lambda word: word.removesuffix("s")), 3)
    0.8
    """
    return max((_f1(answer, truth, lemma) for truth in truths), default=0.0)


def _f1(answer: str, truth: str, lemma: Lemma) -> float:
    if answer == truth:
        return 1.0
    found, right = ([lemma(word) for word in text.split()] for text in (answer, truth))
    if not found or not right:
        return 0.0
    precision = sum(word in right for word in found) / len(found)
    recall = sum(word in found for word in right) / len(right)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def find_lemmatizer() -> Lemma | None:
    """WordNet's noun lemmas through nltk; None where nltk or WordNet is not installed."""
    try:
        from nltk.corpus import wordnet
        from nltk.stem import WordNetLemmatizer

        wordnet.ensure_loaded()
    except (ImportError, LookupError):
        return None
    lemmatizer = WordNetLemmatizer()
    return lambda word: str(lemmatizer.lemmatize(word))
