import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from askscan.errors import DataError
from askscan.parallel import in_processes


def _square(number: int) -> int:
    return number * number


def _refuse(number: int) -> int:
    raise DataError(f"{number} is odd")


def _interrupts_are_ignored(number: int) -> bool:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def _end(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_item_comes_with_its_result(processes: int) -> None:
    assert sorted(in_processes(_square, [3, 1, 2], processes, what="square")) == [(1, 1), (2, 4), (3, 9)]
    assert list(in_processes(_square, [], processes, what="square")) == []
    with pytest.raises(DataError, match="is odd"):
        list(in_processes(_refuse, [1, 3], processes, what="refuse"))


def test_interrupts_are_for_the_first_process_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores them
    try:
        assert dict(in_processes(_interrupts_are_ignored, [1, 2], 2, what="look")) == {1: True, 2: True}
        assert dict(in_processes(_interrupts_are_ignored, [1], 2, what="look")) == {1: False}
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_that_was_ended_is_told() -> None:
    with pytest.raises(DataError, match=r"end: a process was ended from outside.*fewer --processes"):
        list(in_processes(_end, [1, 2], 2, what="end"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")
def test_processes_end_with_the_first(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(_SLEEPER)
    first = subprocess.Popen([sys.executable, "sleeper.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    workers = [int(first.stdout.readline()) for _ in range(2)]
    assert all(Path(f"/proc/{pid}").exists() for pid in workers)
    first.kill()
    first.wait()
    until = time.monotonic() + 30
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < until, "a process outlives the one that it worked for"
        time.sleep(0.1)


_SLEEPER = """
import os, time
from askscan.parallel import in_processes

def sleep(number):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(in_processes(sleep, [1, 2], 2, what="sleep"))
"""


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
