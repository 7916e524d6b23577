from __future__ import annotations

import numpy as np

from askscan.geometry.cameras import look_at, project, top_down_camera
from askscan.geometry.meshes import BOX_EDGES
from askscan.render.draw import PREDICTED, Caption, DrawnBox, draw, with_captions
from askscan.render.pictures import Picture

GREEN, BLUE = (20, 130, 40), (31, 90, 200)
SIGNS = np.array([(1, 1, 1), (1, -1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, -1), (1, -1, -1), (-1, -1, -1), (-1, 1, -1)])
CORNERS = SIGNS * np.array([0.5, 0.25, 0.4]) + np.array([0.2, -0.1, 0.5])


def blank(size: int = 200) -> Picture:
    camera = top_down_camera(np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]]), size)
    return Picture(image=np.full((size, size, 3), 120, np.uint8), camera=camera)


def where(picture: Picture, color: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((picture.image == color).all(axis=2))


def test_edges_join_corners_that_differ_along_one_axis() -> None:
    assert len(set(BOX_EDGES)) == 12
    assert all((SIGNS[a] != SIGNS[b]).sum() == 1 for a, b in BOX_EDGES)


def test_a_box_is_drawn_on_its_projected_corners() -> None:
    picture = blank()
    drawn = draw(picture, [DrawnBox(corners=CORNERS)])
    pixels, _ = project(picture.camera, CORNERS)
    painted = where(drawn, PREDICTED)[:, ::-1]
    np.testing.assert_allclose(painted.min(axis=0), pixels.min(axis=0), atol=2.0)
    np.testing.assert_allclose(painted.max(axis=0), pixels.max(axis=0), atol=2.0)
    middle = pixels.mean(axis=0).astype(int)
    assert (drawn.image[middle[1], middle[0]] == 120).all(), "the inside stays visible"
    assert (picture.image == 120).all(), "the picture that came in is not written to"


def test_labels_stay_inside_the_picture() -> None:
    at_the_top = CORNERS + np.array([0.0, 0.85, 0.0])
    drawn = draw(blank(), [DrawnBox(corners=at_the_top, label="table 0.87")])
    plain = draw(blank(), [DrawnBox(corners=at_the_top)])
    more = len(where(drawn, PREDICTED)) - len(where(plain, PREDICTED))
    assert more > 150 and len(where(drawn, (255, 255, 255))) > 20


def test_labels_of_boxes_at_one_place_stand_beside_one_another() -> None:
    colors = (PREDICTED, GREEN, BLUE)
    boxes = [DrawnBox(corners=CORNERS, label="table", color=color) for color in colors]
    alone, together = (draw(blank(), [box]) for box in boxes), draw(blank(), boxes)
    plates = [where(picture, box.color) for picture, box in zip(alone, boxes, strict=True)]
    assert len({tuple(plate.min(axis=0)) for plate in plates}) == 1, "each would be at the same place"
    for color in colors:
        assert len(where(together, color)) > 200, "no plate covers another"
    rows = [where(together, color)[:, 0].min() for color in colors]
    assert rows[0] > rows[1] > rows[2], "one above the other"


def test_boxes_behind_and_across_the_camera_do_not_break_the_drawing() -> None:
    camera = look_at(np.array([0.0, 0.0, 0.5]), np.array([0.0, 3.0, 0.5]), field_of_view_rad=1.2, width=80, height=60)
    picture = Picture(image=np.zeros((60, 80, 3), np.uint8), camera=camera)
    behind = DrawnBox(corners=SIGNS * 0.3 + np.array([0.0, -2.0, 0.5]), label="behind")
    assert not len(where(draw(picture, [behind]), PREDICTED))
    across = DrawnBox(corners=SIGNS * np.array([0.3, 1.5, 0.3]) + np.array([0.0, 0.5, 0.5]), label="across")
    assert len(where(draw(picture, [across]), PREDICTED)) > 20


def test_captions_lie_below_the_picture_beside_their_colours() -> None:
    image = blank(160).image
    short = Caption(color=PREDICTED, title="Where is it?", text="there (90%)")
    long = Caption(color=GREEN, title="What is between the bed and the " + "x" * 60 + " on it?", text="chair (1%)")
    one, both = with_captions(image, [short]), with_captions(image, [short, long])
    for captioned in (one, both):
        assert (captioned[:160] == image).all() and captioned.shape[1] == 160
        below = captioned[160:]
        assert ((below < 100).all(axis=2)).any(), "text"
        assert (below[:, -4:] == 255).all(), "nothing is cut off at the right"
    assert len(both) - len(one) > 2 * (len(one) - 160), "long lines take more of them"
    rows = [np.flatnonzero((both == color).all(axis=2).any(axis=1)) for color in (PREDICTED, GREEN)]
    assert 160 < rows[0].min() <= rows[0].max() < rows[1].min()
    assert with_captions(image, []).shape[0] < 180
