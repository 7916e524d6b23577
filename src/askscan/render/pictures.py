"""A rendered picture with its camera, and their files: `<name>.jpg` and `<name>.camera.json` beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from askscan.errors import DataError
from askscan.files import replacing, write_json
from askscan.records import Camera

if TYPE_CHECKING:
    from PIL.Image import Exif

JPEG_QUALITY = 92
_SOFTWARE = 0x0131
"""Exif tag of the program that made a picture."""
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image and the camera that took it, so that pixels map to metres."""

    image: UInt8[ndarray, "h w 3"]
    camera: Camera


def camera_path(path: Path) -> Path:
    """Where the camera of a picture file is kept: `room.jpg` -> `room.camera.json`."""
    return path.with_name(f"{path.stem}.camera.json")


def save_picture(path: Path, picture: Picture) -> None:
    """Write a picture (format by its suffix) and its camera; the picture last, so that one never lacks its camera."""
    from PIL import Image

    if path.suffix.lower() not in _FORMATS:
        raise DataError(f"{path}: pictures are written as .jpg or .png, not {path.suffix or 'without a suffix'!r}")
    camera = picture.camera
    fields = {
        "world_to_camera": camera.world_to_camera.tolist(),
        "orthographic": camera.orthographic,
        "focal": camera.focal,
        "width": camera.width,
        "height": camera.height,
        "metres_per_pixel": 1.0 / camera.focal if camera.orthographic else None,
    }
    write_json(camera_path(path), fields, indent=1)
    with replacing(path) as part:
        Image.fromarray(picture.image).save(part, format=_FORMATS[path.suffix.lower()], quality=JPEG_QUALITY)


def load_camera(path: Path) -> Camera:
    """Read the camera of a picture file (or of its sidecar).

    Raises:
        DataError: the sidecar is missing or malformed.
    """
    sidecar = path if path.name.endswith(".camera.json") else camera_path(path)
    try:
        fields = json.loads(sidecar.read_text(encoding="utf-8"))
        matrix = np.array(fields["world_to_camera"], dtype=np.float64).reshape(4, 4)
        width, height, focal = int(fields["width"]), int(fields["height"]), float(fields["focal"])
        orthographic = bool(fields["orthographic"])
    except OSError as error:
        raise DataError(
            f"{sidecar}: no camera of this picture ({error.strerror}); delete the picture and render again"
        ) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{sidecar}: not a camera file ({error}); delete it and its picture and render again"
        ) from error
    return Camera(world_to_camera=matrix, orthographic=orthographic, focal=focal, width=width, height=height)


def load_image(path: Path) -> UInt8[ndarray, "h w 3"]:
    """Read a picture file, whoever made it.

    Raises:
        DataError: it is missing or malformed.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return np.array(opened.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture ({error}); delete it and render again") from error


def load_picture(path: Path) -> Picture:
    """Read a picture and its camera.

    Raises:
        DataError: one of the two files is missing or malformed, or they are of different sizes.
    """
    camera, image = load_camera(path), load_image(path)
    if image.shape[:2] != (camera.height, camera.width):
        raise DataError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels, but its camera says {camera.width}x{camera.height}; "
            "delete both and render again"
        )
    return Picture(image=image, camera=camera)


def signature() -> Exif:
    """Exif data that make a picture, .jpg or .png, known as ours."""
    from PIL import Image

    exif = Image.Exif()
    exif[_SOFTWARE] = "askscan"
    return exif


def is_ours(path: Path) -> bool:
    """Whether a file is a picture that was saved with `signature`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.getexif().get(_SOFTWARE) == "askscan"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # no picture, or one that is odd
        return False
