"""Compiles the `.cu` files beside this one at run time and launches their kernels on torch's current stream.

Only NVRTC (torch's CUDA wheels bring it) and the driver are used, both through ctypes: no compiler, no headers and no
further package at the user's. Kernels are compiled at their first use and kept in memory, so run an operation once
before capturing it in a CUDA graph.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

MIN_CAPABILITY = (8, 0)
"""Ampere: the warp reductions (`redux.sync`) need it."""

_DYNAMIC_SHARED_SIZE = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: above 48 KB a kernel has to ask."""

_lock = threading.Lock()
_kernels: dict[tuple[object, ...], ctypes.c_void_p] = {}


class KernelError(RuntimeError):
    """NVRTC or the driver refused something: a bug of ours or a broken installation."""


@cache
def why_not(device_index: int = 0) -> str | None:
    """Why kernels cannot run on this GPU; None when they can."""
    if not torch.cuda.is_available() or torch.version.cuda is None:
        return "torch sees no NVIDIA GPU"
    capability = torch.cuda.get_device_capability(device_index)
    if capability < MIN_CAPABILITY:
        return f"compute capability {capability[0]}.{capability[1]} is below 8.0 (Ampere)"
    try:
        _nvrtc(), _driver()
    except OSError as error:
        return f"a library does not load: {error}"
    return None


@cache
def _nvrtc() -> ctypes.CDLL:
    major = (torch.version.cuda or "0").split(".")[0]
    name = f"libnvrtc.so.{major}"
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    folders.append(Path(torch.__file__).parent / "lib")
    for folder in folders:
        for path in sorted(folder.rglob(name + "*")):
            return ctypes.CDLL(str(path))
    return ctypes.CDLL(name)


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _check_nvrtc(code: int, what: str, log: str = "") -> None:
    if code:
        describe = _nvrtc().nvrtcGetErrorString
        describe.restype = ctypes.c_char_p
        raise KernelError(f"NVRTC, {what}: {describe(code).decode()}{log}")


def _check(code: int, what: str) -> None:
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise KernelError(f"CUDA driver, {what}: error {code}, {(text.value or b'unknown').decode()}")


def _target(capability: tuple[int, int]) -> tuple[str, bool]:
    """Architecture to compile for, and whether that gives machine code (else PTX for a GPU newer than this NVRTC)."""
    nvrtc, count = _nvrtc(), ctypes.c_int()
    _check_nvrtc(nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)), "listing architectures")
    archs = (ctypes.c_int * count.value)()
    _check_nvrtc(nvrtc.nvrtcGetSupportedArchs(archs), "listing architectures")
    wanted = capability[0] * 10 + capability[1]
    if wanted in archs:
        return f"sm_{wanted}", True
    return f"compute_{max(arch for arch in archs if arch < wanted)}", False


def source(file: str) -> str:
    """Full text of a kernel file: the shared part, then the file."""
    folder = Path(__file__).parent
    return (folder / "common.cu").read_text() + (folder / f"{file}.cu").read_text()


def _compile(file: str, defines: Mapping[str, object], capability: tuple[int, int]) -> bytes:
    nvrtc, program = _nvrtc(), ctypes.c_void_p()
    arch, binary = _target(capability)
    text = source(file).encode()
    _check_nvrtc(
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, f"{file}.cu".encode(), 0, None, None),
        "creating a program",
    )
    # No fused multiply-add: squared distances round the same way on every device.
    options = [f"--gpu-architecture={arch}", "--std=c++17", "--fmad=false"]
    options += [f"--define-macro={name}={value}" for name, value in defines.items()]
    array = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    try:
        code = nvrtc.nvrtcCompileProgram(program, len(options), array)
        if code:
            _check_nvrtc(
                code, f"compiling {file}.cu with {dict(defines)}", "\n" + _fetch(program, "ProgramLog").decode()
            )
        return _fetch(program, "CUBIN" if binary else "PTX")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _fetch(program: ctypes.c_void_p, what: str) -> bytes:
    nvrtc, size = _nvrtc(), ctypes.c_size_t()
    _check_nvrtc(getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), f"reading the {what}")
    buffer = ctypes.create_string_buffer(size.value)
    _check_nvrtc(getattr(nvrtc, f"nvrtcGet{what}")(program, buffer), f"reading the {what}")
    return buffer.raw


def _ensure_context(device: torch.device) -> None:
    """The driver needs a current context; autograd's threads may have none yet."""
    driver, context = _driver(), ctypes.c_void_p()
    _check(driver.cuCtxGetCurrent(ctypes.byref(context)), "reading the context")
    if not context.value:
        _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device.index or 0), "taking the context")
        _check(driver.cuCtxSetCurrent(context), "setting the context")


def _load(file: str, name: str, defines: Mapping[str, object], device: torch.device, shared: int) -> ctypes.c_void_p:
    driver, module, function = _driver(), ctypes.c_void_p(), ctypes.c_void_p()
    image = _compile(file, defines, torch.cuda.get_device_capability(device))
    _check(driver.cuModuleLoadData(ctypes.byref(module), image), f"loading {file}.cu")
    _check(driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode()), f"finding {name}")
    if shared > 48 * 1024:
        _check(driver.cuFuncSetAttribute(function, _DYNAMIC_SHARED_SIZE, shared), f"shared memory of {name}")
    return function


def launch(
    file: str,
    name: str,
    grid: tuple[int, int],
    block: tuple[int, int],
    args: tuple[Tensor | int | float, ...],
    *,
    defines: Mapping[str, object] | None = None,
    shared: int = 0,
) -> None:
    """Runs kernel `name` of `file`.cu on the current stream of the device of the first argument, which is a tensor.

    Tensors are passed as pointers, ints as 32-bit ints, floats as 32-bit floats. An empty grid runs nothing.

    Raises:
        KernelError: the kernel does not compile, load or launch.
    """
    if 0 in grid:
        return
    assert isinstance(args[0], Tensor)
    device, defines = args[0].device, defines or {}
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        _ensure_context(device)
        key = (file, name, tuple(defines.items()), device.index, shared)
        with _lock:
            function = _kernels.get(key)
            if function is None:
                function = _kernels[key] = _load(file, name, defines, device, shared)
        values = [_packed(arg) for arg in args]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.cast(ctypes.byref(v), ctypes.c_void_p) for v in values])
        code = _driver().cuLaunchKernel(function, *grid, 1, *block, 1, shared, ctypes.c_void_p(stream), pointers, None)
        _check(code, f"launching {name} with grid {grid}, block {block}")


def _packed(arg: Tensor | int | float) -> ctypes.c_void_p | ctypes.c_int | ctypes.c_float:
    if isinstance(arg, Tensor):
        return ctypes.c_void_p(arg.data_ptr())
    return ctypes.c_int(arg) if isinstance(arg, int) else ctypes.c_float(arg)
