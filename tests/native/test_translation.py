"""Layers that are translated into C do what they do in torch."""

from __future__ import annotations

import array
import copy
import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.errors import Impossible
from bnbench.native import NotNative, c_compiler, library
from bnbench.native.codegen import compiled_layer as translated
from bnbench.native.codegen.aten_graph import operations_of
from bnbench.native.codegen.aten_ops import OP_TABLE
from bnbench.native.codegen.compiled_layer import code_of
from bnbench.native.codegen.lowering import OPS
from bnbench.norms import NORMS
from bnbench.plan.case import Case
from bnbench.plan.proofs import why_not_native
from bnbench.spec import Sgd
from bnbench.training import Outcome
from bnbench.user_cache import keep
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import Counting, Drawing, Reading, Remembering, with_norm
from tests.engines.test_stacked import alone, assert_equal, lanes_of, small, stacked
from tests.native.test_native import TRANSLATED
from tests.products import long, whole
from tests.stacking.test_vmap import Batch, Largest, Own, Unlike
from tests.test_user_cache import SOME_DAMAGES, Damage

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

CALLED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
SHAPES = [(6, 5), (2, 17), (3, 8, 4, 5), (2, 1, 5, 5), (5, 8, 1, 1), (40, 4, 6, 6)]


SETTINGS = [
    ["batch_size=16", "lr=0.001"],
    ["batch_size=60", "lr=0.001", "drop_last=false"],
    ["batch_size=16", "lr=1e-5", "optim=adam"],
]


class Of(nn.Module):
    """A layer of a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Grouped(nn.Module):
    """Means and deviations of halves of the channels, as one reshapes for them."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(num_features))

    def forward(self, x: Tensor) -> Tensor:
        halves = x.reshape(len(x), 2 if x.shape[1] % 2 == 0 else 1, -1)
        y = (halves - halves.mean(-1, keepdim=True)) / (halves.var(-1, keepdim=True) + 0.1).sqrt()
        return y.view_as(x) * self.weight.view(1, -1, *[1] * (x.ndim - 2))


class Standard(nn.Module):
    """torch's own functions, with a count of batches."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("var", torch.ones(num_features))
        self.register_buffer("seen", torch.tensor(3))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(int(self.training))
        y = F.batch_norm(x, self.mean, self.var, training=self.training, momentum=0.2, eps=0.1)
        return y + F.layer_norm(x, x.shape[1:], eps=0.1) / self.seen


def moved(x: Tensor) -> Tensor:
    """Other views, and back."""
    y = x.flatten(1).t() * x.flatten(1).sum(1)
    return x * y.mean() + x.transpose(0, 1).sum(0).amax() - x.flatten().amin() + x.unsqueeze(1).squeeze(1).sum()


FUNCTIONS = [
    lambda x: torch.expm1(x / 4) + torch.log1p(x.abs()) + torch.log(x.abs() + 1) + torch.exp(-x.abs()),
    lambda x: torch.sin(x) * torch.cos(x) + torch.erf(x) + torch.tanh(x) + torch.sigmoid(x) + F.gelu(x) + F.silu(x),
    lambda x: x.abs().sqrt() + (x.abs() + 1).rsqrt() + 1 / (2 + x.abs()) + x**3 + (1 + x.abs()) ** 1.5 + x**2,
    lambda x: torch.where((x > 0) & (x < 1) | ~(x >= -1), x, -x) + torch.where((x <= 0) ^ (x == 0), 2 * x, x),
    lambda x: torch.where(torch.logical_and(x > 0, x != 1) | torch.logical_not(x > 1), x, 3 * x),
    lambda x: torch.where(torch.logical_or(x > 2, x.isnan()), x, 3 * x),
    lambda x: torch.maximum(x, x.mean()) - torch.minimum(x, -x) + x.clamp(-0.5, 0.7) + x.clamp(min=0.1) + F.relu(x),
    lambda x: x * torch.sign(x) + torch.floor(x) - torch.ceil(x) + torch.add(x, x, alpha=3) - torch.sub(x, 1, alpha=2),
    lambda x: (x - x.amax(1, keepdim=True)) / (1 + x.std()) + x.sum((0, 1), keepdim=True) + torch.ones_like(x),
    moved,
]  # fmt: skip
LAYERS: dict[str, Callable[[int], nn.Module]] = {
    **{name: NORMS[name] for name in (*sorted(TRANSLATED), "batch", "group", "layer", "rms")},
    **{layer.__name__: layer for layer in (Batch, Largest, Grouped, Standard, nn.PReLU)},
    **{f"function {number}": lambda features, f=f: Of(f) for number, f in enumerate(FUNCTIONS)},
}


def made(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layer, x = LAYERS[name](shape[1]).to(dtype), 2 * torch.randn(shape, dtype=dtype)
    for tensor in (*layer.parameters(), *layer.buffers()):
        if tensor.is_floating_point():
            tensor.detach().mul_(1 + torch.rand_like(tensor))
    if isinstance(getattr(layer, "eps", None), float):
        layer.eps = 0.1  # two close values of a small batch would amplify rounding
    return layer, x


def laid_out(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor.contiguous()


def addresses(*tensors: Tensor) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def shapes_of(name: str) -> list[tuple[int, ...]]:
    """A function of single values or of whole tensors sees no more of the largest shapes than of the others."""
    return SHAPES[:4] if name.startswith("function") else SHAPES


def is_tried(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Tell what is tried without ``--whole``: each layer with vectors and with images, and every shape with some."""
    turn, images = list(LAYERS).index(name), [shape for shape in shapes_of(name) if len(shape) > 2]
    if dtype == torch.float32:
        return shape == SHAPES[1 + turn % 2]
    return shape in (SHAPES[turn % 2], images[turn % len(images)])


def marks_of(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """What is tried, every other layer in float32 among further members: its code is the same but for the type."""
    if not is_tried(name, shape, dtype):
        return whole
    in_turn = list(LAYERS).index(name) % 4 < 2  # two and two, as shapes alternate
    return long if dtype == torch.float32 and not in_turn else ()


EVERY = [
    (name, shape, dtype)
    for name in LAYERS
    for dtype, shapes in ((torch.float64, shapes_of(name)), (torch.float32, SHAPES[1:3]))
    for shape in shapes
]


def test_each_layer_is_tried_with_each_kind_of_input_and_each_shape_with_layers_of_each_kind():
    tried = [case for case in EVERY if is_tried(*case)]
    kinds = {(name, len(shape), dtype) for name, shape, dtype in tried if dtype == torch.float64}
    assert kinds == {(name, ndim, torch.float64) for name in LAYERS for ndim in (2, 4)}
    assert {name for name, _, dtype in tried if dtype == torch.float32} == set(LAYERS)
    layers = [(shape, dtype, name.startswith("function")) for name, shape, dtype in EVERY]
    assert {(shape, dtype, name.startswith("function")) for name, shape, dtype in tried} == set(layers)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [pytest.param(*case, marks=marks_of(*case)) for case in EVERY],
    ids=str,
)
def test_compiled_layers_do_what_they_do_in_torch(name: str, shape: tuple[int, ...], dtype: torch.dtype):
    try:
        layer, x = made(name, shape, dtype)
        before, expected = copy.deepcopy(layer), copy.deepcopy(layer)
        y = expected(x_own := x.clone().requires_grad_())
    except Impossible:
        return
    code = code_of(layer, x)
    own, gradient = (
        [laid_out(tensor.detach()) for tensor in (*before.parameters(), *before.buffers())],
        torch.randn_like(x),
    )
    x, gradient = laid_out(x), laid_out(gradient)
    made_y, scratch = torch.empty_like(x), torch.full((code.workspace + 1,), float("nan"), dtype=dtype)
    buffers = [torch.empty_like(buffer) for buffer in before.buffers()]
    CALLED(code.forward)(addresses(x, *own), addresses(made_y, *buffers), scratch.data_ptr())
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(made_y, y.detach(), **tolerance)
    for mine, theirs in zip(buffers, expected.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)
    gradients = [torch.empty_like(x), *(torch.empty_like(parameter) for parameter in before.parameters())]
    scratch.fill_(float("nan"))
    CALLED(code.backward)(addresses(x, gradient, *own), addresses(*gradients), scratch.data_ptr())
    wanted = torch.autograd.grad(y, [x_own, *expected.parameters()], gradient, allow_unused=True)
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if theirs is None else theirs, **tolerance)
    for tensor, kept in zip(
        (*layer.parameters(), *layer.buffers()), (*before.parameters(), *before.buffers()), strict=True
    ):
        assert torch.equal(tensor, kept), "the layer is left as it was"


@long
def test_every_operation_is_tried_above():
    tried = set()
    for name in LAYERS:
        for graph in operations_of(*made(name, (3, 8, 4, 5), torch.float64)):
            tried |= {str(node.target).split(".")[1] for node in graph.nodes if "aten." in str(node.target)}
    assert not {*OP_TABLE, *OPS} - tried


@pytest.mark.parametrize("sick", [float("nan"), float("inf")])
def test_sick_numbers_stay_sick(sick: float):
    layer, x = made("Largest", (4, 6), torch.float32)
    x[1, 2] = sick
    code, y = code_of(layer, torch.randn(4, 6)), torch.empty(4, 6)
    scratch = torch.empty(code.workspace + 1)
    CALLED(code.forward)(addresses(x), addresses(y), scratch.data_ptr())
    assert torch.equal(y.isfinite(), layer(x).isfinite())


class Cumulating(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1)


class Narrow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float().to(x.dtype)


class Clamping(nn.Module):
    """Changes its parameter in place."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((6,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data.clamp_(0, 1)
        return x * self.weight


class Rounding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.long()


@pytest.mark.parametrize(
    "layer",
    [
        Drawing(6),
        Counting(6),
        Reading(6),
        Remembering(6),
        Cumulating(),
        Narrow(),
        Rounding(),
        Of(lambda x: x.half().to(x.dtype)),
    ],
)
def test_what_has_no_translation_is_told(layer: nn.Module):
    with pytest.raises(NotNative, match=f"{type(layer).__name__}: "):
        code_of(layer, torch.randn(4, 6, dtype=torch.float64))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sources are kept, of a process that knows none."""
    monkeypatch.setattr(translated, "_known", {})
    monkeypatch.setattr(translated, "kept_folder", lambda name: tmp_path / name)
    return tmp_path / "translations"


def test_code_that_does_something_else_is_found(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    layer, x = made("Grouped", (4, 6), torch.float64)
    monkeypatch.setitem(OP_TABLE, "sqrt", "({0} + 1)")
    with pytest.raises(NotNative, match="something else"):
        code_of(layer, x)


def test_a_layer_is_followed_once(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    layer, x = made("Grouped", (4, 6), torch.float64)
    code_of(layer, x)
    monkeypatch.setattr(translated, "_known", {})
    monkeypatch.setattr(translated, "_translated", pytest.fail)
    code_of(layer, x)
    code_of(layer.float(), x.float())
    (kept,) = elsewhere.iterdir()
    kept.unlink()
    code_of(layer, x)  # known to the process


@pytest.mark.parametrize("stale", ["", "no code", "Largest"])
def test_a_source_of_another_layer_is_replaced(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, stale: str):
    layer, x = made("Grouped", (4, 6), torch.float64)
    code_of(layer, x)
    (kept,) = elsewhere.iterdir()
    right = kept.read_text()
    keep(kept, translated._translated(*made(stale, (4, 6), torch.float64)) if stale in LAYERS else stale)
    monkeypatch.setattr(translated, "_known", {})
    code_of(layer, x)
    assert kept.read_text() == right


@pytest.mark.parametrize("damage", SOME_DAMAGES)
def test_a_source_that_is_not_as_it_was_written_is_not_executed(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage
):
    layer, x = made("Grouped", (4, 6), torch.float64)
    code_of(layer, x)
    (kept,) = elsewhere.iterdir()
    right = kept.read_text()
    damage(kept)
    monkeypatch.setattr(translated, "_known", {})
    compiled = []
    monkeypatch.setattr(translated, "library", lambda dtype, source: compiled.append(source) or library(dtype, source))
    code_of(layer, x)
    assert kept.read_text() == right and compiled == [right.partition("\n")[2]]


class Tiring(nn.Module):
    """As another layer that looks the same, until it has been called often enough."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * 2 if self.calls < 100 else x


def test_a_layer_that_counts_is_not_taken_for_one_that_does_not(elsewhere: Path):
    layer, x = Tiring(), torch.randn(4, 6)
    keep(elsewhere / f"{translated._key(layer, x)}.c", translated._translated(Of(lambda x: x * 2), x))
    with pytest.raises(NotNative, match=r"Tiring: Tiring\.calls"):
        code_of(layer, x)


def _numbers(last: float) -> list[float]:
    return [*map(float, range(5000)), last]


def _record(last: float) -> np.void:
    """A number of numpy that holds others, which its words leave out."""
    record = np.zeros((), dtype=[("numbers", float, 5001)])
    record["numbers"] = _numbers(last)
    return record[()]


def _generator(last: float) -> np.random.RandomState:
    generator = np.random.RandomState(0)
    _, words, *rest = generator.get_state()
    generator.set_state(("MT19937", [*words[:300], int(last), *words[301:]], *rest))
    return generator


KEEPING: dict[str, Callable[[float], object]] = {
    "list": _numbers,
    "tuple": lambda last: tuple(_numbers(last)),
    "list of lists": lambda last: [_numbers(last)],
    "dict": lambda last: {"numbers": _numbers(last)},
    "set": lambda last: set(_numbers(last)),
    "array": lambda last: array.array("d", _numbers(last)),
    "numpy": lambda last: np.array(_numbers(last)),
    "numpy of two dimensions": lambda last: np.array([_numbers(last)]),
    "numpy of objects": lambda last: np.array([_numbers(last), None], dtype=object),
    "record": _record,
    "generator of numpy": _generator,
    "tensor": lambda last: torch.tensor(_numbers(last)),
    "bytes": lambda last: np.array(_numbers(last)).tobytes(),
}


@pytest.mark.parametrize("kind", KEEPING)
def test_layers_that_differ_in_one_number_of_many_have_two_keys(kind: str):
    """Or none: no key is made of words that leave numbers out."""
    x, keys = torch.randn(4, 6), []
    with np.printoptions(threshold=10):
        for last in (1.5, 2.5, 1.5):
            layer = Of(torch.relu)
            layer.numbers = KEEPING[kind](last)
            keys.append(translated._key(layer, x))
    assert keys[0] is None or (keys[0] == keys[2] and keys[0] != keys[1])


@pytest.mark.parametrize(
    ("model", "norm", "settings"),
    [
        pytest.param(
            model,
            norm,
            settings,
            marks=()
            if (settings == SETTINGS[0] and model != "resnet20") or (model, norm) == ("mlp", Batch)
            else long
            if model == "mlp" or norm is Batch
            else whole,
        )
        for model in ("mlp", "cnn", "resnet20")
        for norm in (Batch, Largest, Grouped, Standard, Own)
        for settings in SETTINGS
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else getattr(value, "__name__", value),
)
def test_lanes_agree_with_their_reference_runs(model: str, norm, settings: list[str]):
    spec = make_spec(f"model={model}", "norm=none", "precision=fp64", "steps=8", *settings)
    data, parts = small(load_data(spec), 130), with_norm(norm)
    specs = lanes_of(spec) if isinstance(spec.optim, Sgd) else [replace(spec, seed=seed) for seed in range(3)]
    found = stacked(specs, data, native=True, parts=parts)
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))
    assert stacked(specs[1:2], data, native=True, parts=parts) == found[1:2], "no bit depends on companions"


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours():
    spec = make_spec("model=cnn", "norm=none", "epochs=3", "batch_size=16", "lr=0.05", "divergence_factor=5")
    data, parts = small(load_data(spec), 96), with_norm(Batch)
    calm = [replace(spec, seed=seed) for seed in range(4)]
    wild = [calm[0], replace(calm[1], lr=1e30), *calm[2:]]
    behaved, disturbed = (stacked(specs, data, native=True, parts=parts) for specs in (calm, wild))
    assert isinstance(disturbed[1][-1], Outcome) and disturbed[1][-1].status == "diverged"
    assert [disturbed[lane] for lane in (0, 2, 3)] == [behaved[lane] for lane in (0, 2, 3)]


@pytest.mark.parametrize("norm", [Unlike, Clamping, Counting])
def test_lanes_of_what_has_no_translation_are_trained_by_torch(norm):
    spec = make_spec("model=mlp", "norm=none", "batch_size=8", "epochs=30")
    parts = with_norm(norm if norm is not Clamping else lambda features: Clamping())
    assert why_not_native(Case(spec, parts, load_data(spec))) is not None


@pytest.mark.parametrize(("epochs", "runs", "worth"), [(2, 10, False), (50, 10, True), (2, 500, True)])
def test_little_training_is_not_worth_it(epochs: int, runs: int, worth: bool):
    spec = make_spec("model=mlp", "norm=none", "batch_size=32", f"epochs={epochs}")
    case = Case(spec, with_norm(Batch), load_data(spec))
    assert (why_not_native(case, runs) is None) is worth
