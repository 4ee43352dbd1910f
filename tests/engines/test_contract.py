"""Every norm x every model trains and evaluates at the smallest batches, or is refused before training."""

import dataclasses
import itertools
import math

import pytest
from torch import Tensor, nn

from bnbench.components import components
from bnbench.data import Data, Examples
from bnbench.engines import train
from bnbench.models import MODELS
from bnbench.norms import NORMS
from bnbench.plan.feasibility import obstacles
from bnbench.training import Outcome
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import with_norm
from tests.engines.test_stacked import stacked
from tests.norms.refusals import is_expected
from tests.products import is_tried, long, whole

DEEP = ("resnet56", "resnet110")
SOON = ("resnet44", *DEEP)
EXPLODES = {"none": DEEP, "weight": DEEP, "scaled_ws": SOON, "xbn": ("resnet20", "resnet32", *SOON, "convmixer")}
"""Where each residual block adds its variance and no norm takes it away, or another example has next to none."""


def few(examples: Examples) -> Examples:
    return Examples(examples.x[:16], examples.y[:16])


def small(data: Data) -> Data:
    return dataclasses.replace(data, train=few(data.train), validation=few(data.validation), test=few(data.test))


WITHOUT_BATCH = ("none", "ws", "spectral", "fixup")
"""Mechanisms that make nothing of how many examples a batch has; the smallest ResNet is tried with all of them."""


def tried(model: str, norm: str, batch_size: int) -> bool:
    """All norms in the smallest ResNet, and where a deeper one explodes; of large networks with few examples, those for
    which it matters: test_stacked.py trains torchvision's with all mechanisms.
    """
    if model in EXPLODES.get(norm, ()):
        return batch_size == 2
    if norm in WITHOUT_BATCH and (model == "torchvision" or (model == "resnet110" and batch_size == 1)):
        return False
    return model == "resnet20" or is_tried(model, norm)


def marks(model: str, norm: str, batch_size: int) -> tuple[pytest.MarkDecorator, ...]:
    """Large networks are ``make long``'s, but for one of each kind that trains, and one that explodes."""
    if not tried(model, norm, batch_size):
        return (whole,)
    if model == "resnet20" and not is_tried(model, norm):
        return (long,)  # every norm in residual branches: no other mechanism than one that is tried here
    is_usual = (norm, batch_size) == ("batch", 2) or (model, norm) == ("resnet110", "none")
    return () if is_usual or model not in ("resnet110", "torchvision") else (long,)


class Vast(nn.Module):
    """A norm without bounds: logits of single precision are further apart than its largest number."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * 1e38


@pytest.mark.parametrize("engine", ["reference", "stacked"])
def test_a_first_loss_that_is_infinite_is_divergence(engine: str):
    spec, parts = make_spec("model=mlp", "norm=none", "epochs=1"), with_norm(Vast)
    data = load_data(spec)
    if engine == "reference":
        records = list(train(spec, parts.build(spec, data), data))
    else:
        records = stacked([spec, dataclasses.replace(spec, seed=1)], data, parts=parts)[0]
    outcome = records[-1]
    assert isinstance(outcome, Outcome) and (outcome.status, outcome.diverged_step) == ("diverged", 1)


@pytest.mark.parametrize(
    ("model", "norm", "batch_size"),
    [
        pytest.param(model, norm, batch_size, marks=marks(model, norm, batch_size))
        for model, norm, batch_size in itertools.product(MODELS, NORMS, (1, 2))
    ],
)
def test_three_steps_or_a_refusal(model: str, norm: str, batch_size: int):
    dataset = "text" if model == "gpt" else "digits"
    parts = f"model={model}", f"norm={norm}", f"dataset={dataset}"
    spec = make_spec(*parts, f"batch_size={batch_size}", "steps=3", "lr=0.001")
    data = small(load_data(spec))
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert batch_size == 1 or is_expected(norm, refused["run"]), refused
        return
    *_, outcome = train(spec, components().build(spec, data), data)
    assert isinstance(outcome, Outcome)
    if model in EXPLODES.get(norm, ()):
        assert outcome.status == "diverged"
        return
    assert (outcome.status, outcome.steps_done) == ("completed", 3)
    assert outcome.test_loss is not None and math.isfinite(outcome.test_loss)
