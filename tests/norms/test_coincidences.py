"""A norm that is another one at some setting is said to be, and is: found by training both."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
import torch

from bnbench.coincidences import coincidences, sentences
from bnbench.components import components
from bnbench.engines.reference import train
from bnbench.norms import NORMS
from bnbench.plan.feasibility import obstacles
from bnbench.plan.step_counts import steps
from bnbench.reports import report
from bnbench.spec import RunSpec, flatten
from bnbench.training.records import Evaluation
from tests.conftest import Program, load_data, make_spec
from tests.products import long

USUAL = ("model.width=16", "precision=fp64", "steps=4", "batch_size=8", "lr=0.05", "evaluate.recompute_batches=2")
TINY = ("model.dim=8", "model.depth=1", "model.heads=2")
SAID = [  # settings of a run, and of the one that it is said to be
    (["norm=ghost", "batch_size=8"], ["norm=batch"]),
    (["norm=ghost", "norm.chunk=8", "batch_size=8", "model=cnn"], ["norm=batch"]),
    (["norm=renorm"], ["norm=batch"]),
    (["norm=renorm", "norm.warmup_steps=4", "norm.ramp_steps=0"], ["norm=batch"]),
    (["norm=renorm", "norm.r_max=1", "norm.d_max=0", "norm.warmup_steps=0", "norm.ramp_steps=0"], ["norm=batch"]),
    (["norm=sync"], ["norm=batch"]),
    (["norm=precise", "evaluate.statistics=batch"], ["norm=batch"]),
    (["norm=precise", "evaluate.statistics=recomputed"], ["norm=batch"]),
    (["norm=batch", "norm.track=false", "evaluate.statistics=batch"], ["norm=batch"]),
    (
        ["norm=noisy_batch", "norm.shift=0", "norm.scale=1", "norm.shift_spread=0", "norm.scale_spread=0"],
        ["norm=batch"],
    ),
    (["norm=group", "norm.groups=1", "model=cnn"], ["norm=layer"]),
    (["norm=layer", "norm.over=channels"], ["norm=layer"]),
    (["norm=rms", "norm.over=channels"], ["norm=rms"]),
    (["norm=layer", "norm.over=channels", "model=vit", *TINY], ["norm=layer", "model=vit", *TINY]),
]
NOT_SAID = [
    (["norm=ghost", "norm.chunk=4"], ["norm=batch"]),
    (["norm=ghost", "norm.chunk=7", "model=cnn"], ["norm=batch"]),
    (["norm=renorm", "norm.warmup_steps=2"], ["norm=batch"]),
    (["norm=precise"], ["norm=batch"]),
    (["norm=group", "norm.groups=2", "model=cnn"], ["norm=layer"]),
    (["norm=layer", "norm.over=channels", "model=cnn"], ["norm=layer", "model=cnn"]),
]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["norm=sync"], ["norm=sync is norm=batch: a run on one device is one process"]),
        (["norm=sync", "devices=2"], []),
        (["norm=batch", "batch_size=2"], []),
        (
            ["norm=batch", "batch_size=2", "devices=2"],
            ["norm=batch is norm=instance in training at batch_size=2 devices=2: the batch of a device is one image"],
        ),
        (
            ["norm=precise", "batch_size=2", "devices=2"],
            ["norm=precise is norm=instance in training at batch_size=2 devices=2: the batch of a device is one image"],
        ),
        (["norm=ghost", "batch_size=64"], []),
        (
            ["norm=ghost", "batch_size=64", "devices=2"],
            ["norm=ghost norm.chunk=32 is norm=batch at batch_size=64 devices=2: the batch of a device is one chunk"],
        ),
    ],
)
def test_on_several_devices_the_batch_is_that_of_a_device(settings: list[str], said: list[str]):
    assert sentences([flatten(make_spec("model=cnn", *settings))]) == said


def spec_of(*settings: str) -> RunSpec:
    given = {text.split("=")[0] for text in settings}
    given |= {"model.width"} if "model=vit" in settings else set()
    usual = [text for text in ("model=mlp", *USUAL) if text.split("=")[0] not in given]
    return make_spec(*usual, *settings)


def losses(spec: RunSpec) -> list[float]:
    data = load_data(spec)
    found = []
    for record in train(spec, components().build(spec, data), data):
        found += [record.train_loss, record.val_loss] if isinstance(record, Evaluation) else [record.test_loss]
    return found


def others(settings: list[str], other: list[str]) -> tuple[RunSpec, RunSpec]:
    """The run, and the same one with the other norm."""
    kept = [text for text in settings if not text.startswith("norm")]
    return spec_of(*settings), spec_of(*kept, *(text for text in other if text not in kept))


@pytest.mark.parametrize(("settings", "other"), SAID)
def test_what_is_said_is_so(settings: list[str], other: list[str]):
    one, two = others(settings, other)
    (case,) = coincidences({**flatten(one), "total_steps": 4})
    assert case.other.startswith(other[0])
    assert losses(one) == pytest.approx(losses(two), rel=1e-9)


@pytest.mark.parametrize(("settings", "other"), NOT_SAID)
def test_nothing_is_said_of_what_differs(settings: list[str], other: list[str]):
    one, two = others(settings, other)
    assert not list(coincidences({**flatten(one), "total_steps": 4}))
    assert losses(one) != pytest.approx(losses(two), rel=1e-9)


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        *[("mlp", 1), ("cnn", 8), ("mlp", 40)],
        *(pytest.param(*pair, marks=long) for pair in (("cnn", 1), ("mlp", 8), ("cnn", 40))),
    ],
)
def test_norms_that_are_equal_at_their_defaults_are_all_said(model: str, batch: int):
    """With the affine part of batch normalization, and also at evaluation."""
    specs = [spec_of(f"norm={name}", f"model={model}", f"batch_size={batch}") for name in NORMS]
    plans = {spec.norm.name: spec for spec in specs}
    for name in obstacles(plans, components(), load_data):
        del plans[name]
    outcomes = {name: losses(spec) for name, spec in plans.items() if name != "noisy_batch"}
    counts = steps(plans, load_data)
    said = sentences({**flatten(spec), "total_steps": counts[name]} for name, spec in plans.items())
    for one, two in itertools.combinations(outcomes, 2):
        if outcomes[one] == pytest.approx(outcomes[two], rel=1e-9):
            told = {name for name in (one, two) if any(f"norm={name}" in sentence for sentence in said)}
            assert told or {one, two} <= {"none", "weight"}, (one, two)


@pytest.mark.parametrize(("steps", "left"), [(4, True), (5, False)])
def test_layer_normalization_that_is_left_in_the_last_step_is_said(steps: int, left: bool):
    """By what the last step makes of a batch: without it that is re-parameterized batch normalization."""
    progressive, plain = NORMS["prepbn"](6, decay_steps=4).double(), NORMS["repbn"](6).double()
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x = torch.randn(5, 6, generator=draw, dtype=torch.float64)
        last = progressive(x), plain(x)
    assert torch.allclose(*last, rtol=1e-10) is not left
    sentence = (
        f"norm=prepbn norm.decay_steps=4 is norm=layer in part to the end of runs of {steps} steps: "
        "the share of layer normalization is not 0 in any step"
    )
    run = {**flatten(spec_of("norm=prepbn", "norm.decay_steps=4")), "total_steps": steps}
    assert sentences([run]) == [sentence] * left
    assert not sentences([{**run, "freeze_statistics": 1}])  # from where on there is none


def test_values_of_a_factor_are_said_together():
    runs = [{**flatten(spec_of("norm=ghost", f"batch_size={size}")), "total_steps": 4} for size in (32, 8, 64, 8)]
    assert sentences(runs) == ["norm=ghost norm.chunk=32 is norm=batch at batch_size=8, 32: the batch is one chunk"]


def test_channels_of_one_group_are_said_where_they_are():
    assert sentences([flatten(spec_of("norm=group", "norm.groups=32", "model=cnn"))]) == [
        "norm=group norm.groups=32 is norm=instance in layers of 32 channels: a group is one channel"
    ]


def test_a_plan_and_a_report_say_the_same(program: Program):
    norms = "norm=batch,ghost,renorm,prepbn"
    settings = [norms, "model=mlp", "model.width=8", "batch_size=8,64", "steps=3", "seed=0,1"]
    expected = [
        "norm=ghost norm.chunk=32 is norm=batch at batch_size=8: the batch is one chunk",
        "norm=renorm norm.warmup_steps=100 is norm=batch in runs of 3 steps: all steps are within the warm-up",
        "norm=prepbn norm.decay_steps=400 is norm=layer in part to the end of runs of 3 steps: "
        "the share of layer normalization is not 0 in any step",
    ]
    look = program("sweep", "--name", "same", *settings, "--dry-run")
    assert look.code == 0 and all(f"note: {sentence}\n" in look.out for sentence in expected), look.out
    done = program("sweep", "--name", "same", *settings)
    assert done.code == 0 and all(f"note: {sentence}" in done.out + done.err for sentence in expected)
    runs, metrics = pd.read_csv("results/same/runs.csv"), pd.read_csv("results/same/metrics.csv")
    for view in report(runs, metrics).views:
        assert [note for note in view.notes if " is norm=" in note] == [f"{sentence}." for sentence in expected]


def test_a_report_counts_the_steps_of_epochs(program: Program):
    done = program("sweep", "--name", "epochs", "norm=renorm", "model=mlp", "model.width=8", "epochs=1,7", "seed=0")
    assert done.code == 0
    runs, metrics = pd.read_csv("results/epochs/runs.csv"), pd.read_csv("results/epochs/metrics.csv")
    (view,) = report(runs, metrics, ["learning-rate"]).views
    assert any("in runs of 20 steps:" in note for note in view.notes), view.notes


def test_a_report_knows_that_statistics_were_frozen(program: Program):
    settings = ["norm=prepbn", "model=mlp", "model.width=8", "epochs=2", "seed=0", "freeze_statistics=null,1"]
    done = program("sweep", "--name", "frozen", *settings)
    assert done.code == 0
    runs, metrics = pd.read_csv("results/frozen/runs.csv"), pd.read_csv("results/frozen/metrics.csv")
    for frozen, said in ((True, 0), (False, 1)):
        (view,) = report(runs[runs["freeze_statistics"].notna() == frozen], metrics, ["learning-rate"]).views
        assert sum("norm=layer in part" in note for note in view.notes) == said, view.notes


def test_a_table_of_another_origin_is_not_judged():
    runs = pd.DataFrame({"run_id": ["a"], "norm": ["ghost"], "status": ["completed"], "val_accuracy": [0.5], "seed": 0})
    (view,) = report(runs, pd.DataFrame(), ["learning-rate"]).views
    assert not any("norm=" in note for note in view.notes)
