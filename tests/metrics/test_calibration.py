import numpy as np
import pytest

from askscan.metrics.calibration import calibration


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    sure = np.ones(10)
    assert calibration(sure, np.ones(10, bool)).ece == 0
    assert calibration(sure, np.zeros(10, bool)).ece == 1


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


def test_nothing_is_an_empty_figure() -> None:
    empty = calibration(np.zeros(0), np.zeros(0, bool))
    assert empty.bins == () and empty.ece == 0
