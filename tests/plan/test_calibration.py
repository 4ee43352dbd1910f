"""What is measured where the sizes of a network do not tell how many lanes are quick."""

import sys

import pytest

from bnbench.components import components
from bnbench.plan import stacks
from bnbench.plan.calibration import quickest, seconds_per_lane
from bnbench.spec import run_id, stack_key
from tests.conftest import load_data, make_spec


def test_small_batches_of_an_mlp_are_quicker_together():
    spec = make_spec("model=mlp", "batch_size=2")
    data = load_data(spec)
    alone, together = (seconds_per_lane(spec, components(), data, lanes) for lanes in (1, 16))
    assert together < alone / 2
    assert quickest(spec, components(), data, [1, 16], worth=10**6) == 16


def test_little_work_is_not_measured():
    spec = make_spec("model=mlp", "batch_size=2")
    assert quickest(spec, components(), load_data(spec), [3, 16], worth=10) == 3


def test_a_deep_network_is_tried_with_more_lanes_than_fit_the_caches(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def quickest(spec, components, data, candidates, worth):
        asked.append((candidates, worth))
        return candidates[-1]

    monkeypatch.setattr(sys.modules["bnbench.plan.stacks"], "quickest", quickest)
    specs = {
        run_id(spec): spec
        for seed in range(12)
        if (spec := make_spec("model=resnet20", "batch_size=32", "steps=50", f"seed={seed}"))
    }
    found = stacks(specs, components(), load_data, workers=2)
    assert asked == [([1, 6], 6 * 50)]
    assert [len(stack) for stack in found] == [6, 6]


def test_what_a_sweep_began_with_goes_on():
    specs = {run_id(spec): spec for seed in range(6) if (spec := make_spec("model=mlp", f"seed={seed}"))}
    (key,) = {stack_key(spec) for spec in specs.values()}
    found = stacks(specs, components(), load_data, workers=1, before={key: 2})
    assert [len(stack) for stack in found] == [2, 2, 2]
