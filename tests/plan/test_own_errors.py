"""Before training, an error of a user's code is left to its run, and a bug of this program is heard of at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnbench.components import Components, components
from bnbench.error_origin import is_bug
from bnbench.plan import Division
from bnbench.plan.calibration import seconds_per_lane
from bnbench.plan.case import CPU, Case
from bnbench.plan.contract import wrong_axes
from bnbench.plan.estimate import stack_seconds
from bnbench.plan.lanes import quick_lanes
from bnbench.plan.size import likely_seconds
from bnbench.spec import stack_key
from tests.conftest import load_data, make_spec

SPEC = make_spec("model=mlp", "norm=none", "batch_size=4", "steps=20")


class Raises(nn.Module):
    """A user's norm that fails; the test's own module is a user's as far as the program can tell."""

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("not now")


def with_norm(norm: Any) -> Components:
    registries = components().registries
    return Components({**registries, "norm": {**registries["norm"], "none": norm}}, {})


def _estimated(case: Case) -> list[float]:
    found = Division({}, {stack_key(SPEC): 1.0})
    return stack_seconds({"a": SPEC}, case.components, lambda spec: case.data, CPU, [("a",)], found).seconds


Ask = Callable[[Case], Any]
PLACES: dict[str, tuple[Ask, Any, str]] = {
    "seconds of a lane": (lambda case: seconds_per_lane(case, 2), math.inf, "bnbench.plan.calibration.measure_steps"),
    "seconds of a run": (likely_seconds, 0.0, "bnbench.plan.case.activations"),
    "quick lanes": (lambda case: quick_lanes(case, 4, 2, False), 1, "bnbench.plan.lanes.lane_bytes"),
    "estimate": (_estimated, [0.0], "bnbench.plan.estimate.measure_steps"),
    "axes": (lambda case: wrong_axes(case.spec, case.components, torch.ones(4, 3)), None, ""),
}
"""Questions, their answers about a norm that raises, and a function of this program without which they fail."""


@pytest.mark.parametrize("place", PLACES)
def test_a_users_error_is_left_to_its_run_and_a_bug_is_raised(place: str, monkeypatch: pytest.MonkeyPatch):
    ask, answer, part = PLACES[place]
    data = load_data(SPEC)
    assert ask(Case(SPEC, with_norm(Raises), data)) == answer
    parts = components()
    if part:
        monkeypatch.setattr(part, None)
    else:
        parts = with_norm(None)
    with pytest.raises(TypeError, match="NoneType"):
        ask(Case(SPEC, parts, data))


@pytest.mark.parametrize("has_user_code", [False, True])
def test_an_error_of_torch_is_that_of_a_plugin_where_there_is_one(has_user_code: bool):
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(2, 2)(torch.ones(3, 3))
    error = caught.value.with_traceback(caught.value.__traceback__ and caught.value.__traceback__.tb_next)
    assert is_bug(error, has_user_code) is not has_user_code


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(), RuntimeError("can't allocate memory")])
def test_a_lack_of_memory_is_no_bug(error: BaseException):
    assert not is_bug(error, has_user_code=False)
