"""What holds for every norm that is listed."""

import contextlib
import copy
import inspect
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
import yaml

from bnbench.errors import Impossible
from bnbench.norms import NORMS, activates, shifts, without_activation

CONF = Path(__file__).parents[2] / "conf" / "norm"
SHAPES = [(6, 8), (6, 8, 5), (6, 8, 3, 2)]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
every_norm = pytest.mark.parametrize("name", NORMS)
OWN = {
    "batch_instance": ["rho"],
    "switchable": ["mean_weight", "var_weight"],
    "frn": ["tau"],
    "evonorm_b0": ["v"],
    "evonorm_s0": ["v"],
    "dyt": ["alpha"],
    "derf": ["alpha", "s"],
    "isru": ["alpha"],
    "repbn": ["eta"],
    "prepbn": ["eta"],
}
"""Parameters that are no scale or shift."""


def has_affine(name):
    return "affine" in inspect.signature(NORMS[name]).parameters


every_affine = pytest.mark.parametrize(
    ("name", "affine"),
    [
        (name, affine)
        for name in NORMS
        for affine in (("both", "scale", "shift", "none") if has_affine(name) else (None,))
    ],
)


def make(name, affine=None):
    return NORMS[name](8, **({} if affine is None else {"affine": affine}))


def accepts(name, shape):
    return NORMS[name].facts.vectors or len(shape) > 2


def run(norm, x):
    """The output, with the same noise at every call from a norm that draws some."""
    torch.manual_seed(1)
    return norm(x)


def test_files_and_registry_name_the_same_norms():
    assert {path.stem for path in CONF.glob("*.yaml")} == set(NORMS)


@every_norm
def test_signature_is_the_file(name):
    first, *options = inspect.signature(NORMS[name]).parameters.values()
    assert first.name == "num_features"
    assert all(option.kind is inspect.Parameter.KEYWORD_ONLY for option in options)
    assert {option.name: option.default for option in options} == yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert {option.name for option in options} <= set(get_type_hints(NORMS[name].__init__))


@every_norm
def test_construction_draws_no_numbers(name):
    before = torch.get_rng_state()
    make(name)
    assert torch.equal(before, torch.get_rng_state())


@every_affine
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_shape_and_type_are_kept(name, affine, device):
    """Without numbers in float32 and in half precision: types are chosen by the same lines on each device."""
    for shape in filter(lambda shape: accepts(name, shape), SHAPES):
        for dtype in DTYPES if device == "cpu" else (torch.float32, torch.bfloat16):
            norm = make(name, affine).to(device, torch.float64 if dtype == torch.float64 else torch.float32)
            x = torch.randn(shape, dtype=dtype, device=device, requires_grad=True)
            for training in (True, False):
                y = norm.train(training)(x)
                assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
                y.sum().backward()
            assert x.grad.dtype == dtype


@every_affine
def test_affine_parameters(name, affine):
    norm = make(name, affine)
    kinds = {"both": ["bias", "weight"], "scale": ["weight"], "shift": ["bias"], "none": []}
    expected = kinds["both" if name == "fixup" else affine or "none"]
    second = [f"layer_{kind}" for kind in expected] if name == "prepbn" else []
    assert sorted(dict(norm.named_parameters())) == sorted(expected + second + OWN.get(name, []))
    assert shifts(norm) == ("bias" in expected)
    size = 1 if name == "fixup" else 8
    assert all(parameter.shape == (size,) for kind, parameter in norm.named_parameters() if kind in expected)


@every_affine
def test_affine_part_scales_and_shifts_channels(name, affine):
    """In front of a threshold, of noise and of what bypasses it, if there is any."""
    norm = make(name, affine).double().train(name not in ("noisy_batch", "ghost_noise", "prepbn"))
    x = torch.randn(6, 8, 3, 2, dtype=torch.float64)
    bypass = x if name in ("grn", "repbn", "prepbn") else 0.0
    if name == "frn":
        norm.remove_activation()
    if name == "grn" and norm.weight is not None:
        torch.nn.init.ones_(norm.weight)
    expected = norm(x) - bypass
    with torch.no_grad():
        for kind in sorted({"weight", "bias"} & set(dict(norm.named_parameters())), reverse=True):
            parameter = norm.get_parameter(kind)
            parameter.copy_(torch.randn(parameter.shape))
            vector = parameter.view(-1, 1, 1)
            expected = expected * vector if kind == "weight" else expected + vector
    torch.testing.assert_close(norm(x) - bypass, expected, rtol=1e-10, atol=1e-10)


@every_norm
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_input_is_normalized_in_float32(name, training):
    """With a mean of 100 and a deviation of 1, statistics in bfloat16 (three digits) would be far off."""
    exact, norm = make(name).train(training), make(name).train(training)
    x = (100 + torch.randn(64, 8, 5)).bfloat16()
    torch.testing.assert_close(run(norm, x).float(), run(exact, x.float()), rtol=2**-8, atol=1e-5)
    for (kind, value), (_, expected) in zip(norm.named_buffers(), exact.named_buffers(), strict=True):
        assert value.dtype == (torch.int64 if kind == "num_batches_tracked" else torch.float32)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


@every_norm
def test_statistics_stay_float32_in_a_bfloat16_network(name):
    norm = make(name)
    norm(torch.randn(16, 8, 5) * 1.001)
    before = copy.deepcopy(norm)
    norm.to(torch.bfloat16)
    assert all(parameter.dtype == torch.bfloat16 for parameter in norm.parameters())
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(norm.buffers(), before.buffers(), strict=True))
    assert norm(torch.randn(16, 8, 5).bfloat16()).dtype == torch.bfloat16
    norm.double()
    norm.half()
    assert all(buffer.dtype != torch.float16 for buffer in norm.buffers())


@every_norm
def test_state_and_copies_continue_alike(name):
    norm, x = make(name), torch.randn(3, 6, 8, 5)
    norm(x[0])
    loaded = make(name)
    loaded.load_state_dict(norm.state_dict())
    layers = [norm, loaded, copy.deepcopy(norm)]
    trained = [run(layer.train(), x[1]) for layer in layers]
    evaluated = [run(layer.eval(), x[2]) for layer in layers]
    assert all(torch.equal(output, outputs[0]) for outputs in (trained, evaluated) for output in outputs)


@every_norm
def test_evaluation_moves_nothing(name):
    norm = make(name)
    norm(torch.randn(6, 8, 5))
    before = copy.deepcopy(norm.state_dict())
    norm.eval()(torch.randn(6, 8, 5))
    assert all(torch.equal(before[key], value) for key, value in norm.state_dict().items())


@every_norm
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_squares_beyond_half_precision_do_no_harm(name, dtype):
    """The square of 1000 is beyond float16, and statistics of it must not be."""
    norm, exact = make(name), make(name)
    x = (1000 * torch.randn(64, 8, 5)).to(dtype)
    for training in (True, False):
        y = run(norm.train(training), x)
        assert y.isfinite().all()
        torch.testing.assert_close(y.float(), run(exact.train(training), x.float()), rtol=2**-7, atol=2**-9)
    assert all(buffer.isfinite().all() for buffer in norm.buffers())


@every_norm
def test_an_own_activation_is_left_out_once_and_for_all(name):
    norm, x = make(name).train(name != "prepbn"), torch.randn(6, 8, 3, 2)  # of which each step of training differs
    held = activates(norm)
    before = run(norm, x)
    assert without_activation(norm) is norm and not activates(norm)
    assert torch.equal(run(norm, x), before) != held
    assert sorted(dict(norm.named_parameters()))[-2:] == ["bias", "weight"] or not held
    norm.eval()(x)
    without_activation(norm)


ORDERS = {
    3: [(0, 1, 2), (0, 2, 1), (2, 1, 0)],
    4: [(0, 1, 2, 3), (0, 2, 3, 1), (0, 2, 1, 3), (2, 3, 0, 1), (3, 2, 1, 0)],
}
"""Of the dimensions in memory, the last one innermost."""


def orders(x):
    """The same numbers in several orders in memory."""
    for order in ORDERS[x.dim()]:
        yield x.permute(order).contiguous().permute([order.index(dim) for dim in range(x.dim())])


@every_norm
@pytest.mark.parametrize("shape", [(1, 8, 4, 3), (3, 8, 4, 1), (1, 8, 7), (2, 8, 3, 2)], ids=str)
def test_gradients_do_not_depend_on_the_order_of_numbers_in_memory(name, shape):
    norm = make(name).double()
    x, slope = torch.randn(2, *shape, dtype=torch.float64)
    received = []
    for ordered in orders(x):
        for slope_of in orders(slope):
            given = ordered.detach().requires_grad_()
            with contextlib.suppress(Impossible):
                y = run(copy.deepcopy(norm), given)
                received.append(torch.autograd.grad(y, given, slope_of)[0])
    assert len(received) in ((0,) if name == "xbn" and shape[0] == 1 else (9, 25))
    for gradient in received:
        assert (gradient - received[0]).abs().max() < 1e-10


@every_norm
def test_facts_say_what_the_norm_takes(name):
    """The smallest batch is for vectors; with several positions, there is another one."""
    facts, many = NORMS[name].facts, torch.randn(3, 8, 4, 4)
    make(name)(many[: facts.smallest_with_positions])
    if facts.smallest_with_positions > 1:
        with pytest.raises(Impossible):
            make(name)(many[: facts.smallest_with_positions - 1])
    if not facts.vectors:
        with pytest.raises(Impossible):
            make(name)(torch.randn(3, 8))
        return
    make(name)(torch.randn(facts.smallest_batch, 8))
    if facts.smallest_batch > 1:
        with pytest.raises(Impossible):
            make(name)(torch.randn(facts.smallest_batch - 1, 8))


@every_norm
def test_facts_say_whether_examples_depend_on_each_other(name):
    said = NORMS[name].facts.batch_statistics
    assert depend_on_each_other(make(name)) == (said is True)
    if isinstance(said, str):
        option, value = said.removeprefix("norm.").split("=")
        assert depend_on_each_other(NORMS[name](8, **{option: value}))


def depend_on_each_other(norm):
    """In training; at evaluation no examples do."""
    x = torch.randn(6, 8, 3, 2)
    other = torch.cat([x[:1], 3 * x[1:]])
    alike = torch.allclose(run(norm, x)[0], run(norm, other)[0])
    norm.eval()
    assert torch.allclose(run(norm, x)[0], run(norm, other)[0])
    return not alike
