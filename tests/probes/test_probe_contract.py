"""Every probe has finite values, each named once, for every norm."""

from __future__ import annotations

import math

import pytest

from bnbench.norms import NORMS, activates
from bnbench.probes import PROBES
from bnbench.probes.pause import training_batches
from bnbench.spec import PROBE_NAMES, ProbeName
from tests.conftest import make_spec
from tests.probes.networks import pause_of, values_of
from tests.products import MECHANISMS, whole

DEEP = ("gradient_flow", "covariate_shift_distribution", "memory")


ALL_NORMS = ("statistics_gap", "covariate_shift_distribution", "memory")
"""Probes that look at a norm's statistics, at its inputs or at what it keeps; others see no more than its mechanism."""


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        pytest.param(name, norm, marks=() if name in ALL_NORMS or norm in MECHANISMS else whole)
        for name in PROBES
        for norm in NORMS
        if name != "step_time"
    ],
)
def test_a_cnn(name: ProbeName, norm: str):
    """A norm that holds its own activation shows no input of one. Branches of Fixup end in zeros at the start: what is
    relative to their gradients is not a number.
    """
    model = ("model=resnet20",) if norm == "fixup" else ("model=cnn", "model.width=4")
    hidden = name == "covariate_shift_distribution" and activates(NORMS[norm])
    check(
        name,
        *model,
        f"norm={norm}",
        "evaluate.recompute_batches=2",
        "batch_size=16",
        expected=not hidden,
        finite=norm != "fixup",
    )


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("model", ["model=resnet20", "model=torchvision model.name=resnet18"])
def test_residual_networks(name: ProbeName, model: str):
    """Whose activations may work in place, and one of which is called more than once."""
    check(name, *model.split(), "dataset=synthetic", "dataset.examples=300", "batch_size=8")


def check(name: ProbeName, *overrides: str, expected: bool = True, finite: bool = True) -> None:
    values = values_of(name, pause_of(name, make_spec(*overrides)))
    assert bool(values) == expected and name in PROBE_NAMES
    assert not finite or all(math.isfinite(value) for value in values.values()), values


def test_the_batches_that_a_probe_looks_at_are_like_those_of_training():
    settings = ("batch_size=16", "domains=[plain,contrast_0.2]")
    classes = training_batches(pause_of("memory", make_spec("batches=single_class", *settings)), 8)
    assert [len(set(y_N.tolist())) for _, y_N in classes] == [1] * 8
    alternating = training_batches(pause_of("memory", make_spec("batches=alternating", *settings)), 8)
    spread = [x_NCHW.std((2, 3)).mean().item() for x_NCHW, _ in alternating]
    assert max(spread[1::2]) < 0.5 * min(spread[::2])
