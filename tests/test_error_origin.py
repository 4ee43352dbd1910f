"""Wherever a user's code may raise anything, its errors are answers, and this program's are raised."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.errors import Impossible
from bnbench.models import build
from bnbench.models.redundant_biases import freeze_cancelled_biases
from bnbench.native import NotNative, c_compiler
from bnbench.native.codegen.compiled_layer import code_of
from bnbench.native.graph import Graph, Output
from bnbench.native.layer_rules import keeps_shape
from bnbench.native.proof import prove_native
from bnbench.native.tracer import graph_of
from bnbench.norms.common.bias import cancels_bias
from bnbench.spec import Choice
from bnbench.stacking import LaneByLane, fold, prove
from bnbench.stacking.graph_capture.runner import LaneSteps
from bnbench.stacking.optimizers import make_lane_optimizer
from bnbench.stacking.step import LaneStep
from bnbench.stacking.vmap import _agrees
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.content import Incomparable, Walk
from bnbench.training.optimizer import decays
from tests.conftest import make_spec
from tests.engines.tape import Tape


def theirs(first: Any, second: Any = None) -> Any:
    """A user's mistake."""
    return {}["missing"]


def of_bnbench(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as if a file of this program held it."""
    assert isinstance(function, FunctionType)
    globals_ = {"__name__": "bnbench.planted", "__builtins__": __builtins__}
    return FunctionType(function.__code__, globals_, argdefs=function.__defaults__)


ours = of_bnbench(theirs)
"""The same mistake of this program."""
KINDS = {
    forward: type("Planted", (nn.Identity,), {"__module__": "bnbench.planted", "forward": forward})
    for forward in (theirs, ours)
}


def layer_of(forward: Callable[..., Tensor]) -> nn.Module:
    """A layer, whose class is this program's, of a function that runs when it is called."""
    layer: nn.Module = KINDS[forward]()
    layer.register_parameter("weight", nn.Parameter(torch.ones(4)))
    return layer


def network_of(forward: Callable[..., Tensor]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 4), layer_of(forward), nn.Linear(4, 3))


def trace(forward: Callable[..., Tensor]) -> object:
    """Follow a layer that a tracer looks into."""
    layer = KINDS[forward]()
    layer.inside = nn.Identity()
    with pytest.raises(NotNative) as error:
        graph_of(fold([layer]), (4, 1, 1), lambda tensor: ((), False))
    return error.value


def shape(forward: Callable[..., Tensor]) -> object:
    return keeps_shape(
        Graph(fold([network_of(forward)]), lambda tensor: ((), False)), "2", Output(0, (4, 1, 1), "vector")
    )


def translate(forward: Callable[..., Tensor]) -> object:
    with pytest.raises(NotNative) as error:
        code_of(layer_of(forward), torch.randn(2, 4, dtype=torch.float64))
    return error.value


def native(builder: Callable[..., nn.Module]) -> object:
    return prove_native(make_spec(), builder, (8, 1, 1), 3, 2)


def cancelled(forward: Callable[..., Tensor]) -> object:
    """What becomes of the bias before a norm when the network around it cannot be followed."""
    norm = nn.Identity()
    norm.cancels_bias = True
    network = nn.Sequential(nn.Linear(4, 4), norm, layer_of(forward), nn.Linear(4, 3))
    network[2].inside = nn.Identity()
    freeze_cancelled_biases(network, [norm])
    return network[0].bias.requires_grad


class Recorder(Tape):
    """Records nothing, for a reason."""

    def __init__(self, record: Callable[..., Any]) -> None:
        super().__init__()
        self.record = record  # type: ignore[method-assign]


def recording(record: Callable[..., Any]) -> object:
    spec, told = make_spec("precision=fp64"), list[str]()
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).double() for _ in range(2)]
    network = fold(networks).train()
    step = LaneStep(spec, network, make_lane_optimizer([spec] * 2, network, decays(spec.optim, networks[0])))
    steps = LaneSteps(step, Recorder(record), 5, (1, 2, 2), 3, told.append)
    steps.run(
        torch.randn(5, 4, 8, 1, 1).double(), torch.zeros(5, 2, 2, dtype=torch.int64), torch.zeros(5, 2, 1).double()
    )
    return told


def content(look: Callable[..., Any]) -> object:
    """What is noted of an object that is of this program, but for how it is looked at."""
    walk = Walk()
    walk.visit("x", type("Thing", (), {"__module__": "bnbench.planted", "cache_info": property(look)})())
    return walk.places["x"]


HANDLERS: dict[str, Callable[[Callable[..., Any]], object]] = {
    "bias": lambda forward: cancels_bias(layer_of(forward), 4),
    "mixing": lambda forward: mixes_examples(network_of(forward), (8, 1, 1)),
    "cancelled": cancelled,
    "content": content,
    "proof": lambda forward: prove(lambda seed: network_of(forward), (8, 1, 1), 2),
    "vmap": lambda forward: _agrees(LaneByLane([layer_of(forward)] * 2), torch.randn(4, 4).double()),
    "recording": recording,
    "trace": trace,
    "shape": shape,
    "native": native,
    "translate": translate,
}
NATIVE = {"native", "translate"}
ANSWERS = {
    "bias": False, "mixing": True, "cancelled": True, "vmap": False, "shape": False, "proof": "KeyError: 'missing'",
    "native": "KeyError: 'missing'",
    "content": Incomparable("Thing, which raised KeyError"),
    "recording": ["steps are not recorded, which is slower: KeyError: 'missing'"],
}  # fmt: skip
"""What is known where a user's code has raised an error; of others, that the error is told."""


@pytest.mark.parametrize("name", HANDLERS)
def test_errors_of_a_users_code_are_answers_and_those_of_this_program_are_raised(name: str):
    if name in NATIVE and c_compiler() is None:
        pytest.skip("there is no C compiler")
    answer = HANDLERS[name](theirs)
    assert answer == ANSWERS[name] if name in ANSWERS else "missing" in str(answer)
    with pytest.raises(KeyError, match="missing"):
        HANDLERS[name](ours)


def is_bug_of(function: Callable[..., Any], *arguments: object) -> bool:
    """Whether what a function raises is a bug, as its caller sees it."""
    with pytest.raises(Exception) as raised:
        function(*arguments)
    traceback = raised.value.__traceback__
    return is_bug(raised.value.with_traceback(traceback and traceback.tb_next))


@pytest.mark.parametrize("error", [Impossible("it is"), NotNative("it is"), RuntimeError("by torch"), MemoryError()])
def test_refusals_are_no_bugs(error: Exception):
    def refuse(error: Exception) -> None:
        raise error

    assert not is_bug_of(of_bnbench(refuse), error)


def test_attributes_that_a_layer_lacks_are_missed_by_who_asks():
    def ask(layer: nn.Module) -> object:
        return layer.missing

    assert is_bug_of(of_bnbench(ask), nn.Identity())
    assert not is_bug_of(ask, nn.Identity())


def test_a_reference_to_what_is_gone_has_no_content():
    walk, layer = Walk(), nn.Identity()
    walk.visit("x", weakref.proxy(layer))
    del layer
    walk = Walk()
    walk.visit("x", weakref.proxy(nn.Identity()))
    assert isinstance(walk.places["x"], Incomparable)


def test_layers_that_get_buffers_late_are_not_stacked():
    class Late(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not hasattr(self, "scale"):
                self.register_buffer("scale", torch.ones((), dtype=x.dtype))
            return x * self.scale

    reason = prove(lambda seed: build(Choice("mlp"), lambda channels: Late(), (1, 8, 8), 3, seed), (1, 8, 8), 4)
    assert reason == "a layer gets buffers when it is called: scale"
