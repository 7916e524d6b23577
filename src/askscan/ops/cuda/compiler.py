"""Whether Triton can build here: beside every kernel it compiles a C file that includes Python's header."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def why_not() -> str | None:
    """Why it cannot, or None; tried once a process, with the compiler and the folder that Triton takes."""
    from triton import knobs

    if knobs.build.impl is not None:  # somebody's own way of building
        return None
    compiler = os.environ.get("CC", shutil.which("gcc") or shutil.which("clang"))
    if compiler is None:
        return "Triton needs a C compiler (install gcc or clang, or name one in the variable CC)"
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # Debian's, as Triton does
    include = sysconfig.get_paths(scheme)["include"]
    with TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <stdlib.h>\n#include <Python.h>\n")
        command = [compiler, str(source), "-shared", "-fPIC", "-o", f"{folder}/probe.so", f"-I{include}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            return f"Triton needs a C compiler, and {compiler} does not start ({error.strerror})"
    if done.returncode == 0:
        return None
    if "Python.h" in done.stderr:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"Triton needs Python's C headers (Debian and Ubuntu: install python{version}-dev)"
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return f"Triton needs a C compiler, and {compiler} fails: {lines[0]}"
