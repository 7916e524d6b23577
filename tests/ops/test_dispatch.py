import subprocess
import sys
import warnings

import pytest
import torch

from askscan import ops
from askscan.errors import ConfigError
from askscan.ops import dispatch

CPU = torch.device("cpu")


def chosen(name: str, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> str:
    return dispatch.implementation(name, device, dtype).__module__.split(".")[2]


def test_the_device_chooses() -> None:
    assert chosen("farthest_points") == "cpu"
    assert chosen("group") == "reference"


def test_forcing(monkeypatch: pytest.MonkeyPatch) -> None:
    with ops.use("reference"):
        assert chosen("ball_query") == "reference"
        with ops.use("cpu"):
            assert chosen("ball_query") == "cpu"
        assert chosen("ball_query") == "reference"
    monkeypatch.setenv("ASKSCAN_OPS", "reference")
    assert chosen("ball_query") == "reference"


def test_a_kernel_that_cannot_run_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        ops.use("cuda"),
        pytest.raises(ConfigError, match="cuda implementation was asked for, but the inputs are on cpu"),
    ):
        ops.farthest_points(torch.rand(1, 4, 3), 2)
    with pytest.raises(ConfigError, match="reference, cpu, cuda"), ops.use("fast"):
        pass
    monkeypatch.setenv("ASKSCAN_OPS", "quick")
    with pytest.raises(ConfigError, match="'quick'"):
        ops.farthest_points(torch.rand(1, 4, 3), 2)


def test_falling_back_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_said", set())
    monkeypatch.delenv("ASKSCAN_OPS", raising=False)
    with pytest.warns(UserWarning, match="no kernels for mps devices"):
        assert chosen("group", torch.device("mps")) == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen("ball_query", torch.device("mps")) == "reference"


def test_status_names_every_operation() -> None:
    rows = [row for row in ops.status() if row.device == "cpu"]
    assert {row.name: row.implementation for row in rows}["farthest_points"] == "cpu"
    assert {row.name for row in rows} == {*dispatch.OPS, "grouped_mlp"} and all(row.reason for row in rows)


def test_every_operation_exists_in_every_implementation() -> None:
    for choice in dispatch.IMPLEMENTATIONS:
        for name in dispatch.OPS:
            if choice != "cpu" or name not in dispatch._PLAIN_ON_CPU:
                assert callable(dispatch._function(choice, name))


def test_importing_compiles_and_loads_nothing() -> None:
    code = "import sys, askscan.ops; assert not {'numba', 'triton', 'scipy'} & set(sys.modules), 'imported too early'"
    subprocess.run([sys.executable, "-c", code], check=True)
