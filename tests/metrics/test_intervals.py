import numpy as np
import pytest

from askscan.metrics.answers import Share
from askscan.metrics.intervals import resampled_shares, share_intervals, span, wilson


def scenes(num_scenes: int, size: int, share: float, seed: int = 0) -> list[dict[str, Share]]:
    rng = np.random.default_rng(seed)
    return [{"EM@1": Share(hits=int(rng.binomial(size, share)), count=size)} for _ in range(num_scenes)]


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        low, high = share_intervals(scenes(60, 20, 0.4, seed), seed=seed)["EM@1"]
        covered += low <= 40 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_wilsons_interval_is_where_the_normal_test_is_undecided() -> None:
    for hits, count in ((0, 7), (3, 7), (7, 7), (90, 120)):
        low, high = wilson(hits, count)
        for p in {low, high} - {0.0, 1.0}:
            assert abs(hits / count - p) == pytest.approx(1.959964 * np.sqrt(p * (1 - p) / count), rel=1e-5)
        assert 0 <= low <= hits / count <= high <= 1


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


def test_runs_and_groups_are_drawn_at_once() -> None:
    # Against the variance of Owen's bootstrap where one of the two does not vary, and of both together.
    counts = np.full(40, 10.0)
    by_group = np.tile(np.repeat([2.0, 8.0], 20), (3, 1))
    by_run = np.repeat([[2.0], [5.0], [8.0]], 40, axis=1)
    spread = [resampled_shares(hits, counts).std() for hits in (by_group, by_run, by_group + by_run - 5)]
    assert spread[0] == pytest.approx(30 / np.sqrt(40), rel=0.1)
    assert spread[1] == pytest.approx(np.std([20, 50, 80]) / np.sqrt(3), rel=0.1)
    assert spread[2] == pytest.approx(np.hypot(*spread[:2]), rel=0.1)
    # The weights of groups are their counts, as in the plain share.
    uneven = np.array([1.0, 30.0] * 20)
    assert resampled_shares(0.5 * uneven[None], uneven) == pytest.approx(np.full(1000, 50.0))


def test_differences_are_paired_over_groups_and_runs_are_not() -> None:
    rng = np.random.default_rng(0)
    counts = np.full(60, 20.0)
    hits = rng.binomial(20, rng.uniform(0.1, 0.9, 60)).astype(float)[None]
    better = hits + 1
    low, high = span(resampled_shares(better, counts, seed=1) - resampled_shares(hits, counts))
    assert low == pytest.approx(5) and high == pytest.approx(5)
    low, high = span(resampled_shares(hits, counts))
    assert high - low > 5
    runs = rng.normal(10, 3, (3, 1)) + np.zeros((3, 60))
    assert np.ptp(resampled_shares(runs, counts, seed=1) - resampled_shares(runs, counts, seed=2)) > 1
