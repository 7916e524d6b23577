"""How far confidence can be trusted: reliability bins and expected calibration error (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from askscan.metrics.intervals import drawn_groups, span, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of about the same confidence."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean, in [0, 1]."""
    accuracy: float
    """Share that is right, in [0, 1]."""
    interval: tuple[float, float]
    """Wilson's, of the accuracy, as if its answers were independent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Reliability of a system's confidence."""

    bins: tuple[Bin, ...]
    """Those that hold answers, from low to high confidence."""
    ece: float
    """Mean difference of confidence and accuracy, bins weighted by their answers; in [0, 1]."""


def calibration(confidence: Float[ndarray, "q"], right: Bool[ndarray, "q"], *, num_bins: int = 15) -> Calibration:
    """Bins of equal width over [0, 1].

    >>> round(calibration(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, True]), num_bins=2).ece, 3)
    0.25
    """
    edges, row = np.linspace(0, 1, num_bins + 1), _bin_of(confidence, num_bins)
    bins = tuple(
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
            interval=wilson(int(right[inside].sum()), int(inside.sum())),
        )
        for i in range(num_bins)
        if (inside := row == i).any()
    )
    gaps = sum(b.count * abs(b.confidence - b.accuracy) for b in bins)
    return Calibration(bins=bins, ece=gaps / max(1, len(confidence)))


def ece_interval(
    confidence: Float[ndarray, "q"], right: Bool[ndarray, "q"], rooms: Sequence[str], *, num_bins: int = 15
) -> tuple[float, float]:
    """95 % interval of `Calibration.ece` by bootstrap over rooms: answers about one room are not independent.

    Differences by chance add up and never cancel, so resamples have on average somewhat more than the sample itself.

    >>> ece_interval(np.array([0.75, 0.75]), np.array([True, True]), ["a", "b"])
    (0.25, 0.25)
    """
    names, room = np.unique(rooms, return_inverse=True)
    gaps = np.zeros((len(names), num_bins))
    np.add.at(gaps, (room, _bin_of(confidence, num_bins)), confidence - right)
    drawn = drawn_groups(len(names))
    return span(np.abs(drawn @ gaps).sum(1) / (drawn @ np.bincount(room)))


def _bin_of(confidence: Float[ndarray, "q"], num_bins: int) -> Int[ndarray, "q"]:
    return np.digitize(confidence, np.linspace(0, 1, num_bins + 1)[1:-1])
