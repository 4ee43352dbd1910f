"""The problems of a spec that can be seen without data or a network."""

from __future__ import annotations

import math

from bnbench.limits import above, at_least, between, share, within
from bnbench.spec.optim import Adam, AdamW, Optim, Sgd
from bnbench.spec.run import RunSpec, effective_lr
from bnbench.spec.schedule import Constant, Cosine, OneCycle, Schedule, Step

MOST_STEPS = 10**9
"""Optimizer steps that a run may have."""
MOST_DEVICES = 64
"""Processes that may train a run together."""
LARGEST = 1e15
"""The largest learning rate and weight decay: their products are still far from what float32 can hold."""


def check(spec: RunSpec) -> list[str]:
    """All problems that can be seen without data or a network, one sentence each; empty if there are none."""
    split, evaluate = spec.split, spec.evaluate
    return [
        *above("lr", spec.lr, 0),
        *_peak(spec),
        *at_least("batch_size", spec.batch_size, 1),
        *at_least("lr_reference_batch", spec.lr_reference_batch, 1),
        *within("epochs", spec.epochs, 1, MOST_STEPS),
        *within("steps", spec.steps, 1, MOST_STEPS),
        *at_least("seed", spec.seed, 0),
        *at_least("split.seed", split.seed, 0),
        *between("split.validation", split.validation, 0, 1),
        *between("split.test", split.test, 0, 1),
        *at_least("split.train", split.train, 1),
        *at_least("freeze_statistics", spec.freeze_statistics, 1),
        *above("grad_clip", spec.grad_clip, 0),
        *share("label_smoothing", spec.label_smoothing, below_one=True),
        *at_least("evaluate.every", evaluate.every, 1),
        *at_least("evaluate.recompute_batches", evaluate.recompute_batches, 1),
        *above("divergence_factor", spec.divergence_factor, 1),
        *at_least("probe_every", spec.probe_every, 1),
        *_devices(spec),
        *_twice("probes", spec.probes),
        *_twice("domains", spec.domains),
        *_order(spec),
        *within("optim.weight_decay", spec.optim.weight_decay, 0, LARGEST),
        *_duration(spec),
        *_optim(spec.optim),
        *_schedule(spec.schedule),
    ]


def _duration(spec: RunSpec) -> list[str]:
    """The problem that a run has two durations or none, if so."""
    if (spec.epochs is None) != (spec.steps is None):
        return []
    both = {"epochs": spec.epochs, "steps": spec.steps}
    typed = " ".join(f"{key}={'null' if value is None else value}" for key, value in both.items())
    return [f"{typed}: exactly one of them must be given"]


def _optim(optim: Optim) -> list[str]:
    match optim:
        case Sgd():
            needs = "optim.nesterov=true needs optim.momentum above 0"
            lacking = [needs] if optim.nesterov and optim.momentum == 0 else []
            return [*share("optim.momentum", optim.momentum, below_one=True), *lacking]
        case Adam() | AdamW():
            return [
                *share("optim.beta1", optim.beta1, below_one=True),
                *share("optim.beta2", optim.beta2, below_one=True),
                *above("optim.eps", optim.eps, 0),
            ]


def _schedule(schedule: Schedule) -> list[str]:
    match schedule:
        case Constant():
            return share("schedule.warmup", schedule.warmup)
        case Cosine():
            return share("schedule.warmup", schedule.warmup) + share("schedule.final", schedule.final)
        case Step():
            milestones = [problem for item in schedule.milestones for problem in share("schedule.milestones", item)]
            return [
                *share("schedule.warmup", schedule.warmup),
                *above("schedule.gamma", schedule.gamma, 0),
                *milestones,
            ]
        case OneCycle():
            return [
                *share("schedule.start", schedule.start),
                *share("schedule.final", schedule.final),
                *between("schedule.peak", schedule.peak, 0, 1),
            ]


def _twice(name: str, values: tuple[str, ...]) -> list[str]:
    repeated = dict.fromkeys(value for value in values if values.count(value) > 1)
    return [f"{name}: {value} is named more than once; name it once" for value in repeated]


def _order(spec: RunSpec) -> list[str]:
    """The needs of batches of one class or one domain that are not met."""
    problems = []
    if spec.batches == "alternating" and len(spec.domains) < 2:
        typed = f"domains=[{','.join(spec.domains)}]"
        problems.append(
            f"batches=alternating: needs two domains or more, not {typed}; e.g. domains=[plain,contrast_0.4]"
        )
    if spec.batches != "shuffled" and not spec.drop_last:
        group = "class" if spec.batches == "single_class" else "domain"
        problems.append(f"batches={spec.batches}: needs drop_last=true, as each {group} would end with a smaller batch")
    return problems


def _devices(spec: RunSpec) -> list[str]:
    """The problem that a batch cannot be shared out evenly among the devices, or that these are too many, if so."""
    devices, batch = spec.devices, spec.batch_size
    if (problems := within("devices", devices, 1, MOST_DEVICES)) or batch < 1 or batch % devices == 0:
        return problems
    near = [size for size in (batch - batch % devices, batch - batch % devices + devices) if size]
    sizes = " or ".join(f"batch_size={size}" for size in near)
    return [f"devices={devices} batch_size={batch}: each device takes an equal part of the batch; e.g. {sizes}"]


def _peak(spec: RunSpec) -> list[str]:
    """The problem that the largest learning rate that the optimizer sees is too large, if it is."""
    if not 0 < spec.lr < math.inf or spec.batch_size < 1 or spec.lr_reference_batch < 1:
        return []
    schedule, exponent = spec.schedule, math.log10(effective_lr(spec))
    if isinstance(schedule, Step) and schedule.gamma > 1:
        exponent += len(schedule.milestones) * math.log10(schedule.gamma)
    if exponent <= math.log10(LARGEST):
        return []
    highest = f"{10 ** (exponent % 1):.2g}e{math.floor(exponent)}"
    how = "" if exponent == math.log10(spec.lr) else f"; lr_scaling and schedule make it {highest}"
    return [f"lr={spec.lr}: must be at most {LARGEST:g}{how}"]
