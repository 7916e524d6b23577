from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from askscan.train.graph import GraphedStep, Recorded, mapped, tensors_of


@dataclass(frozen=True)
class Inner:
    index: tuple[Tensor, ...]
    nothing: Tensor | None = None


@dataclass(frozen=True)
class Outer:
    points: Tensor
    inner: Inner


def test_a_copy_holds_other_tensors_with_the_same_values():
    record = Outer(points=torch.ones(2), inner=Inner(index=(torch.zeros(3), torch.arange(4))))
    other = mapped(record, Tensor.clone)
    assert [t.tolist() for t in tensors_of(other)] == [t.tolist() for t in tensors_of(record)]
    assert len(tensors_of(record)) == 3
    record.inner.index[0].fill_(7)
    assert other.inner.index[0].tolist() == [0, 0, 0]


@pytest.mark.gpu
def test_every_step_trains_on_its_own_batch():
    """The batch of step t comes from the inputs of step t, recorded or not, and from the generator as seeded for it."""
    number, seen = torch.zeros((), device="cuda"), torch.zeros(2, device="cuda")
    generator = torch.Generator("cuda")

    def make_batch() -> Outer:
        noise = torch.rand(5, generator=generator, device="cuda")
        return Outer(points=number, inner=Inner(index=(noise,)))

    step = GraphedStep(
        make_batch,
        lambda batch: seen.copy_(torch.stack([batch.points, batch.inner.index[0].sum()])),
        [generator],
    )

    def place(t: int) -> None:
        number.fill_(t)
        generator.manual_seed(t)

    place(0)
    step.start()
    for t in range(12):
        if t == 7:
            step.reset()
        place(t + 1)
        step()
        wanted = torch.rand(5, generator=torch.Generator("cuda").manual_seed(t), device="cuda").sum()
        torch.testing.assert_close(seen, torch.stack([torch.tensor(float(t), device="cuda"), wanted]))


@pytest.mark.gpu
def test_a_recording_answers_as_the_function_does():
    number, generator = torch.zeros((), device="cuda"), torch.Generator("cuda")

    def run() -> Outer:
        noise = torch.rand(5, generator=generator, device="cuda")
        return Outer(points=number * 2, inner=Inner(index=(noise,)))

    recorded = Recorded(run, torch.device("cuda"), [generator])
    for t in range(8):
        number.fill_(t)
        generator.manual_seed(t)
        found = recorded()
        wanted = torch.rand(5, generator=torch.Generator("cuda").manual_seed(t), device="cuda")
        assert float(found.points) == 2 * t
        assert torch.equal(found.inner.index[0], wanted)


def test_elsewhere_a_recording_is_the_function():
    assert Recorded(lambda: torch.ones(2), torch.device("cpu"))().tolist() == [1, 1]
