import pytest
from tests.fuzz.run import MAX_BYTES, MAX_SECONDS, MIN_SHARE_READ, fuzz


def check(count: int, seed: int) -> None:
    outcome = fuzz(count, seed)
    print(f"\n{outcome}")
    assert outcome.count == count
    assert not outcome.faults, str(outcome)
    assert outcome.read.total() >= MIN_SHARE_READ * count
    assert outcome.slowest_s < MAX_SECONDS
    assert outcome.most_bytes < MAX_BYTES


def test_damaged_files_are_read_or_refused() -> None:
    check(400, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_thousands_of_damaged_files_are_read_or_refused(seed: int) -> None:
    check(4000, seed)
