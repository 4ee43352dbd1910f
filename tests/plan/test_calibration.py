"""What is measured where the sizes of a network do not tell how many lanes are quick."""

import math
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bnbench.components import Components, components
from bnbench.devices import Device
from bnbench.plan import Resources, stacks
from bnbench.plan.calibration import quickest, seconds_per_lane
from bnbench.plan.case import Case
from bnbench.plan.choice import division
from bnbench.plan.execution import NOT_READY
from bnbench.spec import run_id
from tests.conftest import load_data, make_spec


def test_small_batches_of_an_mlp_are_quicker_together():
    spec = make_spec("model=mlp", "batch_size=2")
    case = Case(spec, components(), load_data(spec))
    alone, together = (seconds_per_lane(case, lanes) for lanes in (1, 16))
    assert together < alone / 2
    assert quickest(case, [1, 16], worth=10**6) == 16


def test_little_work_is_not_measured():
    spec = make_spec("model=mlp", "batch_size=2")
    assert quickest(Case(spec, components(), load_data(spec)), [3, 16], worth=10) == 3


def test_a_deep_network_is_tried_with_more_lanes_than_fit_the_caches(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def quickest(case, candidates, worth):
        asked.append((candidates, worth))
        return candidates[-1]

    monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], "quickest", quickest)
    specs = {
        run_id(spec): spec
        for seed in range(12)
        if (spec := make_spec("model=resnet20", "grad_clip=1", "batch_size=32", "steps=50", f"seed={seed}"))
    }
    found = stacks(specs, division(specs, components(), load_data, Resources(2)).executions, workers=2)
    assert asked == [([1, 6], 6 * 50)]
    assert [len(stack) for stack in found] == [6, 6]


@pytest.mark.parametrize(
    ("cells", "lanes"),
    [
        ([("steps=50",)], {6}),
        ([("steps=5000",)], {1}),
        ([("steps=50",), ("steps=5000",)], {1}),  # all wait if one does
        ([("steps=5000",), ("steps=5000", "grad_clip=1")], {1, 6}),  # which compiled code does not know
    ],
)
def test_torch_is_not_measured_where_compiled_code_will_be_waited_for(
    monkeypatch: pytest.MonkeyPatch, cells: list[tuple[str, ...]], lanes: set[int]
):
    def why_not_native(case: Case, runs: int) -> str | None:
        return NOT_READY if case.spec.grad_clip is None else "no"

    monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], "quickest", lambda case, candidates, worth: candidates[-1])
    monkeypatch.setattr(sys.modules["bnbench.plan.choice"], "why_not_native", why_not_native)
    every = [
        make_spec("model=resnet20", "batch_size=32", *cell, f"seed={seed}") for cell in cells for seed in range(12)
    ]
    specs = {run_id(spec): spec for spec in every}
    found = division(specs, components(), load_data, Resources(2, compiles=False)).executions
    assert {one.lanes for one in found.values()} == lanes


@pytest.mark.parametrize("trouble", ["raises", "diverges"])
def test_what_cannot_be_measured_is_left_to_its_worker(trouble: str):
    class Trouble(nn.Module):
        def __init__(self, features: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            if trouble == "raises":
                raise RuntimeError("not now")
            return x * math.nan

    spec = make_spec("model=mlp", "norm=none", "batch_size=2")
    registries = components().registries
    parts = Components({**registries, "norm": {**registries["norm"], "none": Trouble}}, {})
    case = Case(spec, parts, load_data(spec))
    assert [seconds_per_lane(case, lanes) for lanes in (1, 3)] == [math.inf, math.inf]
    assert quickest(case, [2, 4], worth=10**9) == 2


@pytest.mark.parametrize(
    ("free", "count", "workers", "device", "lanes"),
    [
        (2**40, 1, 1, "cuda", 80),
        (2**26, 1, 1, "cuda", 23),  # a lane's activations are 0.7 MB, of which a quarter of 64 MiB holds 23
        (2**26, 1, 2, "cuda", 11),  # two workers share it
        (2**26, 2, 2, "cuda", 23),  # each has a GPU
        (2**26, 2, 3, "cuda", 11),  # one has two workers
        (2**26, 2, 2, "cuda:1", 11),
    ],
)
def test_a_gpu_is_filled(monkeypatch: pytest.MonkeyPatch, free: int, count: int, workers: int, device: str, lanes: int):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], "memory_of", lambda gpu: (free, 2 * free))
    spec = make_spec("model=cnn", "batch_size=32", "steps=100")
    specs = {run_id(lane): lane for seed in range(80 * workers) if (lane := replace(spec, seed=seed))}
    found = division(specs, components(), load_data, Resources(workers, None, Device(device)))
    assert [one.lanes for one in found.executions.values()] == [lanes]
