"""Thousands of damaged files: each is read, or refused with a sentence that names it, in time and in little memory.

`python -m tests.fuzz.run --count 5000 --seed 1` prints the counts. The files are read in a process of its own, which is
watched from outside: one that hangs, dies or takes too much memory is a fault of the file that it was at.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MAX_SECONDS = 5.0
"""Of computing."""
MAX_WAIT = 60.0
"""Seconds after which one that computes nothing hangs, too."""
MAX_BYTES = 2 * 2**30
MIN_SHARE_READ = 0.2
_EXAMPLES = 12


@dataclass
class Outcome:
    """What became of the damaged files."""

    read: Counter[str] = field(default_factory=Counter)
    """By kind of file."""
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """One line for each file that was neither read nor properly refused."""
    slowest_s: float = 0.0
    most_bytes: int = 0
    """More than before the first file."""

    @property
    def count(self) -> int:
        return self.read.total() + self.refused.total() + len(self.faults)

    def __str__(self) -> str:
        kinds = sorted({*self.read, *self.refused})
        lines = [f"{'kind':12}{'files':>8}{'read':>8}{'refused':>9}"]
        for kind in kinds:
            lines.append(f"{kind:12}{self.read[kind] + self.refused[kind]:8}{self.read[kind]:8}{self.refused[kind]:9}")
        total = f"{'all':12}{self.count:8}{self.read.total():8}{self.refused.total():9}"
        memory = f"{self.most_bytes / 2**20:.0f} MiB"
        figures = f"faults {len(self.faults)}, slowest {self.slowest_s:.2f} s, memory + {memory}"
        return "\n".join([*lines, total, figures, *self.faults[:_EXAMPLES]])


def fuzz(count: int, seed: int) -> Outcome:
    """Damage and read `count` files; file i of a seed is always the same."""
    from tests.fuzz.targets import make_seeds

    outcome = Outcome()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "seeds"
        root.mkdir()
        targets = make_seeds(root)
        for target in targets:  # undamaged, all of them are read; this also loads everything that readers need
            target.read(root / target.path)
        whole = {root / target.path: (root / target.path).read_bytes() for target in targets}
        done = 0
        while done < count:
            done = _watched(root, targets, done, count, seed, outcome)
            for path, content in whole.items():  # one that took its reader down was left damaged
                path.write_bytes(content)
    return outcome


def _watched(root: Path, targets: list, start: int, count: int, seed: int, outcome: Outcome) -> int:
    """Files from `start` on in a process of its own, until all are done or one takes it down; how many are done."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receive)
            _work(root, targets, start, count, seed, send)
            code = 0
        finally:
            os._exit(code)
    os.close(send)
    done, current, buffer, hangs = start, f"file {start}", b"", False
    heard, used = time.monotonic(), 0.0
    while True:
        ready, _, _ = select.select([receive], [], [], 1.0)
        if not ready:
            waited = time.monotonic() - heard
            if waited < MAX_SECONDS or (waited < MAX_WAIT and _processor_seconds(child) - used < MAX_SECONDS):
                continue
            os.kill(child, signal.SIGKILL)
            outcome.faults.append(f"{current}: no end after {waited:.0f} s")
            done, hangs = done + 1, True
            break
        heard, used = time.monotonic(), _processor_seconds(child)
        chunk = os.read(receive, 65536)
        if not chunk:
            break
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "at" in message:
                current = message["at"]
            else:
                done += 1
                _note(message, outcome)
    os.close(receive)
    _, status = os.waitpid(child, 0)
    if done < count and not hangs:
        ended = f"died of signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "ended"
        outcome.faults.append(f"{current}: the reader {ended}")
        done += 1
    return done


def _processor_seconds(process: int) -> float:
    """What a process computed so far: other work on the machine makes no hang."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _note(message: dict, outcome: Outcome) -> None:
    kind = message["kind"]
    if message["fault"]:
        outcome.faults.append(message["fault"])
    elif message["refused"]:
        outcome.refused[kind] += 1
    else:
        outcome.read[kind] += 1
    outcome.slowest_s = max(outcome.slowest_s, message["seconds"])
    outcome.most_bytes = max(outcome.most_bytes, message["bytes"])
    if message["seconds"] > MAX_SECONDS:
        outcome.faults.append(f"{message['name']}: took {message['seconds']:.1f} s")


def _work(root: Path, targets: list, start: int, count: int, seed: int, send: int) -> None:
    """In the process that reads: each file damaged in place, read, and put back."""
    from askscan.errors import UserError

    def tell(**message: object) -> None:
        os.write(send, json.dumps(message).encode() + b"\n")

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, resource.RLIM_INFINITY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for number in range(start, count):
        rng = np.random.default_rng([seed, number])
        target = targets[number % len(targets)]
        path = root / target.path
        name = f"seed {seed}, file {number} ({target.path})"
        tell(at=name)
        valid = path.read_bytes()
        path.write_bytes(target.damage(valid, rng))
        began, fault, refused = time.process_time(), "", False
        try:
            target.read(path)
        except UserError as error:
            refused = True
            if path.name not in str(error):
                fault = f"{name}: the message does not name the file: {str(error)[:200]}"
            elif len(str(error)) > 1500 or "\n" in str(error).strip():
                fault = f"{name}: the message is no sentence: {str(error)[:200]!r}"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{name}: {type(error).__name__}: {str(error)[:160]} ({Path(where.filename).name}:{where.lineno})"
        path.write_bytes(valid)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        seconds = time.process_time() - began
        tell(kind=target.kind, name=name, refused=refused, fault=fault, seconds=seconds, bytes=after - before)


def main() -> int:
    """Prints the counts; 1 where a file was neither read nor properly refused, or too few were read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcome = fuzz(arguments.count, arguments.seed)
    print(outcome)
    return int(bool(outcome.faults) or outcome.read.total() < MIN_SHARE_READ * outcome.count)


if __name__ == "__main__":
    sys.exit(main())
