"""A recorded step is a step: the numbers of Python that a recording freezes are not needed in it.

The recorder here is one for the CPU; test_cuda.py has the one for a GPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from bnbench.components import Components, components
from bnbench.data import Data
from bnbench.engines import train_stack
from bnbench.plan.feasibility import obstacles
from bnbench.spec import RunSpec
from bnbench.training import Outcome, Record
from tests.conftest import load_data, make_spec
from tests.engines.tape import Tape
from tests.engines.test_stacked import SHORT, STEPS, alone, assert_equal, lanes_of, short, small, usual
from tests.norms.refusals import is_expected
from tests.products import MECHANISMS, products

DRAWS = "steps are not recorded, which is slower: a layer draws random numbers"


def recorded(
    specs: Sequence[RunSpec], data: Data | Sequence[Data], tape: Tape, told: list[str], parts: Components | None = None
) -> list[list[Record]]:
    """What a stack yields whose steps are recorded on a tape; all lanes have one split, or each its own."""
    build = (parts or components()).build
    found: list[list[Record]] = [[] for _ in specs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnbench.engines.stacked.recorder_for", lambda device: tape)
        splits = [data] * len(specs) if isinstance(data, Data) else data
        networks = [build(spec, split) for spec, split in zip(specs, splits, strict=True)]
        for records in train_stack(specs, networks, splits, tell=told.append):
            for lane, record in records:
                found[lane].append(record)
    return found


def with_norm(norm: type[nn.Module]) -> Components:
    registries = components().registries
    return Components({**registries, "norm": {**registries["norm"], "none": norm}}, {})


@pytest.mark.parametrize(("model", "norm"), products(["mlp", "cnn", "resnet20"], deep=("batch",), vectors=MECHANISMS))
def test_recorded_steps_are_the_reference(model: str, norm: str):
    spec = usual(model, norm)
    data, tape, told = small(load_data(spec), 64), Tape(), list[str]()
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert is_expected(norm, refused["run"])
        return
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, told), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert (tape.recorded, tape.played, told) == (1, STEPS - 3, []) or told == [DRAWS]


@pytest.mark.parametrize(
    "settings",
    [
        ["optim=adam", "lr=0.01"],
        ["optim=adamw", "lr=0.01", "optim.decay_norm=false", "optim.decay_bias=false"],
        ["optim.nesterov=true", "optim.momentum=0.9"],
        ["optim.weight_decay=0.1", "optim.decay_norm=false"],
        ["grad_clip=0.1"],
        ["label_smoothing=0.2"],
        ["schedule=constant", "schedule.warmup=0.5"],
        ["schedule=cosine", "schedule.warmup=0.2"],
        ["schedule=step"],
        ["schedule=onecycle"],
        ["dataset.pad=1", "dataset.flip=true", "model=cnn"],
        ["norm=renorm", "norm.warmup_steps=4", "norm.ramp_steps=8"],
        ["evaluate.statistics=recomputed", "evaluate.recompute_batches=3", "norm=renorm"],
        ["evaluate.statistics=batch", "batch_size=48"],
        ["model=cnn", "norm=layer", "norm.over=channels"],
        ["batches=single_class", "batch_size=16", "norm=renorm", "norm.warmup_steps=4", "norm.ramp_steps=8"],
        ["batches=alternating", "domains=[plain,contrast_0.4]", "batch_size=16"],
    ],
    ids=" ".join,
)
def test_every_setting_in_recorded_steps(settings: list[str]):
    (specs, data), tape, told = short(settings), Tape(), list[str]()
    for ours, lane in zip(recorded(specs, data, tape, told), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert tape.played == 20 - 3 and not told
    if any(text.startswith("evaluate.statistics") for text in settings):  # those of batches, and of the population
        assert tape.evaluations_recorded == 0
    else:
        assert 1 <= tape.evaluations_recorded <= 2 and tape.evaluations_played >= 14


def test_a_smaller_last_batch_is_recorded_on_its_own():
    """Five epochs of 4 batches of 30 and one of 10: the fourth of the small ones is the first to be recorded."""
    spec = dataclasses.replace(make_spec(*SHORT, "drop_last=false", "batch_size=30"), steps=25)
    data, tape = small(load_data(spec), 130), Tape()
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, []), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert (tape.recorded, tape.played) == (2, 25 - 2 * 3)


@pytest.mark.parametrize("every", [1, 7])
def test_pauses_do_not_matter(every: int):
    """Blocks end at pauses and at the ends of epochs, which are not the same."""
    spec = make_spec(*SHORT, "batch_size=30", "evaluate.unit=steps", f"evaluate.every={every}")
    data, tape = small(load_data(spec), 130), Tape()
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, []), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert tape.recorded == 1


def test_lanes_that_diverge_are_left_out_of_a_new_recording():
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=3", "divergence_factor=1.5", "lr=1")
    data, tape, told = load_data(spec), Tape(), list[str]()
    specs = [dataclasses.replace(spec, lr=lr, seed=seed) for lr in (0.01, 0.5, 2.0, 8.0) for seed in (0, 1)]
    found = recorded(specs, data, tape, told)
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert {records[-1].status for records in found if isinstance(records[-1], Outcome)} == {"completed", "diverged"}
    assert tape.recorded > 1 and not told


def test_float32_and_bfloat16_are_the_bits_of_steps_as_they_come():
    for precision in ("fp32", "bf16"):
        spec = make_spec("model=cnn", "norm=batch", f"precision={precision}", "steps=12", "batch_size=16")
        data, tape = small(load_data(spec), 64), Tape()
        specs = lanes_of(spec)
        as_they_come: list[list[Record]] = [[] for _ in specs]
        networks = [components().build(lane, data) for lane in specs]
        for records in train_stack(specs, networks, [data] * len(specs)):
            for lane, record in records:
                as_they_come[lane].append(record)
        assert recorded(specs, data, tape, []) == as_they_come
        assert tape.played == 12 - 3


class Counting(nn.Module):
    """Fades out in Python."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        return x / self.calls if self.training else x


class Remembering(nn.Module):
    """Holds another tensor after each step."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.last = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        y = x - self.last
        if self.training:
            self.last = x.detach().mean()
        return y


class Reading(nn.Module):
    """Decides by a value of the batch in training."""

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return -x if self.training and x.sum().item() < 0 else x


class Drawing(nn.Module):
    """Draws numbers in training."""

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x) if self.training else x


class Halving(nn.Module):
    """Nothing is wrong with it; it has no rule, and replaces a buffer."""

    seen: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = self.seen + 1
        return x / (1 + 1 / (1 + self.seen))


@pytest.mark.parametrize(
    ("norm", "reason", "begun"),
    [
        (Counting, "lane 0 of layer0.norm (Counting).calls changes from step to step", 0),
        (Remembering, "lane 0 of layer0.norm (Remembering).last changes from step to step", 0),
        (Reading, "operation not permitted when stream is capturing", 1),
        (Drawing, "a layer draws random numbers", 0),
        (Halving, None, 1),
    ],
)
def test_what_cannot_be_recorded_is_told_once_and_trained_as_it_comes(norm, reason: str | None, begun: int):
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=2", "batch_size=100", "drop_last=false")
    data, parts, tape, told = small(load_data(spec), 430), with_norm(norm), Tape(), list[str]()
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, told, parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))
    assert tape.recorded == begun and bool(tape.played) == (reason is None)
    assert len(told) == (reason is not None)
    assert all(reason in text for text in told if reason is not None)


class CountingShows(nn.Module):
    """Counts in Python the batches of an evaluation, which training must not see."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shown = 1

    def forward(self, x: Tensor) -> Tensor:
        self.shown += not self.training
        return x / self.shown if self.training else x.clone()


class ReplacingShows(nn.Module):
    """Puts another buffer in its buffer's place at evaluation."""

    seen: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.seen = self.seen + 1
        return x / self.seen if self.training else x.clone()


class WritingShows(ReplacingShows):
    """Writes into its buffer at evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.seen += 1
        return x / self.seen if self.training else x.clone()


class ReadingShows(nn.Module):
    """Decides by a value of the batch at evaluation."""

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.clone() if self.training or x.max().item() < 1e9 else -x


@pytest.mark.parametrize(
    ("norm", "reason"),
    [
        (CountingShows, "lane 0 of layer0.norm (CountingShows).shown changes at evaluation"),
        (ReplacingShows, "a layer changes its buffers at evaluation"),
        (WritingShows, "a layer changes its buffers at evaluation"),
        (ReadingShows, "RuntimeError: operation not permitted when stream is capturing"),
    ],
)
def test_an_evaluation_that_cannot_be_recorded_is_told_once_and_done_as_it_comes(norm: type[nn.Module], reason: str):
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=3", "batch_size=50")
    data, parts, tape, told = small(load_data(spec), 430), with_norm(norm), Tape(), list[str]()
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, told, parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))
    assert told == [f"evaluations are not recorded, which is slower: {reason}"]
    assert tape.played and not tape.evaluations_played
