"""All probes by name, and the one way in which they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from bnbench.data import Data, order_of
from bnbench.norms.common.copying import copied
from bnbench.probes.covariate_shift_distribution import covariate_shift_distribution
from bnbench.probes.covariate_shift_gradient import covariate_shift_gradient
from bnbench.probes.gradient_flow import gradient_flow
from bnbench.probes.landscape import landscape
from bnbench.probes.memory import memory
from bnbench.probes.pause import Pause, Value
from bnbench.probes.shift import shift
from bnbench.probes.statistics_gap import statistics_gap
from bnbench.probes.step_time import step_time, step_times
from bnbench.spec import ProbeName, RunSpec, stream
from bnbench.training import Halt, Reading
from bnbench.training.randomness import GlobalStream
from bnbench.training.statistics import freeze_statistics
from bnbench.training.timeline import timeline_of

PROBES: dict[ProbeName, Callable[[Pause], list[Value]]] = {
    "gradient_flow": gradient_flow,
    "covariate_shift_distribution": covariate_shift_distribution,
    "covariate_shift_gradient": covariate_shift_gradient,
    "landscape": landscape,
    "statistics_gap": statistics_gap,
    "memory": memory,
    "step_time": step_time,
    "shift": shift,
}
JOINT: dict[ProbeName, Callable[[Sequence[Pause]], list[list[Value]]]] = {"step_time": step_times}
"""Probes that measure networks of interleaved runs in turns; the others measure one after the other."""


def take(spec: RunSpec, network: nn.Module, data: Data, step: int) -> list[Reading]:
    """The readings of all probes that a spec asks for.

    Each probe has a copy of the network and random numbers of its own, so the network (its parameters, buffers,
    gradients and mode), torch's random state and the other probes see nothing of it.

    Args:
        network: after ``step`` steps, on the device of ``data``.
    """
    (readings,) = take_interleaved([Halt(spec, network, data, step)])
    return readings


def take_interleaved(halts: Sequence[Halt]) -> list[list[Reading]]:
    """The values of :func:`take` for each of several runs that are at a pause side by side."""
    readings: list[list[Reading]] = [[] for _ in halts]
    for name in dict.fromkeys(name for halt in halts for name in halt.spec.probes):
        own = [index for index, halt in enumerate(halts) if name in halt.spec.probes]
        for part in [own] if name in JOINT else [[index] for index in own]:
            values = _values(name, [halts[index] for index in part])
            for index, found in zip(part, values, strict=True):
                readings[index] += [Reading(halts[index].step, name, *value) for value in found]
    return readings


def _values(name: ProbeName, halts: Sequence[Halt]) -> list[list[Value]]:
    """The values of one probe for networks that it measures together."""
    pauses = [
        Pause(halt.spec, _as_trained(halt), halt.data, halt.step, stream(halt.spec.seed, "probe", name))
        for halt in halts
    ]
    with GlobalStream(stream(pauses[0].seed, "layers"), pauses[0].device):
        return JOINT[name](pauses) if name in JOINT else [PROBES[name](pause) for pause in pauses]


def _as_trained(halt: Halt) -> nn.Module:
    """A copy of a network in the mode in which its next step is made, with frozen statistics where they are."""
    network = copied(halt.network).train()
    timeline = timeline_of(halt.spec, order_of(halt.spec, halt.data.train))
    if halt.spec.freeze_statistics is not None and halt.step >= timeline.frozen_from:
        freeze_statistics(network)
    return network
