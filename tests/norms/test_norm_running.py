"""Running statistics, chunks and corrections in closed form."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.utils.checkpoint import checkpoint

from bnbench.norms import NORMS
from bnbench.norms.common.running import take_up

C = 3


@pytest.mark.parametrize("name", ["batch", "ghost", "renorm", "sync", "noisy_batch"])
def test_running_variance_of_two_examples_is_twice_the_biased_one(name):
    norm = NORMS[name](1, momentum=1.0).double()
    norm(torch.tensor([[1.0], [3.0]], dtype=torch.float64))
    assert norm.running_mean.item() == 2
    assert norm.running_var.item() == 2


@pytest.mark.parametrize("name", ["batch_instance", "switchable", "evonorm_b0"])
def test_running_variance_of_two_positions_is_twice_the_biased_one(name):
    norm = NORMS[name](1, momentum=1.0).double()
    norm(torch.tensor([[[1.0, 3.0]]], dtype=torch.float64))
    assert norm.running_var.item() == 2
    assert name == "evonorm_b0" or norm.running_mean.item() == 2


def test_batch_norm_of_one_image_is_instance_norm():
    """With several positions a batch of one is no error, and no batch normalization any more either."""
    x = torch.randn(1, C, 3, 2).double()
    for name in ("batch", "sync", "precise", "ghost"):
        torch.testing.assert_close(NORMS[name](C).double()(x), NORMS["instance"](C).double()(x))


@pytest.mark.parametrize("name", ["batch", "l1_batch", "evonorm_b0", "switchable"])
def test_a_checkpointed_segment_takes_its_batch_up_twice(name):
    """What is computed again for the backward pass is counted again: a network that does so has to know."""
    norm, x = NORMS[name](C), torch.randn(4, C, 3, 2, requires_grad=True)
    checkpoint(norm, x, use_reentrant=False).sum().backward()
    assert norm.num_batches_tracked.item() == 2


def test_second_derivatives_are_refused_rather_than_wrong():
    norm, x = NORMS["switchable"](C), torch.randn(4, C, 3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_gate_that_an_update_moves_out_of_its_range_comes_back():
    """Clipped within the graph it would get no gradient any more, and stay where it is."""
    norm, x = NORMS["batch_instance"](C), torch.randn(4, C, 3, 2)
    with torch.no_grad():
        norm.rho.copy_(torch.tensor([1.7, -0.2, 0.4]))
    norm(x).square().sum().backward()
    assert norm.rho.tolist() == pytest.approx([1.0, 0.0, 0.4])
    assert (norm.rho.grad != 0).all()


def test_the_gate_of_batch_instance_norm_ends_at_the_two_norms():
    x = torch.randn(4, C, 3, 2).double()
    for rho, name in ((1.0, "batch"), (0.0, "instance")):
        mixed, pure = NORMS["batch_instance"](C).double(), NORMS[name](C).double()
        torch.nn.init.constant_(mixed.rho, rho)
        torch.testing.assert_close(mixed(x), pure(x), rtol=1e-12, atol=1e-12)


def test_noise_has_the_distribution_of_its_options():
    """Of a batch normalization without scale and shift only the noise is left: its shift."""
    norm = NORMS["noisy_batch"](400, affine="scale", scale=1.5, scale_spread=0.2, shift_spread=0.3).double()
    torch.nn.init.zeros_(norm.weight)
    shifts = norm(torch.randn(500, 400).double()).detach()
    means = shifts.mean(0)
    assert means.abs().max() <= 0.5 + 0.05 and means.std().item() == pytest.approx(1 / 12**0.5, rel=0.1)
    assert (shifts - means).std().item() == pytest.approx(0.3 / 3**0.5, rel=0.05)
    norm.shift = norm.shift_spread = 0.0
    torch.nn.init.ones_(norm.weight)
    x = torch.tensor([1.0, -1.0]).double().repeat(250)[:, None].expand(500, 400)
    scales = (norm(x) * x).detach()
    means = scales.mean(0)
    assert 0.95 <= means.min() and means.max() <= 1.55
    assert means.std().item() == pytest.approx(0.5 / 12**0.5, rel=0.1)
    assert (scales - means).std().item() == pytest.approx(0.2, rel=0.05)


def test_noise_is_drawn_in_training_steps_only():
    norm, plain = NORMS["noisy_batch"](C), NORMS["batch"](C)
    x = torch.randn(8, C)
    assert not torch.allclose(norm(x), plain(x))
    before = torch.get_rng_state()
    with torch.no_grad():
        torch.testing.assert_close(norm(x), plain(x))
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x))
    assert torch.equal(before, torch.get_rng_state())


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


def test_large_chunks_are_normalized_as_small_ones(monkeypatch):
    """Each in a call of its own, instead of all in one on rearranged images; the last chunk is smaller."""
    x = torch.randn(70, 4, 3, 3, dtype=torch.float64)
    found = []
    for large in (1, 10**9):
        monkeypatch.setattr("bnbench.norms.ghost.LARGE_CHUNK", large)
        norm, inputs = NORMS["ghost"](4, chunk=16).double(), x.clone().requires_grad_()
        norm(inputs).square().sum().backward()
        found.append([norm(x), inputs.grad, norm.weight.grad, norm.running_mean, norm.running_var])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
