from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from askscan.bench.report import cells, page
from askscan.bench.results import Report, Result, guarded
from askscan.bench.run import run_bench
from askscan.bench.timing import Ceilings, timing_of
from askscan.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("bench") / "found.json"
    found = run_bench(CPU, quick=True, json=path)
    assert Report.load(path) == found
    return found


def test_everything_is_measured(report: Report):
    assert [row.error for row in report.results if row.error] == []
    names = [row.name for row in report.results]
    for part in ("pre-training step", "QA training", "backbone forward +", "batch", "NMS", "farthest", "ball", "sa4"):
        assert any(part in name for name in names), part
    assert all(row.times["askscan"].median_ms > 0 for row in report.results)
    assert {"device", "commit", "torch", "python"} <= report.environment.keys()


def test_kernels_and_reference_train_alike(report: Report):
    checked = [row.losses for row in report.results if row.losses]
    assert len(checked) == 2
    for losses in checked:
        assert losses["askscan"] == pytest.approx(losses["reference"], rel=1e-4)


def test_shares_are_shares(report: Report):
    for row in report.results:
        for share in (row.memory_share, row.arithmetic_share):
            assert share is None or 0 < share < 1.5, row.name


def test_figures_reach_the_page(report: Report):
    text = page(report, "found.json")
    assert report.environment["commit"] in text
    assert all(f"| {row.name} |" in text for row in report.results)


def test_a_goal_is_met_or_missed():
    row = Result(name="x", suite="ops", times={"askscan": timing_of([3.0])}, goal_ms=2.0, published_ms=20.0)
    assert cells(row)[1:4] == ["20.0 ms", "<= 2 ms missed", "3.00 ms"]
    fast = Result(name="x", suite="ops", times={"askscan": timing_of([1.5])}, goal_ms=2.0)
    assert cells(fast)[2] == "<= 2 ms met"


def test_what_fails_is_a_row_that_says_so():
    def fail() -> list[Result]:
        raise RuntimeError("no memory")

    (row,) = guarded("a step", "steps", fail)
    assert row.error.startswith("RuntimeError in test_run.py:")
    assert "no memory" in cells(row)[3]


def test_a_file_that_is_no_report_is_refused(tmp_path: Path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"results": 3}))
    with pytest.raises(DataError, match=r"other\.json: not what"):
        Report.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        Report.load(tmp_path / "none.json")
    limits = Ceilings(bytes_per_s=1.0, flops={"float32": 1.0})
    Report(environment={}, ceilings=limits, quick=True).save(path)
    assert Report.load(path).ceilings == limits
