"""Confidence intervals of shares: bootstrap over scenes, since the questions of one scene are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from askscan.metrics.answers import Share

RESAMPLES = 1000
LEVEL = 95.0
"""Per cent of the resamples inside the interval."""
_NORMAL = NormalDist().inv_cdf((100 + LEVEL) / 200)
_ENDS = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)


def drawn_groups(num_groups: int, *, seed: int | tuple[int, ...] = 0) -> Int[ndarray, "resamples groups"]:
    """How often each resample has each group."""
    chances = np.full(num_groups, 1 / num_groups)
    return np.random.default_rng(seed).multinomial(num_groups, chances, size=RESAMPLES)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """(low, high) of the chance of a hit, in [0, 1], from independent cases (Wilson 1927); sound near 0 and 1 too.

    >>> tuple(round(end, 3) for end in wilson(8, 10))
    (0.49, 0.943)
    """
    z2 = _NORMAL**2 / count
    share = hits / count
    middle, half = share + z2 / 2, (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    low, high = (middle - half) / (1 + z2), (middle + half) / (1 + z2)
    return 0.0 if hits == 0 else low, 1.0 if hits == count else high  # exactly, not but for rounding


def share_intervals(groups: Sequence[Mapping[str, Share]], *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """(low, high) x100 of each share by resampling whole groups with replacement.

    Resamples without a case of a share (a rare question type) are left out for it.

    Args:
        groups: Shares of each scene by name; a name may be missing where a scene has no such case.
        seed: Of the resampling.

    >>> share_intervals([{"EM@1": Share(hits=1, count=2)}, {"EM@1": Share(hits=1, count=2)}])
    {'EM@1': (50.0, 50.0)}
    """
    names = list(dict.fromkeys(name for group in groups for name in group))
    empty = Share()
    hits = np.array([[group.get(name, empty).hits for name in names] for group in groups], np.float64)
    counts = np.array([[group.get(name, empty).count for name in names] for group in groups], np.float64)
    if not names:
        return {}
    drawn = drawn_groups(len(groups), seed=seed)
    total = drawn @ counts
    shares = np.divide(100 * (drawn @ hits), total, out=np.full(total.shape, np.nan), where=total > 0)
    low, high = np.nanpercentile(shares, _ENDS, axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def resampled_shares(
    hits: Float[ndarray, "runs groups"], counts: Float[ndarray, "groups"], *, seed: int = 0
) -> Float[ndarray, "resamples"]:
    """Shares x100 of several runs on the same groups; runs and groups are drawn at once (Owen 2007).

    All calls with the same number of groups draw the same groups, so that the difference of two results is paired over
    them.

    Args:
        hits: Of each run (another seed of the same training) in each group.
        counts: Cases of each group.
        seed: Of the drawing of runs; give each system its own.

    >>> resampled_shares(np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([2.0, 4.0]))[:3]
    array([50., 50., 50.])
    """
    num_runs, num_groups = hits.shape
    groups, runs = drawn_groups(num_groups), drawn_groups(num_runs, seed=(1, seed))
    return 100 * np.einsum("rs,sg,rg->r", runs, hits, groups) / (num_runs * (groups @ counts))


def span(resamples: Float[ndarray, "resamples"]) -> tuple[float, float]:
    """Ends of the interval that holds `LEVEL` per cent of the resamples."""
    low, high = np.percentile(resamples, _ENDS)
    return float(low), float(high)
