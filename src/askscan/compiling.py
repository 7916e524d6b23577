"""Machine code from Python functions, for every room that loops over points."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, outside the GIL, and keep the machine code on disk where a folder for it can be written."""
    plain = inspect.unwrap(function)  # without the type checks that tests put around every function
    try:
        return njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # no writable cache folder
        return njit(nogil=True)(plain)
