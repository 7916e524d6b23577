"""Confidence intervals of shares: bootstrap over scenes, since the questions of one scene are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from askscan.metrics.answers import Share

RESAMPLES = 1000
LEVEL = 95.0
"""Per cent of the resamples inside the interval."""
_ENDS = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)


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
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=RESAMPLES)
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
    groups = np.random.default_rng(0).multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=RESAMPLES)
    runs = np.random.default_rng((1, seed)).multinomial(num_runs, np.full(num_runs, 1 / num_runs), size=RESAMPLES)
    return 100 * np.einsum("rs,sg,rg->r", runs, hits, groups) / (num_runs * (groups @ counts))


def span(resamples: Float[ndarray, "resamples"]) -> tuple[float, float]:
    """Ends of the interval that holds `LEVEL` per cent of the resamples."""
    low, high = np.percentile(resamples, _ENDS)
    return float(low), float(high)
