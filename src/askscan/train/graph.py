"""A training step as one CUDA graph: a single launch in place of a thousand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_EAGER_STEPS = 3
"""Steps run one kernel at a time before recording: libraries set themselves up, memory is laid out."""


class GraphedStep:
    """Runs a step function that reads and writes static tensors only, from a recording once it has warmed up.

    The warm-up runs are real steps. `reset` forgets the recording: call it when a number that was baked in changes.
    """

    def __init__(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> None:
        self._step = step
        self._generators = tuple(generators)
        self._stream = torch.cuda.Stream()
        self.reset()

    def reset(self) -> None:
        """Forget the recording; the next steps run eagerly and then record again."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._eager_left = _EAGER_STEPS

    def __call__(self) -> None:
        """Run one step."""
        if self._graph is None and self._eager_left > 0:
            self._eager_left -= 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):  # autograd must not remember the default stream
                self._step()
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self._stream):
            self._step()
        return graph
