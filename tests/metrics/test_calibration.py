import numpy as np
import pytest

from askscan.metrics.calibration import calibration, ece_interval


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    sure, rooms = np.ones(10), list("aaabbbcccd")
    for hit, error in ((True, 0), (False, 1)):
        right = np.full(10, hit)
        assert calibration(sure, right).ece == error
        assert ece_interval(sure, right, rooms) == (error, error)


def test_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    confidence = np.round(rng.random(500), 3)
    right = rng.random(500) < confidence**2
    found = calibration(confidence, right, num_bins=10)
    error = 0.0
    for i in range(10):
        rows = [j for j in range(500) if i / 10 <= confidence[j] < (i + 1) / 10 or (i == 9 and confidence[j] == 1)]
        error += abs(sum(confidence[j] for j in rows) - sum(right[j] for j in rows)) / 500
    assert found.ece == pytest.approx(error)
    assert sum(b.count for b in found.bins) == 500
    assert all(b.low <= b.confidence <= b.high for b in found.bins)
    assert all(b.interval[0] <= b.accuracy <= b.interval[1] for b in found.bins)


def test_the_interval_against_drawing_rooms_and_counting_anew() -> None:
    rng = np.random.default_rng(1)
    num_rooms, size = 40, 25
    sure = rng.random((num_rooms, size))
    right = rng.random((num_rooms, size)) < sure**2 * rng.uniform(0.6, 1.2, (num_rooms, 1))
    rooms = [f"room {i}" for i in range(num_rooms) for _ in range(size)]
    interval = ece_interval(sure.ravel(), right.ravel(), rooms)
    drawn = [rng.integers(0, num_rooms, num_rooms) for _ in range(400)]
    errors = [calibration(sure[rows].ravel(), right[rows].ravel()).ece for rows in drawn]
    np.testing.assert_allclose(interval, np.percentile(errors, [2.5, 97.5]), rtol=0.06)


def test_nothing_is_an_empty_figure() -> None:
    empty = calibration(np.zeros(0), np.zeros(0, bool))
    assert empty.bins == () and empty.ece == 0
