"""Work on several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from askscan.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], processes: int, *, what: str
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, as they come.

    Args:
        work: Picklable where there are several processes.
        items: Hashable or not; each is given to `work` once.
        processes: At most so many; one is this process itself.
        what: Command that does the work, for messages.

    Raises:
        DataError: A process was ended from outside. What `work` raises comes through.
    """
    if processes <= 1 or len(items) <= 1:
        for item in items:
            yield item, work(item)
        return
    # Fresh processes: a fork would copy threads' locks (progress bars, numba, torch) in whatever state they are.
    pool = ProcessPoolExecutor(min(processes, len(items)), get_context("spawn"), initializer=_begin)
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise DataError(f"{what}: a process was ended from outside (out of memory?); use fewer --processes.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Ctrl-C is for the first process alone: the others end their item and are told to stop. If it is killed, they end.

    Without that they would wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
