"""RunSpec: everything that can change a number of one run, and nothing else. Standard library only.

A spec is made of frozen values, so equal specs are equal objects, and its identity (:func:`run_id`) is a hash of its
content. Parts that a plugin can add to (norm, model, dataset) are a :class:`Choice`, a name with options; parts that
are closed (optimizer, schedule) have a dataclass per kind.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

SCHEMA_VERSION = 4
"""Goes up when one spec comes to mean other numbers: results of before are then read, but not taken for its own."""

MOST_STEPS = 10**9
"""Optimizer steps that a run may have."""
LARGEST = 1e15
"""Of learning rates and weight decays: their products are still far from what float32 can hold."""

Value = str | int | float | bool | None | tuple[float, ...] | tuple[str, ...]
"""What an option can hold."""

ProbeName = Literal[
    "gradient_flow",
    "covariate_shift_distribution",
    "covariate_shift_gradient",
    "landscape",
    "statistics_gap",
    "memory",
    "step_time",
    "shift",
]
PROBE_NAMES: tuple[ProbeName, ...] = get_args(ProbeName)
"""What can be measured inside training; ``bnbench.probes`` has a function for each."""


Domain = Literal[
    "plain",
    "contrast_0.7",
    "contrast_0.4",
    "contrast_0.2",
    "brightness_0.5",
    "brightness_1",
    "brightness_2",
    "noise_0.5",
    "noise_1",
    "noise_2",
    "blur_0.5",
    "blur_1",
    "blur_2",
]
"""What can become of the images of a share of all examples: nothing, or what the probe ``shift`` does to them."""

Batches = Literal["shuffled", "single_class", "alternating"]
"""What training batches are made of: examples as they come, of a single class, or of one domain after the other."""

Train = Literal["all", "affine", "affine_and_classifier"]
"""Which parameters are trained: all, those of the norms, or those and the last linear layer or convolution."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A component chosen by name, with all of its options, sorted by key."""

    name: str
    items: tuple[tuple[str, Value], ...] = ()

    @staticmethod
    def of(name: str, options: Mapping[str, Value] | None = None) -> Choice:
        """Make a choice from a mapping of options."""
        return Choice(name, tuple(sorted((options or {}).items())))

    @property
    def options(self) -> dict[str, Value]:
        """The options as keyword arguments for the component's constructor."""
        return dict(self.items)


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent as in ``torch.optim.SGD``.

    Attributes:
        momentum: share of the last step that goes into the next one.
        nesterov: take the gradient where the momentum leads; needs momentum.
        weight_decay: factor of the weights that is added to the gradient.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    momentum: float
    nesterov: bool
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma & Ba 2015) as in ``torch.optim.Adam``: weight decay is added to the gradient.

    Attributes:
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of their squares.
        eps: added to the root of that mean.
        weight_decay: factor of the weights that is added to the gradient.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019) as in ``torch.optim.AdamW``.

    Attributes:
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of their squares.
        eps: added to the root of that mean.
        weight_decay: factor of the weights, times the learning rate, that is taken off them in each step.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


Optim = Sgd | Adam | AdamW
OPTIMS: dict[str, type[Sgd] | type[Adam] | type[AdamW]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}


@dataclass(frozen=True, slots=True)
class Constant:
    """One learning rate.

    Attributes:
        warmup: share of all steps with a linear rise from zero.
    """

    warmup: float


@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine from the learning rate to ``final`` times it (Loshchilov & Hutter 2017, without restarts).

    Attributes:
        warmup: share of all steps with a linear rise from zero.
        final: share of the learning rate at the end.
    """

    warmup: float
    final: float


@dataclass(frozen=True, slots=True)
class Step:
    """Multiply the learning rate by ``gamma`` at each of ``milestones``.

    Attributes:
        warmup: share of all steps with a linear rise from zero.
        milestones: shares of all steps.
        gamma: factor of the learning rate.
    """

    warmup: float
    milestones: tuple[float, ...]
    gamma: float


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Rise linearly from ``start`` times the learning rate to all of it, then fall to ``final`` times it.

    The rise and the fall are linear (Smith & Topin 2018).

    Attributes:
        start: share of the learning rate at the first step.
        peak: share of all steps at which all of it is reached.
        final: share of the learning rate at the end.
    """

    start: float
    peak: float
    final: float


Schedule = Constant | Cosine | Step | OneCycle
SCHEDULES: dict[str, type[Constant] | type[Cosine] | type[Step] | type[OneCycle]] = {
    "constant": Constant,
    "cosine": Cosine,
    "step": Step,
    "onecycle": OneCycle,
}
_KINDS: dict[type, str] = {kind: name for name, kind in (*OPTIMS.items(), *SCHEDULES.items())}


@dataclass(frozen=True, slots=True)
class Split:
    """How the examples are divided. Stratified by class, drawn from ``seed``, the same for every run seed.

    Attributes:
        seed: seed of the division.
        validation: share of the training examples held out for validation.
        test: share of all examples held out for the test, for a dataset without an official test set.
        train: training examples kept (stratified); None keeps all.
    """

    seed: int
    validation: float
    test: float
    train: int | None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """When and how a network is evaluated.

    Attributes:
        every: evaluate each time this many ``unit`` are over, and at the end.
        unit: epochs or steps.
        statistics: what stands in for batch statistics at evaluation: ``running`` averages, those of the evaluated
            ``batch`` itself (of the training batch size), or population statistics ``recomputed`` with frozen weights
            over ``recompute_batches`` training batches (Wu & Johnson 2021, section 3).
        recompute_batches: see ``statistics``.
    """

    every: int
    unit: Literal["epochs", "steps"]
    statistics: Literal["running", "batch", "recomputed"]
    recompute_batches: int


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One training job.

    Attributes:
        norm: the normalization layer.
        model: the network.
        dataset: the data.
        optim: the optimizer.
        schedule: how the learning rate changes during training.
        batch_size: examples of a training step.
        lr: learning rate before scaling; see ``lr_scaling``.
        lr_scaling: ``linear`` multiplies lr by batch_size / lr_reference_batch, ``sqrt`` by its square root.
        lr_reference_batch: the batch size at which lr_scaling changes nothing.
        epochs: passes over the training examples; None if ``steps`` is given.
        steps: optimizer steps; None if ``epochs`` is given.
        seed: seed of the initial weights, the data order, the augmentation and dropout (independent streams).
        split: how the examples are divided.
        domains: every example is in one of them, and its image is changed once as the domain's name says; empty
            leaves all images as they are.
        batches: ``shuffled`` takes examples in random order; ``single_class`` batches hold examples of one class each,
            in random order; ``alternating`` batches hold examples of one domain each, and the domains take turns.
        train: which parameters are trained; the others stay at their initial values.
        freeze_statistics: from the end of this many epochs on, training normalizes with the running statistics and no
            longer updates them; None never does.
        drop_last: leave out the last, smaller batch of an epoch.
        grad_clip: largest L2 norm of the whole gradient; None does not clip.
        label_smoothing: share of the target that is spread over all classes.
        precision: arithmetic of the forward and backward pass; parameters and statistics are never below float32.
        evaluate: when and how the network is evaluated.
        divergence_factor: a run has diverged when its training loss is not finite, or above this many times the larger
            of its first loss and the loss of a uniform guess.
        probes: what is measured inside training; the training itself stays the same, bit for bit.
        probe_every: probes measure before the first step, then at each so many-th evaluation, and at the last.
        plugin: SHA-256 of the syntax of the plugin that a chosen component comes from, and of what it imports from its
            folder, or None: built-in components have nothing to do with a plugin.
        data: fingerprint of the content of the dataset's files, which stands for their path in the run's identity; None
            where the dataset's name and options say what it holds, as well as before planning.
    """

    norm: Choice
    model: Choice
    dataset: Choice
    optim: Optim
    schedule: Schedule
    batch_size: int
    lr: float
    lr_scaling: Literal["none", "linear", "sqrt"]
    lr_reference_batch: int
    epochs: int | None
    steps: int | None
    seed: int
    split: Split
    domains: tuple[Domain, ...]
    batches: Batches
    train: Train
    freeze_statistics: int | None
    drop_last: bool
    grad_clip: float | None
    label_smoothing: float
    precision: Literal["fp32", "bf16", "fp64"]
    evaluate: Evaluate
    divergence_factor: float
    probes: tuple[ProbeName, ...]
    probe_every: int
    plugin: str | None = None
    data: str | None = None


_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (RunSpec, Split, Evaluate, *OPTIMS.values(), *SCHEDULES.values())
}


def effective_lr(spec: RunSpec) -> float:
    """The peak learning rate that the optimizer sees, after scaling with the batch."""
    ratio = spec.batch_size / spec.lr_reference_batch
    return spec.lr * {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[spec.lr_scaling]


def as_tree(spec: RunSpec) -> dict[str, Any]:
    """The spec as nested plain values; a choice becomes ``{name: {option: value}}``."""
    return {name: _tree(getattr(spec, name)) for name in _FIELDS[RunSpec]}


def _tree(value: Any) -> Any:
    match value:
        case str() | int() | float() | None:
            return value
        case tuple():
            return list(value)
        case Choice():
            return {value.name: {key: _tree(option) for key, option in value.items}}
        case Split() | Evaluate():
            return {name: getattr(value, name) for name in _FIELDS[type(value)]}
        case _:
            return {kind_name(value): {name: _tree(getattr(value, name)) for name in _FIELDS[type(value)]}}


def kind_name(part: Optim | Schedule) -> str:
    """The name by which an optimizer or schedule is chosen."""
    return _KINDS[type(part)]


def arm(spec: RunSpec) -> str:
    """What a run compares, in a few words and as it is typed: the chosen names, and the one that a model goes by."""
    own = f" model.name={spec.model.options['name']}" if "name" in spec.model.options else ""
    return f"norm={spec.norm.name} model={spec.model.name}{own} dataset={spec.dataset.name}"


def flatten(spec: RunSpec) -> dict[str, Value]:
    """The spec as dotted columns: ``norm`` holds the chosen name, ``norm.groups`` an option of it."""
    return dict(_columns(spec))


def _columns(spec: RunSpec) -> Iterator[tuple[str, Value]]:
    for name in _FIELDS[RunSpec]:
        value = getattr(spec, name)
        match value:
            case str() | int() | float() | tuple() | None:
                yield name, value
            case Choice():
                yield name, value.name
                yield from ((f"{name}.{key}", option) for key, option in value.items)
            case _:
                if not isinstance(value, Split | Evaluate):
                    yield name, kind_name(value)
                yield from ((f"{name}.{part}", getattr(value, part)) for part in _FIELDS[type(value)])


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(spec: RunSpec) -> str:
    """An ``r`` and the first 11 hex digits of the SHA-256 of the spec's canonical JSON and the schema version.

    The letter keeps it a text for whoever reads it: no number, date, ``inf`` or ``nan`` begins with one. Up to schema
    version 3 there was a twelfth digit in its place.
    """
    return f"r{_digest(_identity(spec))[:11]}"


def stack_key(spec: RunSpec) -> str:
    """Identity of what runs must have in common to be trained as one network.

    A run's own learning rate, momentum, weight decay and seed are left out.
    """
    tree = _identity(spec)
    del tree["lr"], tree["seed"]
    (optim,) = tree["optim"].values()
    optim.pop("momentum", None)
    del optim["weight_decay"]
    return f"s{_digest(tree)[:11]}"


_BESIDE_LR_AND_SEED: Callable[[RunSpec], tuple[object, ...]] = operator.attrgetter(
    *(name for name in _FIELDS[RunSpec] if name not in ("lr", "seed"))
)
"""Equal for specs only if their stack keys are; much quicker."""


def by_stack_key(specs: Mapping[str, RunSpec]) -> dict[str, list[str]]:
    """The run_ids of each stack key."""
    groups: dict[str, list[str]] = {}
    keys: dict[tuple[object, ...], str] = {}
    for identity, spec in specs.items():
        settings = _BESIDE_LR_AND_SEED(spec)
        if settings not in keys:
            keys[settings] = stack_key(spec)
        groups.setdefault(keys[settings], []).append(identity)
    return groups


def kind_key(spec: RunSpec) -> tuple[object, ...]:
    """Equal for runs whose networks, steps and amounts of work are of one kind.

    They differ in numbers of the optimizer and the schedule, in the seed, and in how they are evaluated.
    """
    return (
        *(spec.norm, spec.model, spec.train, spec.dataset, spec.split, spec.data, spec.domains, spec.batches),
        *(spec.batch_size, spec.drop_last, spec.epochs, spec.steps, spec.precision, spec.label_smoothing),
        *(type(spec.optim), spec.grad_clip is None, spec.freeze_statistics, spec.plugin),
    )


def _identity(spec: RunSpec) -> dict[str, Any]:
    """The spec's tree with the fingerprint of its data in place of their path, if it has one."""
    tree = as_tree(spec)
    if (fingerprint := tree.pop("data")) is not None:
        tree["dataset"][spec.dataset.name]["path"] = fingerprint
    return tree


def _digest(tree: dict[str, Any]) -> str:
    return hashlib.sha256(_CANONICAL.encode([SCHEMA_VERSION, tree]).encode()).hexdigest()


def stream(seed: int, *purpose: str) -> int:
    """A 63-bit seed for one purpose, independent of the seeds for all other purposes.

    A layer that draws numbers therefore never shifts the data order, and arms with one seed stay paired.
    """
    digest = hashlib.sha256("/".join([str(seed), *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def check(spec: RunSpec) -> list[str]:
    """All problems that can be seen without data or a network, one sentence each; empty if there are none."""
    optim, schedule, split, evaluate = spec.optim, spec.schedule, spec.split, spec.evaluate
    found = [
        *_above("lr", spec.lr, 0),
        *_peak(spec),
        *_at_least("batch_size", spec.batch_size, 1),
        *_at_least("lr_reference_batch", spec.lr_reference_batch, 1),
        *(_within("epochs", spec.epochs, 1, MOST_STEPS) if spec.epochs is not None else ()),
        *(_within("steps", spec.steps, 1, MOST_STEPS) if spec.steps is not None else ()),
        *_at_least("seed", spec.seed, 0),
        *_at_least("split.seed", split.seed, 0),
        *_between("split.validation", split.validation, 0, 1),
        *_between("split.test", split.test, 0, 1),
        *(_at_least("split.train", split.train, 1) if split.train is not None else ()),
        *(_at_least("freeze_statistics", spec.freeze_statistics, 1) if spec.freeze_statistics is not None else ()),
        *(_above("grad_clip", spec.grad_clip, 0) if spec.grad_clip is not None else ()),
        *_share("label_smoothing", spec.label_smoothing, below_one=True),
        *_at_least("evaluate.every", evaluate.every, 1),
        *_at_least("evaluate.recompute_batches", evaluate.recompute_batches, 1),
        *_above("divergence_factor", spec.divergence_factor, 1),
        *_at_least("probe_every", spec.probe_every, 1),
        *_twice("probes", spec.probes),
        *_twice("domains", spec.domains),
        *_order(spec),
        *_within("optim.weight_decay", optim.weight_decay, 0, LARGEST),
    ]
    both = {"epochs": spec.epochs, "steps": spec.steps}
    if (spec.epochs is None) == (spec.steps is None):
        given = " ".join(f"{key}={'null' if value is None else value}" for key, value in both.items())
        found.append(f"{given}: exactly one of them must be given")
    match optim:
        case Sgd():
            found += _share("optim.momentum", optim.momentum, below_one=True)
            if optim.nesterov and optim.momentum == 0:
                found.append("optim.nesterov=true needs optim.momentum above 0")
        case Adam() | AdamW():
            found += _share("optim.beta1", optim.beta1, below_one=True)
            found += _share("optim.beta2", optim.beta2, below_one=True)
            found += _above("optim.eps", optim.eps, 0)
    match schedule:
        case Constant():
            found += _share("schedule.warmup", schedule.warmup)
        case Cosine():
            found += _share("schedule.warmup", schedule.warmup) + _share("schedule.final", schedule.final)
        case Step():
            found += _share("schedule.warmup", schedule.warmup) + _above("schedule.gamma", schedule.gamma, 0)
            found += [problem for share in schedule.milestones for problem in _share("schedule.milestones", share)]
        case OneCycle():
            found += _share("schedule.start", schedule.start) + _share("schedule.final", schedule.final)
            found += _between("schedule.peak", schedule.peak, 0, 1)
    return found


def _twice(name: str, values: tuple[str, ...]) -> list[str]:
    repeated = dict.fromkeys(value for value in values if values.count(value) > 1)
    return [f"{name}: {value} is named more than once" for value in repeated]


def _order(spec: RunSpec) -> list[str]:
    """What batches of one class or one domain need and do not have."""
    found = []
    if spec.batches == "alternating" and len(spec.domains) < 2:
        given = f"domains=[{','.join(spec.domains)}]"
        found.append(f"batches=alternating: needs two domains or more, not {given}; e.g. domains=[plain,contrast_0.4]")
    if spec.batches != "shuffled" and not spec.drop_last:
        group = "class" if spec.batches == "single_class" else "domain"
        found.append(f"batches={spec.batches}: needs drop_last=true, as each {group} would end with a smaller batch")
    return found


def _above(name: str, value: float, bound: float) -> list[str]:
    return [] if value > bound and math.isfinite(value) else [f"{name}={value}: must be a finite number above {bound}"]


def _at_least(name: str, value: float, bound: float) -> list[str]:
    return [] if value >= bound and math.isfinite(value) else [f"{name}={value}: must be at least {bound}"]


def _within(name: str, value: float, low: float, high: float) -> list[str]:
    bound = f"{high:,}" if isinstance(high, int) else f"{high:g}"
    return _at_least(name, value, low) or ([] if value <= high else [f"{name}={value}: must be at most {bound}"])


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


def _between(name: str, value: float, low: float, high: float) -> list[str]:
    return [] if low < value < high else [f"{name}={value}: must be above {low} and below {high}"]


def _share(name: str, value: float, below_one: bool = False) -> list[str]:
    allowed = 0 <= value < 1 if below_one else 0 <= value <= 1
    return [] if allowed else [f"{name}={value}: must be from 0 to {'below 1' if below_one else '1'}"]
