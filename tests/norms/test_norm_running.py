"""Running statistics, chunks and corrections in closed form."""

import pytest
import torch
from torch.autograd import gradcheck

from bnbench.norms import NORMS
from bnbench.norms.running import take_up

C = 3


@pytest.mark.parametrize("name", ["batch", "ghost", "renorm"])
def test_running_variance_of_two_examples_is_twice_the_biased_one(name):
    norm = NORMS[name](1, momentum=1.0).double()
    norm(torch.tensor([[1.0], [3.0]], dtype=torch.float64))
    assert norm.running_mean.item() == 2
    assert norm.running_var.item() == 2


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_take_up_is_a_sequence_of_updates(momentum):
    running, values = torch.randn(C).double(), torch.randn(5, C).double()
    before = 4
    expected = running.clone()
    for number, value in enumerate(values, before + 1):
        rate = 1 / number if momentum is None else momentum
        expected += rate * (value - expected)
    take_up(running, values, momentum, torch.tensor(before))
    torch.testing.assert_close(running, expected, rtol=1e-12, atol=1e-12)


def test_cumulative_statistics_are_population_statistics():
    norm, x = NORMS["batch"](C, momentum=None).double(), torch.randn(7, 4, C).double()
    for batch in x:
        norm(batch)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 1)))
    torch.testing.assert_close(norm.running_var, x.var(1).mean(0))


def test_ghost_counts_chunks():
    norm = NORMS["ghost"](C, chunk=4)
    norm(torch.randn(10, C))
    assert norm.num_batches_tracked.item() == 3


def renorm(r_max, d_max, mean, **options):
    norm = NORMS["renorm"](C, r_max=r_max, d_max=d_max, warmup_steps=0, ramp_steps=0, momentum=1e-9, **options).double()
    norm.running_mean.fill_(mean)
    return norm


@pytest.mark.parametrize("shape", [(4, C), (4, C, 2, 2)])
def test_gradient_of_renorm_where_the_corrections_are_limited(shape):
    """With r and d at their limits they are constants, and finite differences see what the layer returns."""
    norm = renorm(1.01, 0.5, mean=50.0)
    norm.running_var.fill_(1e-2)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    parameters = [torch.randn(C).double().requires_grad_() for _ in range(2)]

    def run(x, weight, bias):
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x,))

    assert gradcheck(run, (x, *parameters))


def test_unlimited_renorm_gives_what_evaluation_gives():
    norm = renorm(1e9, 1e9, mean=0.3)
    x = torch.randn(16, C, 2).double()
    torch.testing.assert_close(norm(x), norm.eval()(x), rtol=1e-6, atol=1e-6)


def test_limits_rise_on_schedule():
    """A batch far from the running mean is shifted by d_max: 0 in the warm-up, then a linear rise."""
    norm = NORMS["renorm"](1, r_max=1.0, d_max=4.0, warmup_steps=2, ramp_steps=4, momentum=1e-9).double()
    shifts = [norm(torch.tensor([[999.0], [1001.0]], dtype=torch.float64)).mean().item() for _ in range(8)]
    assert shifts == pytest.approx([0, 0, 1, 2, 3, 4, 4, 4], abs=1e-6)


def test_corrections_take_no_gradient():
    norm = renorm(3.0, 5.0, mean=0.1)
    x = torch.randn(8, C).double().requires_grad_()
    norm(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.zeros_like(x), atol=1e-10, rtol=0)
