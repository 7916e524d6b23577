"""How well the referred object is found: Acc@IoU (ScanRefer, Chen et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from askscan.metrics.answers import Share

IOU_THRESHOLDS = (0.25, 0.5)


@dataclass(slots=True)
class Localization:
    """Acc@0.25 and Acc@0.5, overall and by whether the target's class occurs once (unique) among the scene's boxes.

    >>> accuracy = Localization()
    >>> accuracy.add(0.3, unique=True)
    >>> accuracy.add(0.6, unique=False)
    >>> accuracy.compute()["Acc@0.25"], accuracy.compute()["Acc@0.5 unique"]
    (100.0, 0.0)
    """

    _shares: dict[str, Share] = field(default_factory=dict)

    def add(self, iou: float | Sequence[float], *, unique: bool | None) -> None:
        """Count one question.

        Args:
            iou: Of its predicted box with the target's; or of several, one of which is drawn at random: what counts is
                the chance of a hit.
            unique: See above; None: overall only.
        """
        groups = ("",) if unique is None else ("", " unique" if unique else " multiple")
        for threshold in IOU_THRESHOLDS:
            hit = float(np.mean(np.asarray(iou) >= threshold))
            for name in groups:
                self._shares.setdefault(f"Acc@{threshold}{name}", Share()).add(hit)

    @property
    def shares(self) -> dict[str, Share]:
        """Every figure with its counts, in a fixed order; groups that never occurred are left out."""
        names = [f"Acc@{t}{group}" for group in ("", " unique", " multiple") for t in IOU_THRESHOLDS]
        return {name: self._shares[name] for name in names if name in self._shares}

    def compute(self) -> dict[str, float]:
        """Figures x100."""
        return {name: share.percent for name, share in self.shares.items()}
