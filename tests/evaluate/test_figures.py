from xml.etree import ElementTree

import numpy as np
import pytest

from askscan.evaluate import figures
from askscan.metrics.calibration import calibration


def drawn(html: str) -> ElementTree.Element:
    """The parsed figure: it must be well-formed."""
    return ElementTree.fromstring(html)


def test_curves_keep_their_ends_and_means():
    steps = np.arange(1, 1001, dtype=float)
    html = figures.curves("loss <1>", [figures.Series(color="#123456", x=steps.tolist(), y=(2000 - steps).tolist())])
    assert "loss &lt;1&gt;" in html
    line = drawn(html).find(".//polyline")
    assert line is not None
    points = np.array([[float(v) for v in pair.split(",")] for pair in line.get("points", "").split()])
    assert 100 < len(points) <= 240  # averaged in fives
    assert (np.diff(points[:, 0]) > 0).all()
    assert (np.diff(points[:, 1]) > 0).all()  # falling values run down the picture
    assert points.min() > 0
    assert (points.max(0) < (360, 220)).all()


def test_one_point_and_constants_can_be_drawn():
    assert drawn(figures.curves("x", [figures.Series(color="#000000", x=[5.0], y=[0.0])])).find(".//circle") is not None
    drawn(figures.curves("x", [figures.Series(color="#000000", x=[1.0, 2.0], y=[-3.0, -3.0])]))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-6), (0.0, 7.0), (-3.0, 4.0), (0.0, 123456.0), (99.0, 101.0)])
def test_ticks_are_round_and_inside(low: float, high: float):
    ticks = figures._ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_a_reliability_figure_has_a_dot_per_bin_on_its_place():
    found = calibration(np.array([0.9, 0.9, 0.1]), np.array([True, False, False]), num_bins=10)
    dots = drawn(figures.reliability("r", found.bins, "#000000")).findall(".//circle")
    assert len(dots) == 2
    low, high = dots
    assert float(low.get("cx", 0)) < float(high.get("cx", 0))
    assert float(low.get("cy", 0)) > float(high.get("cy", 0))  # a higher share is further up
    assert float(low.get("r", 0)) < float(high.get("r", 0))


def test_the_map_marks_types_alike_and_tells_many_apart():
    types = [f"type {i}" for i in range(20)]
    xy = np.stack([np.linspace(-1, 1, 20), np.linspace(1, -1, 20)], axis=1)
    svg = drawn(figures.scene_map("m", xy, types, types, types)).find("svg")
    assert svg is not None
    looks = [(mark.tag, mark.get("fill"), bool(mark.get("transform"))) for mark in list(svg)[1:]]
    assert len(set(looks)) == 20
    titles = [mark.findtext("title") for mark in list(svg)[1:]]
    assert titles[3] == "type 3: type 3"
    assert figures.type_legend(types).count("<svg") == 20


def test_bars_and_tables_escape_names():
    bar = figures.Bar(name="<run>", color="#000000", value=40.0, low=30.0, high=55.0)
    html = figures.bars([("a & b", [bar])])
    assert "&lt;run&gt;" in html
    assert "a &amp; b" in html
    assert 'left:30.0%;width:25.0%"' in html
    heat = figures.heat_table(["red"], ["red", "blue"], [[3, 1]])
    assert "rgba(0,114,178,0.53)" in heat  # the diagonal: right answers
    assert "rgba(213,94,0,0.23)" in heat
