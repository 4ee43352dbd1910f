"""The time of a training step of one run that is trained alone, or of several that take turns.

P networks (pauses), T turns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bnbench.environment import cores
from bnbench.probes.pause import WHOLE, Pause, Value
from bnbench.probes.training_step import TimedStep, Times

WARM_UP, MEASURED = 3, 6
SHORTEST_BLOCK, LONGEST_BLOCK = 1e-3, 4e-3
"""Seconds: far above the grain of a clock (at most 1 us), and about what a scheduler gives before it interrupts."""


def step_time(pause: Pause) -> list[Value]:
    """Median and interquartile range, in seconds, of ``forward``, ``backward``, ``update`` and the whole ``step``.

    6 blocks of steps are measured after 3 that warm up. Other work of the machine, as other workers of the sweep, is
    in them, but not in ``cpu``, the CPU time of the step; ``load`` is how many times its CPU time a step took.
    """
    (values,) = step_times([pause])
    return values


def step_times(pauses: Sequence[Pause]) -> list[list[Value]]:
    """The values of :func:`step_time` for several networks that take turns, ``step_in_turns`` and ``work_in_turns``.

    Both are the median over turns of a network's share of its turn, times the median of the turns, in seconds per
    step; a turn is the geometric mean of the blocks in it. The former is of the time that passes, the latter of CPU
    time (on a GPU of the time that passes). What slows all blocks of a turn down is in no share, so the ratio of two
    networks' values is that of their steps. For a network that is alone they are medians over its blocks.
    """
    times_P = time_steps(pauses)
    passed_PT = _blocks([times["step"] for times in times_P])
    on_cpu = all("cpu" in times for times in times_P)
    work_PT = _blocks([times["cpu"] for times in times_P]) if on_cpu else passed_PT
    values = []
    for index, times in enumerate(times_P):
        turns = Value(WHOLE, "step_in_turns", _in_turns(passed_PT, index))
        work = Value(WHOLE, "work_in_turns", _in_turns(work_PT, index))
        load = _load(float(passed_PT[index].sum() / work_PT[index].sum())) if on_cpu else []
        values.append([*_of_parts(times), turns, work, *load])
    return values


def _blocks(seconds: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """The mean step of each block [P, T], from all measured steps of each network."""
    means_PT: NDArray[np.float64] = np.array(seconds).reshape(len(seconds), MEASURED, -1).mean(-1)
    return means_PT


def _in_turns(seconds_PT: NDArray[np.float64], index: int) -> float:
    """A network's share of its turns times the turns, medians of both."""
    turns_T = np.exp(np.log(seconds_PT).mean(0))
    return float(np.median(seconds_PT[index] / turns_T) * np.median(turns_T))


def _load(waiting: float) -> list[Value]:
    """The time that passed over CPU time, and the load average of the last minute per core, where there is one."""
    average = [Value(WHOLE, "load_average", os.getloadavg()[0] / cores())] if hasattr(os, "getloadavg") else []
    return [Value(WHOLE, "load", waiting), *average]


def _of_parts(times: Times) -> list[Value]:
    values = []
    for part, seconds in times.items():
        low, median, high = np.percentile(seconds, (25, 50, 75)).tolist()
        values.append(Value(WHOLE, f"{part}_median", median))
        values.append(Value(WHOLE, f"{part}_iqr", high - low))
    return values


def time_steps(pauses: Sequence[Pause], warm_up: int = WARM_UP, measured: int = MEASURED) -> list[Times]:
    """Time blocks of steps of several networks that take turns: what slows the machine down slows all of them.

    Every other turn goes backwards, a b b a, so that no network always comes first. A block follows a step of its
    network that does not count and that fills the caches. Only the CPU time of this thread counts as ``cpu``, so torch
    must run with one thread, as it does in runs.

    Args:
        pauses: one per network; each trains on one batch of its own.
        warm_up: turns of a single step before the first one that counts; at least 1.
        measured: turns that count. All their blocks have as many steps, by :func:`steps_of_block`.
    """
    networks = [TimedStep(pause) for pause in pauses]
    for turn in range(warm_up):
        for network in _ordered(networks, turn):
            network.take()
    is_cpu = all(pause.device.type == "cpu" for pause in pauses)
    count = steps_of_block([min(network.times["step"]) for network in networks]) if is_cpu else 1
    for network in networks:
        network.times = {part: [] for part in network.times}
    for turn in range(warm_up, warm_up + measured):
        for network in _ordered(networks, turn):
            if len(networks) > 1:
                network.marks()
            for _ in range(count):
                network.take()
    return [network.times for network in networks]


def steps_of_block(seconds: Sequence[float]) -> int:
    """The steps of a block: enough for a clock, few enough for a scheduler, the same for all networks; at least one.

    Args:
        seconds: a step of each network.
    """
    return max(1, min(math.ceil(SHORTEST_BLOCK / min(seconds)), math.floor(LONGEST_BLOCK / max(seconds))))


def _ordered(networks: list[TimedStep], turn: int) -> list[TimedStep]:
    return networks if turn % 2 == 0 else networks[::-1]
