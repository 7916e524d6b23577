"""A language map as a picture: the room from above, once per phrase, its objects coloured by their similarity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from askscan.evaluate.language_map import LanguageMap
from askscan.files import replacing
from askscan.geometry.cameras import camera_center, project
from askscan.records import Scan
from askscan.render.pictures import Picture, signature
from askscan.render.topdown import top_down

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 3
_SIZE = 560
"""Pixels of the room's picture."""
_PANEL_IN = (4.6, 4.3)
_DPI = 130
_BEST = "#d62728"
_FILL = 0.35
"""Opacity of boxes: what lies in them is still to be seen."""
_NEAR_M = 0.5
"""What reaches higher than this below the camera is drawn up to there."""


def write_language_map(path: Path, scan: Scan, found: LanguageMap) -> None:
    """Write `draw_language_map` as .png or .jpg."""
    kind = "png" if path.suffix.lower() == ".png" else "jpeg"
    with replacing(path) as temporary:
        draw_language_map(scan, found).savefig(temporary, format=kind, dpi=_DPI, pil_kwargs={"exif": signature()})


def draw_language_map(scan: Scan, found: LanguageMap) -> Figure:
    """A panel per phrase with a colour bar from its least to its most similar object; that one has a red outline."""
    from matplotlib.figure import Figure

    picture = top_down(scan.mesh, size=_SIZE)
    columns = min(len(found.phrases), MAX_COLUMNS)
    rows = math.ceil(len(found.phrases) / columns)
    figure = Figure(figsize=(columns * _PANEL_IN[0], rows * _PANEL_IN[1]), layout="constrained")
    for i in range(len(found.phrases)):
        _draw_panel(figure, figure.add_subplot(rows, columns, i + 1), picture, found, i)
    return figure


def _draw_panel(figure: Figure, axes: Axes, picture: Picture, found: LanguageMap, phrase: int) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Polygon
    from scipy.spatial import ConvexHull

    height, width = picture.image.shape[:2]
    axes.imshow(picture.image, extent=(0, width, height, 0), alpha=0.7)
    axes.set_axis_off()
    axes.set_title(found.phrases[phrase], parse_math=False)
    order = found.ranking(phrase)[::-1]
    corners = found.aligned_corners.astype(np.float64)
    corners[..., 2] = np.minimum(corners[..., 2], camera_center(picture.camera)[2] - _NEAR_M)
    pixels = project(picture.camera, corners)[0]
    # Joggled (QJ): a box may be flat.
    outlines = [pixels[k][ConvexHull(pixels[k], qhull_options="QJ").vertices] for k in order]
    shade = ScalarMappable(cmap="viridis")
    shade.set_array(found.similarity[phrase, order])
    edges = shade.to_rgba(found.similarity[phrase, order])
    faces = edges * (1, 1, 1, _FILL)
    axes.add_collection(PatchCollection(map(Polygon, outlines), facecolor=faces, edgecolor=edges, linewidth=2))
    axes.add_patch(Polygon(outlines[-1], fill=False, edgecolor=_BEST, linewidth=3))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    figure.colorbar(shade, ax=axes, shrink=0.85, label="cosine")
