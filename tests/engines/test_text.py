"""Text, in which each position has a label: every engine, by a loop of our own, and what is measured of it."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from bnbench.components import components
from bnbench.data import Data, draw_epoch, order_of
from bnbench.engines import train
from bnbench.engines.interleaved import train_interleaved
from bnbench.native import c_compiler, prove_native
from bnbench.plan.case import Case
from bnbench.plan.proofs import why_not_native
from bnbench.probes.registry import take
from bnbench.spec import PROBE_NAMES, RunSpec
from bnbench.training import Evaluation, Outcome
from bnbench.training.randomness import generator
from tests.conftest import load_data, make_spec
from tests.engines.tape import Tape
from tests.engines.test_going_on import in_two_parts, records_of, same
from tests.engines.test_recording import recorded
from tests.engines.test_stacked import alone, assert_equal, lanes_of, small, stacked
from tests.products import long

GPT = ("model=gpt", "model.dim=16", "model.depth=1", "model.heads=2")
TEXT = ("dataset=text", "dataset.context=8", "batch_size=16")
STEPS = ("steps=6", "evaluate.unit=steps", "evaluate.every=3", "lr=0.01")


def of_text(*settings: str) -> RunSpec:
    given = {text.split("=")[0] for text in settings}
    return make_spec(
        *(text for text in (*GPT, *TEXT, *STEPS, "precision=fp64") if text.split("=")[0] not in given), *settings
    )


def few(spec: RunSpec, count: int = 64) -> Data:
    return small(load_data(spec), count)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_run_is_a_plain_loop_over_characters(norm: str):
    """Losses per character and the share of characters that are foretold, in training and at evaluation."""
    spec = of_text(f"norm={norm}", "optim.momentum=0.5")
    data = few(spec)
    network = components().build(spec, data).double()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.5)
    order = draw_epoch(
        order_of(spec, data.train), data.augmentation, generator(spec.seed, "order"), generator(spec.seed, "augment")
    ).order
    total, right, records = 0.0, 0, list(train(spec, components().build(spec, data), data))
    for step in range(3):
        chosen = order[16 * step : 16 * (step + 1)]
        x, y = data.train.x[chosen].double(), data.train.y[chosen]
        logits = network.train()(x).transpose(1, 2).reshape(-1, data.classes)
        loss = F.cross_entropy(logits, y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, right = total + loss.item() / 3, right + int((logits.argmax(1) == y.reshape(-1)).sum())
    logits, y = network.eval()(data.validation.x.double()), data.validation.y
    logs = logits.log_softmax(1).gather(1, y[:, None])
    first = records[0]
    assert isinstance(first, Evaluation)
    assert first.train_loss == pytest.approx(total, rel=1e-10)
    assert first.train_accuracy == right / (3 * 16 * 8)
    assert first.val_loss == pytest.approx(-logs.mean().item(), rel=1e-10)
    assert first.val_accuracy == int((logits.argmax(1) == y).sum()) / y.numel()


@pytest.mark.parametrize(
    "settings",
    [
        ["norm=layer"],
        pytest.param(["norm=rms", "model.placement=post"], marks=long),
        ["norm=batch", "model.placement=peri", "model.qk_norm=true"],
        ["norm=batch", "evaluate.statistics=batch"],
        ["norm=renorm", "evaluate.statistics=recomputed", "freeze_statistics=1"],
        pytest.param(["norm=ghost", "norm.chunk=8", "model.positions=sincos"], marks=long),
        ["norm=weight", "grad_clip=0.1", "label_smoothing=0.1"],
        ["norm=group", "norm.groups=4", "drop_last=false", "batch_size=24"],
        pytest.param(["norm=none", "train=affine_and_classifier"], marks=long),
    ],
    ids=" ".join,
)
def test_lanes_agree_with_their_reference_runs(settings: list[str]):
    specs = lanes_of(of_text(*settings))
    data = few(specs[0])
    for ours, lane in zip(stacked(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


def test_lanes_of_several_splits_agree_with_their_reference_runs():
    spec = of_text("norm=layer")
    specs = [dataclasses.replace(spec, split=dataclasses.replace(spec.split, seed=seed)) for seed in (0, 1, 1)]
    splits = {lane.split: few(lane) for lane in specs}
    data = [splits[lane.split] for lane in specs]
    for ours, lane, split in zip(stacked(specs, data), specs, data, strict=True):
        assert_equal(ours, alone(lane, split))


@pytest.mark.parametrize("norm", ["layer", pytest.param("batch", marks=long)])
def test_recorded_steps_are_the_reference(norm: str):
    specs, tape, told = lanes_of(of_text(f"norm={norm}")), Tape(), list[str]()
    data = few(specs[0])
    for ours, lane in zip(recorded(specs, data, tape, told), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert (tape.recorded, tape.played, told) == (1, 3, [])


@pytest.mark.parametrize("engine", ["reference", "stacked"])
def test_a_run_goes_on_from_the_middle_of_an_epoch(engine: str):
    """A block is prepared for a whole epoch, of which the pause leaves some batches."""
    spec = of_text("norm=batch", "steps=12", "evaluate.every=2")
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(3)]
    data = few(spec)
    same(in_two_parts(engine, specs, data, 6), list(records_of(engine, specs, data, None)))


def test_runs_in_turns_are_the_reference():
    specs = lanes_of(of_text("norm=rms"))
    data = few(specs[0])
    networks = [components().build(spec, data) for spec in specs]
    found: list[list[object]] = [[] for _ in specs]
    for records in train_interleaved(specs, networks, [data] * len(specs), lambda halts: [[] for _ in halts]):
        for lane, record in records:
            found[lane].append(record)
    assert found == [alone(lane, data) for lane in specs]


def test_no_bit_depends_on_how_many_there_are():
    spec = of_text("norm=layer", "precision=fp32")
    data = few(spec)
    specs = [dataclasses.replace(spec, seed=seed, lr=0.01 * (1 + seed)) for seed in range(5)]
    whole = stacked(specs, data)
    assert stacked(specs[3:], data) == whole[3:]


@pytest.mark.parametrize("precision", [pytest.param("fp32", marks=long), "bf16"])
def test_other_precisions_learn(precision: str):
    spec = of_text("norm=layer", f"precision={precision}", "optim=adam", "steps=60", "evaluate.every=60")
    data = few(spec, 256)
    *_, outcome = train(spec, components().build(spec, data), data)
    assert isinstance(outcome, Outcome) and outcome.val_loss is not None
    assert outcome.status == "completed" and outcome.val_loss < 2.3


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    "settings",
    [
        ["norm=layer"],
        ["norm=rms", "model.placement=post", "model.positions=sincos", "label_smoothing=0.1", "dataset.context=37"],
        pytest.param(["norm=batch", "model.placement=peri", "freeze_statistics=1"], marks=long),
        ["norm=group", "norm.groups=4", "drop_last=false", "batch_size=24"],
        ["norm=none", "dataset.context=1"],
    ],
    ids=" ".join,
)
def test_compiled_lanes_agree_with_their_reference_runs(settings: list[str]):
    specs = lanes_of(of_text(*settings))
    data = few(specs[0])
    assert why_not_native(Case(specs[0], components(), data, torch.device("cpu"))) is None
    for ours, lane in zip(stacked(specs, data, native=True), specs, strict=True):
        assert_equal(ours, alone(lane, data))


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
def test_compiled_code_does_not_train_what_has_other_labels():
    spec = of_text("norm=layer")
    data = few(spec)
    found = prove_native(spec, lambda seed: components().build(spec, data), data.shape, data.classes, 4)
    assert found == "a network with labels of shape [8], where the data's are []"


@pytest.mark.parametrize(
    "probe",
    [name if name == "gradient_flow" else pytest.param(name, marks=long) for name in PROBE_NAMES if name != "shift"],
)
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_probes_of_text(probe: str, norm: str):
    spec = of_text(f"norm={norm}", f"probes=[{probe}]")
    data = few(spec)
    readings = take(spec, components().build(spec, data).double(), data, 0)
    assert readings and all(torch.tensor(reading.value).isfinite() for reading in readings)


@long
def test_sums_are_learned_far_below_the_entropy_of_their_characters():
    """2.52 nats if nothing is known but how often each character is, 2.28 if the one before is known."""
    spec = make_spec("model=gpt", "model.dim=32", "model.depth=1", "dataset=text", "norm=rms", "optim=adam", "lr=0.01",
                     "steps=150", "evaluate.unit=steps", "evaluate.every=150")  # fmt: skip
    data = load_data(spec)
    *_, outcome = train(spec, components().build(spec, data), data)
    assert isinstance(outcome, Outcome) and outcome.test_loss is not None and outcome.test_loss < 1.8
