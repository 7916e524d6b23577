from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from askscan.errors import DataError
from askscan.geometry.cameras import look_at, project
from askscan.render.pictures import Picture, camera_path, is_ours, load_camera, load_picture, save_picture, signature


def example() -> Picture:
    camera = look_at(np.array([0.1, 0.2, 1.6]), np.array([2.0, 1.0, 0.4]), field_of_view_rad=1.1, width=24, height=16)
    return Picture(image=np.full((16, 24, 3), (200, 100, 50), np.uint8), camera=camera)


@pytest.mark.parametrize("name", ["room.jpg", "room.v2.png"])
def test_a_saved_picture_comes_back_with_its_camera(tmp_path: Path, name: str) -> None:
    picture, path = example(), tmp_path / "new" / name
    save_picture(path, picture)
    again = load_picture(path)
    np.testing.assert_allclose(again.image, picture.image, atol=3)
    point = np.array([1.0, 0.5, 0.3])
    np.testing.assert_array_equal(project(again.camera, point)[0], project(picture.camera, point)[0])
    assert {p.name for p in path.parent.iterdir()} == {name, camera_path(path).name}


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "room.jpg"
    with pytest.raises(DataError, match=r"room\.camera\.json.*no camera"):
        load_camera(path)
    with pytest.raises(DataError, match="written as"):
        save_picture(tmp_path / "room.xyz", example())
    save_picture(path, example())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"room\.jpg: not a readable picture"):
        load_picture(path)
    for damage in ("{", "[]", '{"width": 3}', '{"world_to_camera": [1], "focal": 1, "width": 1, "height": 1}'):
        camera_path(path).write_text(damage)
        with pytest.raises(DataError, match="not a camera file"):
            load_camera(path)


def test_a_picture_of_another_size_than_its_camera_is_refused(tmp_path: Path) -> None:
    path, picture = tmp_path / "room.png", example()
    save_picture(path, Picture(image=picture.image[:8], camera=picture.camera))
    with pytest.raises(DataError, match="24x8 pixels, but its camera says 24x16"):
        load_picture(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_our_pictures_are_known_from_others(tmp_path: Path, name: str) -> None:
    image, path = Image.fromarray(example().image), tmp_path / name
    image.save(path)
    assert not is_ours(path)
    image.save(path, exif=signature())
    assert is_ours(path)
    for content in (b"", b"a holiday", path.read_bytes()[:30]):
        path.write_bytes(content)
        assert not is_ours(path)
    assert not is_ours(tmp_path)
