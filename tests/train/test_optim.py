from dataclasses import replace

import pytest
import torch

from askscan.errors import ConfigError
from askscan.train.optim import OptimConfig, clip_gradients, make_optimizer


def test_published_milestones():
    answers = OptimConfig(learning_rate=5e-4, decay_epochs=(15, 23))
    rates = [answers.rate(epoch * 10 + 9, 10, 500) for epoch in (0, 14, 15, 22, 23, 49)]
    assert rates == pytest.approx([5e-4, 5e-4, 1e-4, 1e-4, 2e-5, 2e-5])


def test_cosine_with_warmup_rises_and_ends_near_zero():
    config = OptimConfig(learning_rate=1.0, schedule="cosine", warmup_steps=10)
    rates = [config.rate(step, 7, 110) for step in range(110)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[60] == pytest.approx(0.5, abs=0.02)
    assert rates[-1] < 1e-3
    assert rates[9:] == sorted(rates[9:], reverse=True)


@pytest.mark.parametrize("decoupled", [False, True])
def test_equal_to_plain_adam(decoupled: bool):
    config = OptimConfig(learning_rate=0.01, weight_decay=0.1, decoupled=decoupled, beta2=0.9)
    ours, theirs = (torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2))
    plain = (torch.optim.AdamW if decoupled else torch.optim.Adam)(
        [theirs], lr=0.01, betas=(0.9, 0.9), eps=1e-8, weight_decay=0.1
    )
    optimizer = make_optimizer([ours], config)
    for step in range(5):
        for parameter, update in ((ours, optimizer), (theirs, plain)):
            parameter.grad = torch.tensor([0.1, 0.2, -0.3]) * (step + 1)
            update.step()
    torch.testing.assert_close(ours, theirs)


def test_a_forbidden_step_changes_nothing():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer([parameter], OptimConfig())
    optimizer.found_inf = torch.zeros(())
    parameter.grad = torch.ones(3)
    optimizer.step()
    before = parameter.detach().clone()
    state = {key: value.clone() for key, value in optimizer.state[parameter].items()}
    optimizer.found_inf.fill_(1)
    parameter.grad = torch.full((3,), torch.nan)
    optimizer.step()
    assert torch.equal(parameter, before)
    assert all(torch.equal(value, optimizer.state[parameter][key]) for key, value in state.items())


def test_gradients_are_clipped_by_their_global_norm():
    parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    for limit, expected in ((None, 13.0), (1.0, 1.0)):
        parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
        assert clip_gradients(parameters, limit) == pytest.approx(13.0)
        norm = sum(float(p.grad.square().sum()) for p in parameters) ** 0.5
        assert norm == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"clip_norm": -1.0}, {"beta2": 1.0}, {"decay_factor": 0.0}])
def test_wrong_values_are_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match="must be"):
        replace(OptimConfig(), **wrong)
