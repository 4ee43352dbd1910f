"""Lanes with a split of their own: each has what its run has alone, and the bits of a stack of one split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bnbench.data import order_of
from bnbench.native import c_compiler
from bnbench.spec import RunSpec, Sgd, stack_key
from bnbench.training import Outcome
from tests.conftest import load_data, make_spec
from tests.engines.tape import Tape
from tests.engines.test_recording import recorded
from tests.engines.test_stacked import alone, assert_equal, small, stacked

USUAL = ("model=mlp", "model.width=16", "precision=fp64", "steps=20", "batch_size=64", "norm=batch")
NATIVE = pytest.param(
    True, marks=pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler"), id="native"
)
ENGINES = pytest.mark.parametrize("native", [pytest.param(False, id="stacked"), NATIVE])
SETTINGS = [
    ["norm=batch"],
    ["norm=layer"],
    ["norm=ghost"],
    ["norm=ghost", "model=cnn", "dataset.pad=1", "dataset.flip=true"],
    ["evaluate.statistics=recomputed", "evaluate.recompute_batches=3", "evaluate.unit=steps", "evaluate.every=7"],
    ["evaluate.statistics=batch", "batch_size=48"],
    ["label_smoothing=0.2", "drop_last=false", "batch_size=1000", "steps=4"],
    ["freeze_statistics=1", "steps=60", "split.train=300"],
    ["optim=adam", "lr=0.01", "norm=layer"],
    ["batches=single_class", "batch_size=40", "evaluate.unit=steps", "evaluate.every=7"],
    ["domains=[plain,noise_1]", "norm=ghost", "epochs=1", "steps=null"],
    ["batches=alternating", "domains=[plain,contrast_0.4]", "freeze_statistics=1", "split.train=300", "steps=60"],
]


def spec_of(settings: Sequence[str]) -> RunSpec:
    keys = {text.split("=")[0] for text in settings}
    dropped = keys | ({"model.width"} if "model" in keys else set())
    return make_spec(*(text for text in USUAL if text.split("=")[0] not in dropped), *settings)


def lanes_of(spec: RunSpec, momenta: tuple[float, float, float] = (0.0, 0.9, 0.3)) -> list[RunSpec]:
    """Three splits, each with two seeds, two learning rates and, where there is one, two momenta."""
    lanes = []
    for split in range(3):
        for seed, lr, momentum in zip((0, 1, 1), (0.02, 0.02, 0.05), momenta, strict=True):
            optim = dataclasses.replace(spec.optim, momentum=momentum) if isinstance(spec.optim, Sgd) else spec.optim
            own = dataclasses.replace(spec.split, seed=split)
            lanes.append(dataclasses.replace(spec, split=own, seed=seed, lr=lr, optim=optim))
    assert len({*map(stack_key, lanes)}) == 1
    return lanes


def assert_as_alone(specs: Sequence[RunSpec], native: bool, root: Path = Path("data")) -> None:
    data = [load_data(spec, root) for spec in specs]
    for ours, lane, split in zip(stacked(specs, data, native), specs, data, strict=True):
        assert_equal(ours, alone(lane, split))


@ENGINES
@pytest.mark.parametrize("settings", SETTINGS, ids=" ".join)
def test_lanes_agree_with_their_reference_runs(settings: list[str], native: bool):
    assert_as_alone(lanes_of(spec_of(settings)), native)


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[6], SETTINGS[7]], ids=" ".join)
def test_recorded_steps_agree_with_reference_runs(settings: list[str]):
    specs, tape = lanes_of(spec_of(settings)), Tape()
    data, told = [load_data(spec) for spec in specs], list[str]()
    for ours, lane, split in zip(recorded(specs, data, tape, told), specs, data, strict=True):
        assert_equal(ours, alone(lane, split))
    assert not told


@ENGINES
@pytest.mark.parametrize("kind", ["bytes", "far"])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_official_test_sets(kind: str, statistics: str, native: bool, tmp_path: Path):
    """Features far from zero are counted from the training mean of each split: their images are not shared."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (90, 6, 6)) if kind == "bytes" else 1e12 + rng.normal(size=(90, 4)) * [1, 2, 1, 500]
    x, y = x.astype(np.uint8 if kind == "bytes" else np.float64), np.arange(90) % 3
    np.savez(tmp_path / "mine.npz", x=x[:60], y=y[:60], x_test=x[60:], y_test=y[60:])
    setting = f"evaluate.statistics={statistics}"
    specs = lanes_of(spec_of(["dataset=npz", "dataset.path=mine.npz", "batch_size=16", setting]))
    sources = {id(load_data(spec, tmp_path).train.source) for spec in specs}
    assert (len(sources) == 1) == (kind == "bytes")
    assert_as_alone(specs, native, tmp_path)


@ENGINES
@pytest.mark.parametrize(
    ("model", "norm"), [("mlp", "none"), ("mlp", "batch"), ("mlp", "ghost"), ("mlp", "layer"), ("cnn", "batch")]
)
def test_no_bit_depends_on_the_splits_of_companions(model: str, norm: str, native: bool):
    """Nor on a lane that diverges, which is dropped with its place in the data."""
    width = ["model.width=64"] if model == "mlp" else []
    spec = make_spec(f"model={model}", *width, f"norm={norm}", "epochs=2", "batch_size=64", "divergence_factor=5")
    specs = lanes_of(spec, (0.9, 0.9, 0.9))
    specs[4] = dataclasses.replace(specs[4], lr=1e30)
    data = [load_data(lane) for lane in specs]
    whole = stacked(specs, data, native)
    outcome = whole[4][-1]
    assert isinstance(outcome, Outcome) and outcome.status == "diverged"
    for lane in (0, 3, 5, 8):
        assert stacked([specs[lane]] * 2, data[lane], native) == [whole[lane]] * 2


@ENGINES
def test_all_but_one_split_end(native: bool):
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=3", "divergence_factor=1.5")
    specs = [dataclasses.replace(lane, lr=0.01 if lane.split.seed == 1 else 1e4) for lane in lanes_of(spec)]
    assert_as_alone(specs, native)


@ENGINES
def test_lanes_whose_epochs_differ_in_length(native: bool):
    """Of 130 examples in no order, the classes have other numbers in each split, and so do whole batches."""
    specs = lanes_of(spec_of(["batches=single_class", "batch_size=4", "evaluate.unit=steps", "evaluate.every=7"]))
    by_split = {spec.split: small(load_data(spec), 130) for spec in specs}
    data = [by_split[spec.split] for spec in specs]
    assert len({order_of(spec, split.train).steps for spec, split in zip(specs, data, strict=True)}) > 1
    for ours, lane, split in zip(stacked(specs, data, native), specs, data, strict=True):
        assert_equal(ours, alone(lane, split))
