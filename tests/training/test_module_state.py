"""What a layer keeps in Python reaches no compiled code, and what lanes would share reaches no stack."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnbench.native import c_compiler, prove_native
from bnbench.stacking import prove
from bnbench.training.module_state import changed, python_state, state_of
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import with_norm
from tests.engines.test_stacked import alone, assert_equal, lanes_of, small, stacked

BEGIN = 60
"""Calls from which a layer does something else."""


class Schedule(nn.Module):
    """Twice its input, and three times from call ``BEGIN`` on: how calls are counted is up to a subclass."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))

    def count(self) -> int:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        gain = 2.0 if not self.training or self.count() < BEGIN else 3.0
        return gain * x * self.weight.view(1, -1, *[1] * (x.dim() - 2))


def holding(make: Callable[[], object], advance: Callable[[object], int]) -> type[nn.Module]:
    """A layer with a counter of its own."""

    class Held(Schedule):
        def __init__(self, num_features: int) -> None:
            super().__init__(num_features)
            self.counter = make()

        def count(self) -> int:
            return advance(self.counter)

    return Held


@dataclasses.dataclass
class Count:
    steps: int = 0


class Slots:
    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0


def add(counter) -> int:
    counter.steps += 1
    return counter.steps


def push(counter) -> int:
    counter.append(1.0)
    return len(counter)


def put(counter) -> int:
    counter["steps"] = counter.get("steps", 0) + 1
    return counter["steps"]


def write(counter) -> int:
    counter += 1
    return int(counter.flat[0] if isinstance(counter, np.ndarray) else counter)


def nested(counter) -> int:
    return add(counter["a"][0])


def numbers() -> Iterator[int]:
    yield from itertools.count(1)


OF_A_LAYER = {
    "dataclass": (Count, add),
    "slots": (Slots, add),
    "namespace": (lambda: SimpleNamespace(steps=0), add),
    "list": (list, push),
    "deque": (collections.deque, push),
    "dict": (dict, put),
    "counter": (collections.Counter, put),
    "nested": (lambda: {"a": [Count()]}, nested),
    "count": (lambda: itertools.count(1), next),
    "iterator": (lambda: iter(range(1, 1000)), next),
    "generator": (numbers, next),
    "array": (lambda: np.zeros(1), write),
    "tensor": (lambda: torch.zeros(()), write),
    "partial": (lambda: functools.partial(add, Count()), lambda counter: counter()),
    "method": (lambda: [].append, lambda counter: counter(1) or len(counter.__self__)),
    "closure": (lambda: closed(), lambda counter: counter()),
    "random": (lambda: random.Random(0), lambda counter: int(counter.random() * 2 * BEGIN)),
}


class ClassAttribute(Schedule):
    steps = 0

    def count(self) -> int:
        ClassAttribute.steps += 1
        return ClassAttribute.steps


class ClassList(Schedule):
    seen: list[float] = []  # noqa: RUF012

    def count(self) -> int:
        return push(self.seen)


STEPS = 0


class Global(Schedule):
    def count(self) -> int:
        global STEPS
        STEPS += 1
        return STEPS


def closed() -> Callable[[], int]:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return steps

    return step


class Closure(Schedule):
    advance = staticmethod(closed())

    def count(self) -> int:
        return self.advance()


class Default(Schedule):
    def count(self, counter: Count = Count()) -> int:  # noqa: B008
        return add(counter)


class FunctionAttribute(Schedule):
    def count(self) -> int:
        function = FunctionAttribute.count
        function.steps = getattr(function, "steps", 0) + 1
        return function.steps


ONE_FOR_ALL = Count()


class Shared(Schedule):
    """The object belongs to every layer."""

    def __init__(self, num_features: int, counter: Count = ONE_FOR_ALL) -> None:
        super().__init__(num_features)
        self.counter = counter

    def count(self) -> int:
        return add(self.counter)


GENERATOR = numbers()


class GlobalGenerator(Schedule):
    def count(self) -> int:
        return next(GENERATOR)


class Environment(Schedule):
    def count(self) -> int:
        os.environ["BNBENCH_TEST_STEPS"] = str(int(os.environ.get("BNBENCH_TEST_STEPS", "0")) + 1)
        return int(os.environ["BNBENCH_TEST_STEPS"])


class ByName(Schedule):
    def count(self) -> int:
        globals()["STEPS"] += 1
        return STEPS


class Timed(Schedule):
    def count(self) -> int:
        return int(time.monotonic() < 0)


OF_ALL = [
    ClassAttribute,
    ClassList,
    Global,
    Closure,
    Default,
    FunctionAttribute,
    Shared,
    GlobalGenerator,
    Environment,
    ByName,
]

LAYERS = {**{name: holding(*pair) for name, pair in OF_A_LAYER.items()}, **{kind.__name__: kind for kind in OF_ALL}}


def built(norm: type[nn.Module], spec):
    data = small(load_data(spec), 64)
    return data, lambda seed: with_norm(norm).build(dataclasses.replace(spec, seed=seed), data)


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What layers share begins anew with each test, whatever the others have left."""
    monkeypatch.setattr(ClassAttribute, "steps", 0)
    ClassList.seen.clear()
    monkeypatch.setitem(globals(), "STEPS", 0)
    monkeypatch.setattr(Closure, "advance", staticmethod(closed()))
    monkeypatch.setattr(Default.count, "__defaults__", (Count(),))
    monkeypatch.setattr(FunctionAttribute.count, "steps", 0, raising=False)
    ONE_FOR_ALL.steps = 0
    monkeypatch.setitem(globals(), "GENERATOR", numbers())
    monkeypatch.setenv("BNBENCH_TEST_STEPS", "0")


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", [*LAYERS, "Timed"])
def test_what_python_keeps_is_not_compiled(name: str):
    spec = make_spec("model=mlp", "norm=none", "model.depth=1", "batch_size=8")
    data, build = built(LAYERS.get(name, Timed), spec)
    reason = prove_native(spec, build, data.shape, data.classes, 8)
    expected = "pickle" if name == "generator" else "which a step changes or which cannot be compared"
    assert reason is not None and ("tracing tensor" if name == "tensor" else expected) in reason


@pytest.mark.parametrize("kind", OF_ALL)
def test_what_lanes_would_share_is_not_stacked(kind: type[nn.Module]):
    spec = make_spec("model=mlp", "norm=none", "model.depth=1", "batch_size=8")
    data, build = built(kind, spec)
    assert "belongs to more than one run" in str(prove(build, data.shape, 8))


@pytest.mark.parametrize("name", OF_A_LAYER)
def test_a_layer_that_counts_for_itself_is_the_same_in_a_stack(name: str):
    """The layer changes what it does in the middle of training; calls at evaluation do not count."""
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", f"steps={2 * BEGIN}", "batch_size=8", "lr=0.01")
    data, build = built(LAYERS[name], spec)
    reason = prove(build, data.shape, 8)
    if reason is not None:
        assert name in ("method", "closure", "generator")  # a copy of them would count for the original too
        return
    parts, specs = with_norm(LAYERS[name]), lanes_of(spec)
    for ours, lane in zip(stacked(specs, data, parts=parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))


def test_content_is_compared_and_not_identity():
    layer = holding(lambda: {"a": [1, (2.0, "b")], "c": {3}}, put)(4)
    before = state_of(layer)
    layer.counter = {"a": [1, (2.0, "b")], "c": {3}}
    assert changed(before, state_of(layer)) is None and before.digest() == state_of(layer).digest()
    layer.counter["a"][1] = (2.0, "c")
    assert changed(before, state_of(layer)) == "Held.counter.'a'.1.1" and before.digest() != state_of(layer).digest()


def test_arrays_that_print_alike_are_told_apart():
    """``repr`` shows the ends of a long array."""
    first, second = (holding(lambda: np.arange(5000), write)(4) for _ in range(2))
    assert state_of(first).digest() == state_of(second).digest()
    second.counter[2500] = 0
    assert repr(first.counter) == repr(second.counter)
    assert state_of(first).digest() != state_of(second).digest()


class Hostile:
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("no")


OBJECTS = {
    "hostile": lambda: [Hostile()],
    "built in": lambda: open,
    "generator": lambda: (x for x in ""),
    "object": object,
    "alike": lambda: [[]] * 3,
    "surrogate": lambda: "\ud800",
    "class": lambda: {Hostile: 1},
}


@pytest.mark.parametrize("name", OBJECTS)
def test_any_object_can_be_looked_at(name: str):
    layer = holding(OBJECTS[name], put)(4)
    assert changed(state_of(layer), state_of(layer)) in (None, state_of(layer).incomparable())


def test_the_layers_that_come_with_bnbench_and_torch_keep_nothing():
    spec = make_spec("model=cnn")
    _, build = built(nn.BatchNorm2d, spec)
    assert not python_state(build(0)).places
