"""What a benchmark found: records, and their JSON."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from askscan.bench.timing import Ceilings, Timing
from askscan.errors import DataError
from askscan.files import write_json

Suite = Literal["ops", "steps", "growth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row."""

    name: str
    suite: Suite
    times: dict[str, Timing]
    """`askscan`, `reference` (this project's plain torch) and libraries, by name."""
    published_ms: float | None = None
    """The published code on one H200: a constant, it is not run here."""
    goal_ms: float | None = None
    memory_share: float | None = None
    """Bytes that have to move, each once, over the time, as a share of the copy's bandwidth."""
    arithmetic_share: float | None = None
    """Operations that have to be done over the time, as a share of the matrix product's rate."""
    peak_gib: float | None = None
    """Most GPU memory in use, or the process's most host memory on a CPU."""
    losses: dict[str, float] = field(default_factory=dict)
    """Mean training loss of the first steps, with the kernels and with the reference: a check that they agree."""
    error: str = ""
    """Why there are no figures, or not all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """GPU time of one kernel within a step."""

    name: str
    microseconds: float
    calls: int


@dataclass(slots=True, kw_only=True)
class Report:
    """All rows of a run; grows while it runs."""

    environment: dict[str, str]
    ceilings: Ceilings
    quick: bool
    results: list[Result] = field(default_factory=list)
    kernels: dict[str, list[Kernel]] = field(default_factory=dict)
    """Of one training step each, longest first."""

    def save(self, path: Path) -> None:
        """Write JSON."""
        write_json(path, asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read what `save` wrote.

        Raises:
            DataError: There is no such file, or it is something else.
        """
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            for row in found["results"]:
                row["times"] = {name: Timing(**timing) for name, timing in row["times"].items()}
            kernels = {name: [Kernel(**row) for row in rows] for name, rows in found["kernels"].items()}
            results, limits = [Result(**row) for row in found["results"]], Ceilings(**found["ceilings"])
            return cls(**{**found, "results": results, "kernels": kernels, "ceilings": limits})
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); `askscan bench --json` writes it.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not what `askscan bench --json` writes ({error}).") from error


def guarded(name: str, suite: Suite, rows: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    """The rows, or one that says why there are no more: what fails must not cost the others."""
    try:
        yield from rows()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split())[:300]
        where = f"{Path(last.filename).name}:{last.lineno}"
        yield Result(name=name, suite=suite, times={}, error=f"{type(error).__name__} in {where}: {reason}")
