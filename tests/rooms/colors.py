"""What a colour is called."""

import numpy as np

from askscan.rooms.catalogue import COLORS


def nearest_color(rgb: np.ndarray) -> str:
    """Name of the prototype that is nearest in RGB."""
    names, prototypes = list(COLORS), np.array(list(COLORS.values()), float)
    return names[int(np.linalg.norm(prototypes - rgb, axis=1).argmin())]
