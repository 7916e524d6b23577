"""Boxes and their labels drawn on a picture through its camera; captions below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from askscan.geometry.cameras import project
from askscan.geometry.meshes import BOX_EDGES
from askscan.records import Camera
from askscan.render.pictures import Picture

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Color = tuple[int, int, int]

PREDICTED: Color = (214, 39, 40)

_NEAR_M = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box to draw."""

    corners: Float[ndarray, "8 3"]
    """Aligned metres, in the benchmark's order (upper four, then lower four)."""
    label: str = ""
    color: Color = PREDICTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """Two paragraphs below a picture about what is drawn in one colour."""

    color: Color
    title: str
    text: str


def draw(picture: Picture, boxes: Sequence[DrawnBox]) -> Picture:
    """A copy of a picture with boxes and their labels; what lies outside the picture is left out."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture.image).convert("RGB")
    canvas = ImageDraw.Draw(image)
    line = max(2, round(image.width / 220))
    for box in boxes:
        _draw_edges(canvas, picture.camera, box, line)
    # Labels last, so that no line crosses them.
    taken: list[tuple[float, float, float, float]] = []
    for box in boxes:
        _draw_label(canvas, picture.camera, box, taken)
    return replace(picture, image=np.array(image))


def with_captions(image: UInt8[ndarray, "h w 3"], captions: Sequence[Caption]) -> UInt8[ndarray, "hh w 3"]:
    """The image with captions below it, each beside a patch of its colour; long lines are wrapped."""
    from PIL import Image, ImageDraw, ImageFont

    width = image.shape[1]
    size = max(11, round(width / 38))
    left, gap = 2 * size, size // 2
    font = ImageFont.load_default(size=size)
    blocks = [
        [
            (line, ink)
            for text, ink in ((c.title, (90, 90, 90)), (c.text, (0, 0, 0)))
            for line in _wrap(font, text, width - left - gap)
        ]
        for c in captions
    ]
    line_height = round(1.3 * size)
    heights = [line_height * len(block) + gap for block in blocks]
    strip = Image.new("RGB", (width, sum(heights) + gap), (255, 255, 255))
    canvas, y = ImageDraw.Draw(strip), gap
    for caption, block, height in zip(captions, blocks, heights, strict=True):
        canvas.rectangle((gap, y + 2, gap + size - 2, y + height - gap - 2), fill=caption.color)
        for row, (line, ink) in enumerate(block):
            canvas.text((left, y + row * line_height), line, fill=ink, font=font)
        y += height
    return np.concatenate([image, np.array(strip)])


def _wrap(font: FreeTypeFont | ImageFont, text: str, width: int) -> list[str]:
    """Lines of whole words that fit; a word that is wider alone is cut."""
    lines = [""]
    for word in text.split():
        while font.getlength(word) > width:
            fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            lines += [word[:fits], ""]
            word = word[fits:]
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line] or [""]


def _draw_edges(canvas: ImageDraw, camera: Camera, box: DrawnBox, line: int) -> None:
    segments = [_clip(camera, box.corners[a], box.corners[b]) for a, b in BOX_EDGES]
    # A light rim keeps thin lines legible on any floor.
    for width, color in ((line + 2, (255, 255, 255)), (line, box.color)):
        for segment in segments:
            if segment is not None:
                canvas.line(segment, fill=color, width=width)


def _clip(camera: Camera, start: Float[ndarray, "3"], end: Float[ndarray, "3"]) -> list[tuple[float, float]] | None:
    """Pixels of a segment, cut where it passes behind a perspective camera; None where all of it is behind."""
    ends = np.stack([start, end]).astype(np.float64)
    depth = project(camera, ends)[1]
    if not camera.orthographic and depth.min() < _NEAR_M:
        if depth.max() <= _NEAR_M:
            return None
        near, far = int(depth.argmin()), int(depth.argmax())
        ends[near] += (ends[far] - ends[near]) * ((_NEAR_M - depth[near]) / (depth[far] - depth[near]))
    pixels = np.clip(project(camera, ends)[0], -1e4, 1e4)
    return [(float(x), float(y)) for x, y in pixels]


def _draw_label(
    canvas: ImageDraw, camera: Camera, box: DrawnBox, taken: list[tuple[float, float, float, float]]
) -> None:
    """The label on a plate above (or below) its box, inside the picture and, where it can be, beside no other.

    Its place is added to those `taken`.
    """
    from PIL import ImageFont

    pixels, _ = project(camera, box.corners.astype(np.float64))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not box.label or not len(pixels):
        return
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if (high < 0).any() or low[0] > camera.width or low[1] > camera.height:
        return
    font = ImageFont.load_default(size=max(11, round(camera.width / 30)))
    left, upper, right, lower = canvas.textbbox((0, 0), box.label, font=font)
    width, height = right - left + 6, lower - upper + 6
    x = float(np.clip((low[0] + high[0] - width) / 2, 0, max(camera.width - width, 0)))
    above, below, lowest = low[1] - height - 3, high[1] + 3, max(camera.height - height, 0)
    places = [above - k * height for k in range(3)] + [below + k * height for k in range(3)]
    inside = [float(y) for y in places if 0 <= y <= lowest] or [float(np.clip(below, 0, lowest))]

    def is_free(y: float) -> bool:
        return all(x >= x1 or x + width <= x0 or y >= y1 or y + height <= y0 for x0, y0, x1, y1 in taken)

    y = next(filter(is_free, inside), inside[0])
    taken.append((x, y, x + width, y + height))
    canvas.rectangle(taken[-1], fill=box.color)
    canvas.text((x + 3 - left, y + 3 - upper), box.label, fill=(255, 255, 255), font=font)
