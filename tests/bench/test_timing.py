import subprocess
from pathlib import Path

import pytest
import torch

from askscan import __version__
from askscan.bench import timing

CPU = torch.device("cpu")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a folder without a checkout."""
    monkeypatch.delenv("ASKSCAN_COMMIT", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    package = tmp_path / "checkout" / "src" / "askscan"
    for name in ("__init__.py", "bench/timing.py", "train/loop.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    return package


def test_the_commit_says_whether_any_file_of_the_package_was_changed(package: Path) -> None:
    checkout = package.parents[1]
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "all")
    commit = git(checkout, "rev-parse", "--short=12", "HEAD")
    (checkout / "notes.txt").write_text("beside the package")
    assert timing._commit(package) == commit
    (package / "train" / "loop.py").write_text("changed")
    assert timing._commit(package) == commit + "+"
    git(checkout, "checkout", "-q", ".")
    (package / "train" / "new.py").write_text("")
    assert timing._commit(package) == commit + "+"


def test_a_copy_is_of_no_commit_but_the_one_that_is_told(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = f"unknown (askscan {__version__})"
    assert timing._commit(package) == unknown
    outer = package.parents[1]  # a project that has the package in an environment of its own
    (outer / "main.py").write_text("")
    git(outer, "init", "-q")
    git(outer, "add", "main.py")
    git(outer, "commit", "-qm", "another project")
    assert timing._commit(package) == unknown
    monkeypatch.setenv("ASKSCAN_COMMIT", "0123456789ab")
    assert timing._commit(package) == timing.environment(CPU)["commit"] == "0123456789ab"
