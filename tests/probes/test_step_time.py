"""Times of steps: how many are taken, in which order, that slow is told from fast, and busy machines from idle ones."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.environment import cores
from bnbench.probes import Pause, take, take_interleaved
from bnbench.probes.pause import loss_and_gradients, training_batches
from bnbench.probes.step_time import LONGEST_BLOCK, MEASURED, step_times, steps_of_block, time_steps
from bnbench.probes.training_step import PARTS, Times, in_common_layout
from bnbench.study.probe_measures import BUSY
from bnbench.training import Halt
from tests.conftest import load_data, make_spec
from tests.probes.networks import data_of, measure, pause_of
from tests.products import long

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


class Spinner(nn.Module):
    """A linear network that computes for some seconds, or waits for them."""

    def __init__(self, computes: float, waits: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.computes, self.waits = computes, waits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.waits)
        end = time.thread_time() + self.computes
        while time.thread_time() < end:
            pass
        y: torch.Tensor = self.linear(x.flatten(1))
        return y


def pauses_of(*networks: nn.Module) -> list[Pause]:
    data = data_of(torch.zeros(8, 4, 1, 1), torch.zeros(8, dtype=torch.int64))
    return [pause_of("step_time", make_spec("batch_size=8"), network, data) for network in networks]


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other work on the machine while a block runs."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_networks_take_turns_and_only_steps_after_the_warm_up_count():
    calls: list[str] = []
    pauses = pauses_of(Recorder("a", calls, 0.0), Recorder("b", calls, PAUSE))
    fast, slow = time_steps(pauses, warm_up=2, measured=3)
    assert calls == [*"ab", *"ba", *"aabb", *"bbaa", *"aabb"]  # the first step of two is not counted
    for times in (fast, slow):
        assert times.keys() == {*PARTS, "step", "cpu"}
        for number in range(3):
            assert abs(sum(times[part][number] for part in PARTS) - times["step"][number]) < 1e-9
        assert all(len(seconds) == 3 and min(seconds) > 0 for seconds in times.values())
    assert min(slow["forward"]) >= PAUSE > min(slow["update"])


def test_median_and_spread_of_every_part():
    values = measure("step_time", "model=cnn")
    names = [f"{part}_{spread}" for part in (*PARTS, "step", "cpu") for spread in ("median", "iqr")]
    others = ("step_in_turns", "work_in_turns", "load", "load_average")
    assert set(values) == {("network", name) for name in (*names, *others)}
    assert all(value >= 0 for value in values.values())
    assert values["network", "step_in_turns"] == pytest.approx(values["network", "step_median"])
    assert values["network", "work_in_turns"] == pytest.approx(values["network", "cpu_median"])
    assert values["network", "step_median"] > max(values["network", f"{part}_median"] for part in PARTS) > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_slows_a_turn_down_is_in_no_ratio_of_steps_in_turns(monkeypatch: pytest.MonkeyPatch, seed: int):
    """Steps of 1, 1.1 and 2 on a machine that is up to ten times as slow for a while, and drifts."""
    rng = np.random.default_rng(seed)
    slow_T = np.exp(rng.uniform(0, np.log(10), MEASURED)) * np.linspace(1, 3, MEASURED)
    truth = (1.0, 1.1, 2.0)
    found: list[Times] = [{part: (own * slow_T).tolist() for part in (*PARTS, "step", "cpu")} for own in truth]
    for part in ("step", "cpu"):
        found[1][part][3] *= 50  # one step of one network was interrupted
    monkeypatch.setattr("bnbench.probes.step_time.time_steps", lambda pauses: found)
    for name in ("step_in_turns", "work_in_turns"):
        values = [{value.name: value.value for value in own}[name] for own in step_times([])]
        assert values[1] / values[0] == pytest.approx(1.1) and values[2] / values[0] == pytest.approx(2.0)
        assert min(slow_T) < values[0] < 2 * max(slow_T)


@long
@pytest.mark.parametrize("is_busy", [False, True])
def test_load_is_noticed_and_turns_no_ratio_of_work(is_busy: bool):
    """Steps that compute 16 and 20 ms more than a third one, alone and beside other work."""
    networks = [Spinner(0.0), Spinner(16e-3), Spinner(20e-3)]
    with busy(2 * cores() if is_busy else 0):
        none, first, second = ({value.name: value.value for value in own} for own in step_times(pauses_of(*networks)))
    work, more = (other["work_in_turns"] - none["work_in_turns"] for other in (first, second))
    assert more / work == pytest.approx(1.25, rel=0.03)
    assert min(first["load"], second["load"]) > (BUSY if is_busy else 0.99)


def test_a_step_that_waits_takes_time_and_no_work():
    first, second = (
        {value.name: value.value for value in own} for own in step_times(pauses_of(Spinner(8e-3), Spinner(8e-3, 16e-3)))
    )
    assert second["work_in_turns"] / first["work_in_turns"] == pytest.approx(1, rel=0.1)
    assert second["step_median"] > 24e-3 and second["load"] > 2


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [
        ([1e-4], 10), ([3e-4], 4), ([1e-3], 1), ([0.05], 1),
        ([1e-4, 2e-4], 10), ([1e-4, 1e-3], 4), ([1e-4, 2e-3], 2), ([1e-4, 0.05], 1),
    ],
)  # fmt: skip
def test_a_block_is_long_enough_for_the_clock_and_too_short_to_be_interrupted(seconds: list[float], steps: int):
    assert steps_of_block(seconds) == steps
    assert steps == 1 or steps * max(seconds) <= LONGEST_BLOCK


@pytest.mark.parametrize(("fast", "slow"), [(3e-4, 5e-4), (0.0, 2e-3), (5e-3, 2e-2)])
def test_no_block_of_several_steps_is_long(fast: float, slow: float):
    """All networks take as many steps, and the times are those of single steps."""
    times = time_steps(pauses_of(Spinner(fast), Spinner(slow)), measured=3)
    (steps,) = {len(own["step"]) / 3 for own in times}
    assert steps == 1 if slow > LONGEST_BLOCK else 1 <= steps <= LONGEST_BLOCK / slow
    for own, seconds in zip(times, (fast, slow), strict=True):
        assert seconds <= min(own["cpu"]) and min(own["cpu"]) <= min(own["step"]) + 1e-4


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


class Scaled(nn.Module):
    """A layer of a plugin, which takes its images for contiguous or does not mind."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.gain_C, self.how = nn.Parameter(torch.tensor([1.0, 2.0, 3.0])), how

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        if self.how == "views":
            return (x_NCHW.view(len(x_NCHW), -1) * self.gain_C.repeat_interleave(16)).view_as(x_NCHW)
        if self.how == "reads memory":
            flat_NCS = torch.as_strided(x_NCHW, (len(x_NCHW), 3, 16), (48, 16, 1))
            return torch.reshape(flat_NCS * self.gain_C[:, None], x_NCHW.shape)
        return x_NCHW * self.gain_C[:, None, None]


@pytest.mark.parametrize(
    ("how", "plugin", "layout"),
    [
        ("minds nothing", "0123abcd", torch.channels_last),
        ("views", "0123abcd", torch.contiguous_format),
        ("reads memory", "0123abcd", torch.contiguous_format),
        ("minds nothing", None, torch.contiguous_format),
    ],
)
def test_all_steps_are_timed_in_one_layout_where_a_layer_of_a_plugin_allows_it(
    how: str, plugin: str | None, layout: torch.memory_format
) -> None:
    """A network without a plugin lies in memory as it was trained, here contiguous."""
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), Scaled(how), nn.Flatten(), nn.Linear(48, 2))
    data = data_of(torch.randn(8, 2, 4, 4), torch.arange(8) % 2)
    spec = replace(make_spec("batch_size=8"), plugin=plugin)
    pause = pause_of("step_time", spec, network, data)
    found = in_common_layout(pause)
    assert found.network.get_submodule("0").weight.is_contiguous(memory_format=layout)
    batch = training_batches(pause, 1)[0]
    loss, other = (loss_and_gradients(one, one.network, batch)[0].item() for one in (pause, found))
    assert other == pytest.approx(loss, rel=1e-5)
    assert network.get_submodule("0").weight.is_contiguous() and found.seed == pause.seed
