"""A training step, or any other, as a CUDA graph: a single launch in place of a thousand.

While a step trains, a second stream makes the batch of the next one: sampling and neighbourhoods depend on no weight,
and most of their time is latency (farthest points alone 2 ms) that leaves the device nearly idle. Each of the two is a
graph of its own: as two branches of one, they ran one after the other as soon as the training held messages to other
GPUs (19.9 ms a step in place of 17.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

_EAGER_CALLS = 3
"""Calls run one kernel at a time before recording: libraries set themselves up, memory is laid out."""

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def tensors_of(record: object) -> list[Tensor]:
    """The tensors of a record: fields of dataclasses and entries of tuples, in order, at any depth."""
    if isinstance(record, Tensor):
        return [record]
    return [tensor for part in _parts(record) for tensor in tensors_of(part)]


def mapped(record: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The record with a function applied to every tensor that `tensors_of` finds."""
    if isinstance(record, Tensor):
        return change(record)
    if isinstance(record, tuple):
        return tuple(mapped(part, change) for part in record)
    if is_dataclass(record) and not isinstance(record, type):
        return type(record)(**{field.name: mapped(getattr(record, field.name), change) for field in fields(record)})
    return record


def on_host(record: Any) -> Any:
    """The record with its tensors copied to the host, which waits for their device once."""
    found = mapped(record, lambda tensor: tensor.to("cpu", non_blocking=True))
    for device in {tensor.device for tensor in tensors_of(record) if tensor.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
    return found


def _parts(record: object) -> Sequence[object]:
    if isinstance(record, tuple):
        return record
    return [getattr(record, field.name) for field in fields(record)] if is_dataclass(record) else []


class Recorded(Generic[Result]):
    """A function of static tensors whose shapes never change: one CUDA graph, once it has warmed up.

    On other devices it is just called. The tensors of a result are overwritten by the next call.

    Args:
        run: Reads and writes tensors of the device, without host synchronisation.
        device: Where it computes.
        generators: Random generators that it draws from, apart from the default one.
    """

    def __init__(
        self, run: Callable[[], Result], device: torch.device, generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._run, self._device, self._generators = run, device, tuple(generators)
        self._eager_left = _EAGER_CALLS
        self._recording: tuple[torch.cuda.CUDAGraph, Result] | None = None

    def __call__(self) -> Result:
        """The function's result."""
        if self._device.type != "cuda":
            return self._run()
        with torch.cuda.device(self._device):
            if self._eager_left > 0:
                self._eager_left -= 1
                return self._eagerly()
            if self._recording is None:
                self._recording = self._record()
            graph, result = self._recording
            graph.replay()
            return result

    def _eagerly(self) -> Result:
        """On a stream of its own, after and before what the current one does: autograd remembers streams."""
        stream, _ = streams(torch.cuda.current_device())
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self._run()
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self) -> tuple[torch.cuda.CUDAGraph, Result]:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        stream, _ = streams(torch.cuda.current_device())
        # `thread_local`: the thread that watches over NCCL's messages may go on asking how far they are.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = self._run()
        return graph, result


@cache
def streams(device: int) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """Two streams of a device, always the same: libraries keep memory for each one that they have seen."""
    return torch.cuda.Stream(device), torch.cuda.Stream(device)


class GraphedStep(Generic[Batch]):
    """Runs steps that read and write static tensors only, from recordings once they have warmed up.

    The warm-up runs are real steps. `reset` forgets the training's recording: call it when a number that was baked in
    changes.

    Args:
        make_batch: The next batch, from static inputs and `generators`; its shapes never change.
        train: One step on a batch.
        generators: Random generators of `make_batch`, apart from the default one, which is the training's alone.
    """

    def __init__(
        self, make_batch: Callable[[], Batch], train: Callable[[Batch], None], generators: Sequence[torch.Generator]
    ) -> None:
        self._make_batch, self._train = make_batch, train
        self._device = torch.device("cuda", torch.cuda.current_device())
        self._make = Recorded(make_batch, self._device, generators)
        self._batch: Batch | None = None
        self.forget()

    def reset(self) -> None:
        """Forget how to train; the next steps run eagerly and then record again."""
        torch.cuda.synchronize()  # the recording may still run, and hold messages to other GPUs
        self.forget()

    def forget(self) -> None:
        """`reset` without waiting for what runs: where another GPU may never answer."""
        self._step = Recorded(self._train_on_batch, self._device)

    def start(self) -> None:
        """Make the batch of the first step."""
        self._take(self._make_batch())

    def __call__(self) -> None:
        """Train on the batch that is there and put the next one, made from the inputs as they stand, in its place."""
        main, (_, side) = torch.cuda.current_stream(), streams(torch.cuda.current_device())
        side.wait_stream(main)
        # First: a replay writes where the default generator stands, and only the training's, for dropout, moves it on.
        with torch.cuda.stream(side):
            following = self._make()
        self._step()
        main.wait_stream(side)
        self._take(following)

    def _take(self, batch: Batch) -> None:
        """Copy the batch to where recordings read it: it may hold the static inputs themselves."""
        if self._batch is None:
            self._batch = mapped(batch, Tensor.clone)
        for there, new in zip(tensors_of(self._batch), tensors_of(batch), strict=True):
            there.copy_(new)

    def _train_on_batch(self) -> None:
        assert self._batch is not None, "start() comes first"
        self._train(self._batch)
