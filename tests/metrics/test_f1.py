import pytest

from askscan.metrics.f1 import best_f1, find_lemmatizer


def singular(word: str) -> str:
    return word.removesuffix("s")


@pytest.mark.parametrize(
    ("answer", "truths", "f1"),
    [
        ("brown", ["black", "brown"], 1.0),
        ("Brown", ["brown"], 0.0),  # case is kept
        ("two chairs", ["chair"], 2 / 3),
        ("chair chair", ["chair"], 1.0),  # membership, not counts
        ("on the desk", ["under the bed", "the desk"], 0.8),
        ("", ["chair"], 0.0),
        ("", [""], 1.0),
        ("chair", [], 0.0),
    ],
)
def test_by_hand(answer: str, truths: list[str], f1: float) -> None:
    assert best_f1(answer, truths, singular) == pytest.approx(f1)


def test_the_lemmatizer_gives_noun_lemmas_where_wordnet_is() -> None:
    lemma = find_lemmatizer()
    if lemma is None:
        pytest.skip("no WordNet")
    assert [lemma(word) for word in ("chairs", "shelves", "brown")] == ["chair", "shelf", "brown"]
