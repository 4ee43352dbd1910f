"""Times of steps: how many are taken, in which order, and that slow is told from fast."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.probes import take, take_interleaved
from bnbench.probes.step_time import PARTS, Times, step_times, time_steps
from bnbench.training import Halt
from tests.conftest import load_data, make_spec
from tests.probes.networks import data_of, measure, pause_of

PAUSE = 0.02


class Recorder(nn.Module):
    """A linear network that notes its calls, and takes its time."""

    def __init__(self, name: str, calls: list[str], seconds: float) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.note = lambda: calls.append(name)
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.note()
        time.sleep(self.seconds)
        y: torch.Tensor = self.linear(x.flatten(1))
        return y


def test_networks_take_turns_and_only_steps_after_the_warm_up_count():
    calls: list[str] = []
    data = data_of(torch.zeros(8, 4, 1, 1), torch.zeros(8, dtype=torch.int64))
    spec = make_spec("batch_size=8")
    pauses = [
        pause_of("step_time", spec, Recorder(name, calls, seconds), data)
        for name, seconds in (("a", 0.0), ("b", PAUSE))
    ]
    fast, slow = time_steps(pauses, warm_up=2, measured=3)
    assert calls == [*"ab", *"ba", *"ab", *"ba", *"ab"]
    for times in (fast, slow):
        assert times.keys() == {*PARTS, "step"}
        for number in range(3):
            assert abs(sum(times[part][number] for part in PARTS) - times["step"][number]) < 1e-9
        assert all(len(seconds) == 3 and min(seconds) > 0 for seconds in times.values())
    assert min(slow["forward"]) >= PAUSE > min(slow["update"])


def test_median_and_spread_of_every_part():
    values = measure("step_time", "model=mlp")
    names = [f"{part}_{what}" for part in (*PARTS, "step") for what in ("median", "iqr")]
    assert set(values) == {("network", name) for name in (*names, "step_in_turns")}
    assert all(value >= 0 for value in values.values())
    assert values["network", "step_in_turns"] == pytest.approx(values["network", "step_median"])
    assert values["network", "step_median"] > max(values["network", f"{part}_median"] for part in PARTS) > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_slows_a_turn_down_is_in_no_ratio_of_steps_in_turns(monkeypatch: pytest.MonkeyPatch, seed: int):
    """Steps of 1, 1.1 and 2 on a machine that is up to ten times as slow for a while, and drifts."""
    rng = np.random.default_rng(seed)
    slow_T = np.exp(rng.uniform(0, np.log(10), 30)) * np.linspace(1, 3, 30)
    truth = (1.0, 1.1, 2.0)
    found: list[Times] = [{part: (own * slow_T).tolist() for part in (*PARTS, "step")} for own in truth]
    found[1]["step"][3] *= 50  # one step of one network was interrupted
    monkeypatch.setattr("bnbench.probes.step_time.time_steps", lambda pauses: found)
    values = [{value.name: value.value for value in own}["step_in_turns"] for own in step_times([])]
    assert values[1] / values[0] == pytest.approx(1.1) and values[2] / values[0] == pytest.approx(2.0)
    assert min(slow_T) < values[0] < 2 * max(slow_T)


def test_interleaved_runs_are_timed_in_turns_and_all_else_is_measured_as_alone():
    specs = [make_spec("model=mlp", f"norm={norm}", "probes=[step_time,memory]") for norm in ("batch", "none")]
    halts = []
    for spec in specs:
        data = load_data(spec)
        halts.append(Halt(spec, components().build(spec, data), data, 7))
    together = take_interleaved(halts)
    for halt, found in zip(halts, together, strict=True):
        alone = take(halt.spec, halt.network, halt.data, halt.step)
        assert [(one.step, one.probe, one.layer, one.name) for one in found] == [
            (one.step, one.probe, one.layer, one.name) for one in alone
        ]
        assert [one for one in found if one.probe == "memory"] == [one for one in alone if one.probe == "memory"]
