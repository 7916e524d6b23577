"""A machine where Triton cannot build is found out before a kernel is, and the reference answers there."""

from __future__ import annotations

import importlib
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")

import torch
from triton import knobs

from askscan.errors import ConfigError
from askscan.ops import dispatch, use
from askscan.ops.cuda import compiler

contract: Any = importlib.import_module("askscan.ops.grouped_mlp")  # the package's attribute is the function


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is found out once a process is found out in each of these tests, and by nobody after them."""
    monkeypatch.delenv("CC", raising=False)
    for found in (compiler.why_not, contract.device_reason):
        found.cache_clear()
    yield
    for found in (compiler.why_not, contract.device_reason):
        found.cache_clear()


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install gcc or clang" in str(compiler.why_not())
    script(tmp_path, "clang", "exit 0")
    assert "install gcc or clang" in str(compiler.why_not())  # asked once a process
    compiler.why_not.cache_clear()
    assert compiler.why_not() is None


def test_the_compiler_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "absent"))
    assert "does not start" in str(compiler.why_not())
    compiler.why_not.cache_clear()
    monkeypatch.setenv("CC", str(script(tmp_path, "cc", "echo 'cannot find crt1.o' >&2; exit 1")))
    assert str(compiler.why_not()).endswith("cc fails: cannot find crt1.o")


@pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("clang")), reason="needs a C compiler")
def test_no_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda *_: {"include": str(tmp_path)})
    monkeypatch.delenv("CPATH", raising=False)
    monkeypatch.delenv("C_INCLUDE_PATH", raising=False)
    assert "Python's C headers" in str(compiler.why_not())
    (tmp_path / "Python.h").write_text("")
    compiler.why_not.cache_clear()
    assert compiler.why_not() is None


def test_another_way_of_building_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(knobs.build, "impl", lambda *_: "built")
    assert compiler.why_not() is None


def test_doctor_shows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ASKSCAN_OPS", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (8, 6))
    gpu: Any = torch.device("cuda", 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    choice, reason = dispatch._choose_grouped_mlp(gpu)
    assert choice == "reference" and "C compiler" in reason
    with use("cuda"), pytest.raises(ConfigError, match="C compiler"):
        dispatch._choose_grouped_mlp(gpu)
    script(tmp_path, "gcc", "exit 0")
    for found in (compiler.why_not, contract.device_reason):
        found.cache_clear()
    assert dispatch._choose_grouped_mlp(gpu) == ("cuda", "")
    with use("reference"):
        assert dispatch._choose_grouped_mlp(gpu) == ("reference", "asked for")
