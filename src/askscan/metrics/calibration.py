"""How far confidence can be trusted: reliability bins and expected calibration error (Guo et al., ICML 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


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
    edges = np.linspace(0, 1, num_bins + 1)
    row = np.clip(np.digitize(confidence, edges[1:-1]), 0, num_bins - 1)
    bins = tuple(
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for i in range(num_bins)
        if (inside := row == i).any()
    )
    gaps = sum(b.count * abs(b.confidence - b.accuracy) for b in bins)
    return Calibration(bins=bins, ece=gaps / max(1, len(confidence)))
