"""Runs the CUDA kernels on the CPU: their text compiled by g++ against `emulator.h`, called like `nvrtc.launch`."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from torch import Tensor

from askscan.ops.cuda import ball_query, farthest_points, group, interpolate, nvrtc, spatial

MODULES = (ball_query, farthest_points, group, interpolate, spatial)


@cache
def _library(file: str, defines: tuple[tuple[str, object], ...]) -> ctypes.CDLL:
    text = nvrtc.source(file).replace("extern __shared__ int count[];", "int* count = (int*)dynamic_shared;")
    kernels = re.findall(r'extern "C" __global__ void\s*(?:__launch_bounds__\([^)]*\))?\s*(\w+)\(', text)
    assert kernels
    exports = "".join(
        f'extern "C" void run_{k}(int gx, int gy, int bx, int by, int shared, void** args) '
        f"{{ run_grid([](void** a) {{ invoke(&{k}, a); }}, gx, gy, bx, by, shared, args); }}\n"
        for k in kernels
    )
    folder = Path(tempfile.mkdtemp(prefix="askscan_emulator_"))
    (folder / "kernel.cpp").write_text(f'#include "emulator.h"\n{text}\n{exports}')
    flags = [f"-D{name}={value}" for name, value in defines]
    command = ["g++", "-std=c++17", "-O1", "-w", "-ffp-contract=off", "-fPIC", "-shared", *flags]
    subprocess.run(
        [*command, f"-I{Path(__file__).parent}", "-o", str(folder / "kernel.so"), str(folder / "kernel.cpp")],
        check=True,
    )
    library = ctypes.CDLL(str(folder / "kernel.so"))
    shutil.rmtree(folder)
    return library


def launch(file, name, grid, block, args, *, defines=None, shared=0):
    """Stands in for `nvrtc.launch` with tensors in host memory."""
    if 0 in grid:
        return
    assert all(arg.device.type == "cpu" and arg.is_contiguous() for arg in args if isinstance(arg, Tensor))
    values = [nvrtc._packed(arg) for arg in args]
    pointers = (ctypes.c_void_p * len(values))(*[ctypes.cast(ctypes.byref(v), ctypes.c_void_p) for v in values])
    getattr(_library(file, tuple((defines or {}).items())), f"run_{name}")(*grid, *block, shared, pointers)
