import numpy as np
import pytest

from askscan.metrics.answers import Share
from askscan.metrics.intervals import share_intervals


def scenes(num_scenes: int, size: int, share: float, seed: int = 0) -> list[dict[str, Share]]:
    rng = np.random.default_rng(seed)
    return [{"EM@1": Share(hits=int(rng.binomial(size, share)), count=size)} for _ in range(num_scenes)]


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        low, high = share_intervals(scenes(60, 20, 0.4, seed), seed=seed)["EM@1"]
        covered += low <= 40 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_as_wide_as_the_spread_of_scenes_not_of_questions() -> None:
    alike = [{"EM@1": Share(hits=50, count=100)} for _ in range(40)]
    unlike = [{"EM@1": Share(hits=100 * (i % 2), count=100)} for i in range(40)]
    assert share_intervals(alike)["EM@1"] == (50, 50)
    low, high = share_intervals(unlike)["EM@1"]
    assert high - low == pytest.approx(2 * 1.96 * 50 / np.sqrt(40), rel=0.1)


def test_same_seed_same_interval_and_names_need_not_be_everywhere() -> None:
    groups = [*scenes(10, 5, 0.5), {"EM@1 place": Share(hits=1, count=1)}]
    found = share_intervals(groups, seed=3)
    assert found == share_intervals(groups, seed=3)
    assert found["EM@1 place"] == (100, 100)
    assert share_intervals([{}]) == {}
