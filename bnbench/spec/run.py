"""RunSpec: everything that can change a number of one run, and nothing else.

Parts that a plugin can add to (norm, model, dataset) are a :class:`Choice`, a name with options; parts that are closed
(optimizer, schedule) have a dataclass per kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bnbench.spec.optim import Optim
from bnbench.spec.schedule import Schedule

Value = str | int | float | bool | None | tuple[float, ...] | tuple[str, ...]
"""The values of an option."""

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
"""The names of all probes; ``bnbench.probes`` has a function for each."""


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
"""A change of the images of a share of all examples: none, or one of those of the probe ``shift``."""

Batches = Literal["shuffled", "single_class", "alternating"]
"""The examples of a training batch: as they come, of a single class, or of one domain after the other."""

Train = Literal["all", "affine", "affine_and_classifier"]
"""The parameters that are trained: all, those of the norms, or those and the last linear layer or convolution."""


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
class Split:
    """The division of the examples. Stratified by class, drawn from ``seed``, the same for every run seed.

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
    """The times and the way of an evaluation.

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
            longer updates them, and layers that keep such have no noise any more; None never does.
        drop_last: leave out the last, smaller batch of an epoch.
        grad_clip: largest L2 norm of the whole gradient; None does not clip.
        label_smoothing: share of the target that is spread over all classes.
        precision: arithmetic of the forward and backward pass; parameters and statistics are never below float32.
        evaluate: when and how the network is evaluated.
        divergence_factor: a run has diverged when its training loss is not finite, or above this many times the larger
            of its first loss and the loss of a uniform guess.
        probes: what is measured inside training; the training itself stays the same, bit for bit.
        probe_every: probes measure before the first step, then at each so many-th evaluation, and at the last.
        devices: processes that train the run together, each on an equal part of every batch: on GPUs, one on each.
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
    devices: int = 1
    plugin: str | None = None
    data: str | None = None

    @property
    def component_names(self) -> tuple[str, str, str]:
        """Those of norm, model and dataset, which may be a user's."""
        return self.norm.name, self.model.name, self.dataset.name

    def part(self, batch: int) -> int:
        """The fewest examples of a batch that a device is given; of a whole one, all have as many."""
        return batch // max(self.devices, 1)


def effective_lr(spec: RunSpec) -> float:
    """The peak learning rate that the optimizer sees, after scaling with the batch."""
    ratio = spec.batch_size / spec.lr_reference_batch
    return spec.lr * {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[spec.lr_scaling]
