"""Every operation is tested in each implementation: plain torch, numba, CUDA kernels on the emulator and on a GPU."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from askscan import ops
from askscan.ops import dispatch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=["reference", "cpu", "emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Device to put inputs on, with one implementation chosen."""
    if request.param == "emulated":
        if not shutil.which("g++"):
            pytest.skip("needs g++")
        import emulate

        for module in emulate.MODULES:
            monkeypatch.setattr(module, "launch", emulate.launch)
        monkeypatch.setattr(dispatch, "_choose", lambda name, device, dtype: ("cuda", ""))
        yield torch.device("cpu")
    elif request.param == "reference":
        with ops.use("reference"):
            yield torch.device("cpu")
    else:
        yield torch.device("cuda" if request.param == "cuda" else "cpu")
