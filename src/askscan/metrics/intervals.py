"""Confidence intervals of shares: bootstrap over scenes, since the questions of one scene are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from askscan.metrics.answers import Share

RESAMPLES = 1000
LEVEL = 95.0
"""Per cent of the resamples inside the interval."""


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
    tail = (100 - LEVEL) / 2
    low, high = np.nanpercentile(shares, (tail, 100 - tail), axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
