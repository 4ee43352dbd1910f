"""Estimates against the clock, and against what sizes and rules say."""

import time

import pytest
import torch

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.engines import StackOptions, train, train_stack
from bnbench.plan import makespan, stacks
from bnbench.plan.case import Case
from bnbench.plan.choice import Means, division
from bnbench.plan.estimate import stack_seconds
from bnbench.plan.proofs import why_not_native
from bnbench.spec import RunSpec, run_id, stack_key
from bnbench.training import prepare_process
from tests.conftest import load_data

CPU = torch.device("cpu")
PARTS = components()


@pytest.fixture(autouse=True)
def _own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are those of this thread, whatever other tests run at the same time."""
    prepare_process()
    monkeypatch.setattr("bnbench.plan.estimate.now", lambda device: time.thread_time())


def estimate_seconds(specs, parts, data, device, workers=1, lanes=None, known=None, **named) -> float:
    found = division(specs, parts, data, Means(workers, lanes, device), known)
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
    found = division(specs, PARTS, load_data, Means(1, 1))
    planned = stacks(specs, found.executions, 1)
    full, guessed = (
        stack_seconds(specs, PARTS, load_data, CPU, planned, found, budget=budget).seconds for budget in (10.0, 0.0)
    )
    larger = max(range(2), key=full.__getitem__)
    assert full[larger] / 3 < guessed[larger] < full[larger] * 3
    assert guessed[1 - larger] < guessed[larger] / 1.2


def test_what_there_is_no_time_to_measure_is_taken_as_the_mean():
    specs = specs_of("model=mlp", "batch_size=8,16,32,64,128", "epochs=1")
    full = estimate_seconds(specs, PARTS, load_data, CPU)
    one_measured = estimate_seconds(specs, PARTS, load_data, CPU, budget=0.0)
    assert 0 < one_measured < 20 * full
