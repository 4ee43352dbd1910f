"""Estimates against the clock, and against what sizes and rules say."""

import time

import pytest
import torch

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.engines import StackOptions, train, train_stack
from bnbench.plan import Resources, makespan, stacks
from bnbench.plan.case import Case
from bnbench.plan.choice import division
from bnbench.plan.estimate import _at, _by_worth, _Planned, stack_seconds
from bnbench.plan.proofs import why_not_native
from bnbench.spec import RunSpec, kind_key, run_id, stack_key
from bnbench.training import prepare_process
from tests.conftest import load_data

CPU = torch.device("cpu")
PARTS = components()


@pytest.fixture(autouse=True)
def _own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are those of this thread, whatever other tests run at the same time."""
    prepare_process()
    for module in ("estimate", "measurement"):
        monkeypatch.setattr(f"bnbench.plan.{module}.now", lambda device: time.thread_time())


def estimate_seconds(specs, parts, data, device, workers=1, lanes=None, known=None, **named) -> float:
    found = division(specs, parts, data, Resources(workers, lanes, known=known or {}))
    planned = stacks(specs, found.executions, workers, spread=lanes is None)
    return makespan(stack_seconds(specs, parts, data, device, planned, found, **named).seconds, workers)


def specs_of(*overrides: str) -> dict[str, RunSpec]:
    request = compose_request(overrides, PARTS)
    assert not request.problems
    return {run_id(spec): spec for spec in request.specs}


def test_the_estimate_of_single_runs_is_of_the_size_of_the_truth():
    specs = specs_of("model=mlp", "norm=none,batch", "batch_size=8,64", "seed=0,1", "epochs=3")
    start = time.thread_time()
    for spec in specs.values():
        data = load_data(spec)
        list(train(spec, PARTS.build(spec, data), data))
    truth = time.thread_time() - start
    estimate = estimate_seconds(specs, PARTS, load_data, CPU, lanes=1)
    assert truth / 3 < estimate < truth * 3


def test_the_estimate_of_a_stack_is_of_the_size_of_the_truth():
    specs = specs_of("model=mlp", "batch_size=4", "seed=range(24)", "epochs=2")
    members = list(specs.values())
    data = load_data(members[0])
    start = time.thread_time()
    native = why_not_native(Case(members[0], PARTS, data)) is None
    networks = [PARTS.build(spec, data) for spec in members]
    list(train_stack(members, networks, [data] * len(members), options=StackOptions(native=native)))
    truth = time.thread_time() - start
    estimate = estimate_seconds(specs, PARTS, load_data, CPU)
    assert truth / 3 < estimate < truth * 3
    assert estimate < estimate_seconds(specs, PARTS, load_data, CPU, lanes=1) / 2


def test_two_workers_take_half_as_long_and_a_single_run_is_not_divided():
    specs = specs_of("model=mlp", "batch_size=8", "seed=range(32)", "epochs=4")
    rounds = [
        [estimate_seconds(specs, PARTS, load_data, CPU, workers, lanes=1) for workers in (1, 2)] for _ in range(3)
    ]
    one, two = map(min, *rounds)  # of a machine with neighbours
    assert one / 4 < two < one
    single = specs_of("model=mlp", "batch_size=8", "epochs=4")
    alone, beside = (estimate_seconds(single, PARTS, load_data, CPU, workers) for workers in (1, 4))
    assert alone / 3 < beside < alone * 3


def test_limits_that_were_found_before_are_used():
    specs = specs_of("model=mlp", "batch_size=4", "seed=range(24)", "epochs=2")
    known = dict.fromkeys(map(stack_key, specs.values()), 1)
    together, apart = (estimate_seconds(specs, PARTS, load_data, CPU, known=limits) for limits in ({}, known))
    assert together < apart / 2


def test_what_there_is_no_time_to_measure_is_taken_by_its_size():
    """The most work is measured; the small network is two hundred times smaller, and not taken for its like."""
    specs = specs_of("model=mlp", "model.depth=2", "model.width=4,512", "batch_size=64", "epochs=3", "grad_clip=1")
    found = division(specs, PARTS, load_data, Resources(1, 1))
    planned = stacks(specs, found.executions, 1)
    full, guessed = (
        stack_seconds(specs, PARTS, load_data, CPU, planned, found, budget=budget).seconds for budget in (10.0, 0.0)
    )
    larger = max(range(2), key=full.__getitem__)
    assert full[larger] / 3 < guessed[larger] < full[larger] * 3
    assert guessed[1 - larger] < guessed[larger] / 1.2


@pytest.mark.parametrize(
    ("batch", "steps", "seconds"),
    [
        (8, {2: 1.0, 256: 128.0}, 4.0),
        (64, {2: 900.0, 32: 32.0, 128: 128.0}, 64.0),  # the two nearest
        (512, {32: 3.0, 256: 10.0}, 18.0),
        (1, {2: 1.0, 4: 1.5}, 0.75),
        (2, {8: 8.0, 16: 32.0}, 2.0),  # a line would be below zero
        (512, {32: 3.0, 256: 2.0}, 3.0),  # as noise has it
    ],
)
def test_a_batch_size_that_was_not_measured_lies_on_the_line_of_others(
    batch: int, steps: dict[int, float], seconds: float
):
    assert _at(batch, steps) == pytest.approx(seconds)


def test_the_ends_of_the_batch_sizes_of_each_network_are_measured_first():
    specs = specs_of("model=mlp", "norm=none,batch", "batch_size=8,32,64,128", "epochs=1")
    found = division(specs, PARTS, load_data, Resources())
    plan = _Planned(specs, PARTS, load_data, CPU, [(identity,) for identity in specs], found)
    alike = {kind_key(spec): [(identity,)] for identity, spec in specs.items()}
    order = [specs[alike[key][0][0]] for key in _by_worth(plan, alike)]
    assert [spec.batch_size for spec in order] == [8, 8, 128, 128, 32, 32, 64, 64]
    pairs = zip(order[::2], order[1::2], strict=True)
    assert all({one.norm.name, other.norm.name} == {"none", "batch"} for one, other in pairs)


def test_what_there_is_no_time_to_measure_is_taken_as_the_mean():
    specs = specs_of("model=mlp", "batch_size=8,16,32,64,128", "epochs=1")
    full = estimate_seconds(specs, PARTS, load_data, CPU)
    one_measured = estimate_seconds(specs, PARTS, load_data, CPU, budget=0.0)
    assert 0 < one_measured < 20 * full
