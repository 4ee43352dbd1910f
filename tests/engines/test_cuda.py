"""Stacks on a GPU, with recorded steps and without, beside the reference engine on the GPU and on the CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch

from bnbench.components import Components, components
from bnbench.data import Data
from bnbench.engines import StackOptions, train, train_stack
from bnbench.norms import NORMS
from bnbench.plan.feasibility import obstacles
from bnbench.spec import RunSpec
from bnbench.stacking.graph_capture.cuda_graph import CudaGraphs
from bnbench.training import Outcome, Record, prepare_process
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import DRAWS, Counting, Drawing, Reading, with_norm
from tests.engines.test_stacked import assert_equal, lanes_of, small
from tests.norms.refusals import is_expected

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
GPU, CPU = "cuda", "cpu"


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> None:
    prepare_process()


def stacked(
    specs: Sequence[RunSpec], data: Data, record: bool = True, parts: Components | None = None
) -> tuple[list[list[Record]], list[str]]:
    """What a stack yields on the GPU, and why it was not recorded."""
    build = (parts or components()).build
    networks = [build(spec, data).to(GPU) for spec in specs]
    found: list[list[Record]] = [[] for _ in specs]
    told: list[str] = []
    there = [data.to(GPU)] * len(specs)
    for records in train_stack(specs, networks, there, tell=told.append, options=StackOptions(record=record)):
        for lane, item in records:
            found[lane].append(item)
    return found, told


def alone(spec: RunSpec, data: Data, device: str, parts: Components | None = None) -> list[Record]:
    return list(train(spec, (parts or components()).build(spec, data).to(device), data.to(device)))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet20"])
def test_lanes_agree_with_the_reference_on_both_devices(model: str, norm: str):
    """Standardized weights make rounding noise of a uniform background, such as that of digits, before a ReLU."""
    shown = ["dataset=synthetic", "dataset.size=8", "norm.activation_gain=1"] if norm == "scaled_ws" else []
    spec = make_spec(
        f"model={model}", f"norm={norm}", "precision=fp64", "steps=20", "lr=0.001", "batch_size=16",
        "evaluate.unit=steps", "evaluate.every=10", *shown,
    )  # fmt: skip
    data = small(load_data(spec), 64)
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert is_expected(norm, refused["run"])
        return
    specs = lanes_of(spec)
    found, told = stacked(specs, data)
    assert told in ([], [DRAWS])
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, GPU))
        if not told:  # a GPU draws other numbers
            assert_equal(ours, alone(lane, data, CPU))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("norm", NORMS)
def test_recorded_steps_are_the_bits_of_steps_as_they_come(norm: str, precision: str):
    model = "resnet20" if norm == "fixup" else "cnn"
    spec = make_spec(f"model={model}", f"norm={norm}", f"precision={precision}", "steps=20", "batch_size=16")
    data = small(load_data(spec), 64)
    specs = lanes_of(spec)
    (recorded, told), (as_they_come, _) = stacked(specs, data), stacked(specs, data, record=False)
    assert told in ([], [DRAWS]) and recorded == as_they_come


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_less_precise_lanes_have_the_reference_curve(precision: str):
    spec = make_spec("model=mlp", "norm=batch", f"precision={precision}", "epochs=3", "batch_size=32", "lr=0.05")
    data = load_data(spec)
    found, _ = stacked(lanes_of(spec), data)
    for ours, lane in zip(found, lanes_of(spec), strict=True):
        for mine, other in zip(ours, alone(lane, data, GPU), strict=True):
            assert mine.val_accuracy == pytest.approx(other.val_accuracy, abs=0.03)


@pytest.mark.parametrize(
    "settings",
    [
        ["optim=adam", "lr=0.01"],
        ["optim=adamw", "lr=0.01"],
        ["optim.nesterov=true", "optim.momentum=0.9"],
        ["grad_clip=0.1", "label_smoothing=0.2"],
        ["schedule=cosine", "schedule.warmup=0.2"],
        ["schedule=onecycle"],
        ["drop_last=false", "batch_size=30"],
        ["dataset.pad=1", "dataset.flip=true", "model=cnn"],
        ["norm=renorm", "norm.warmup_steps=4", "norm.ramp_steps=8"],
        ["batches=single_class", "batch_size=8"],
        ["batches=alternating", "domains=[plain,contrast_0.4]"],
    ],
    ids=" ".join,
)
def test_every_setting(settings: list[str]):
    given = {text.split("=")[0] for text in settings}
    common = ("model=mlp", "precision=fp64", "epochs=6", "batch_size=32")
    spec = make_spec(*(text for text in common if text.split("=")[0] not in given), *settings)
    data = small(load_data(spec), 130)
    specs = [dataclasses.replace(spec, seed=seed, lr=spec.lr / 2**seed) for seed in range(3)]
    found, told = stacked(specs, data)
    assert not told
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, GPU))


def test_a_lane_that_diverges_leaves_its_neighbours_alone():
    spec = make_spec("model=cnn", "norm=batch", "precision=fp64", "epochs=4", "batch_size=16", "divergence_factor=5")
    data = small(load_data(spec), 128)
    specs = [dataclasses.replace(spec, seed=seed, lr=lr) for seed, lr in enumerate((0.05, 1e30, 0.05))]
    found, told = stacked(specs, data)
    assert not told
    assert isinstance(found[1][-1], Outcome) and found[1][-1].status == "diverged"
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, GPU))


@pytest.mark.parametrize("norm", [Counting, Reading, Drawing])
def test_after_a_step_that_cannot_be_recorded_training_goes_on(norm):
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=4", "batch_size=32")
    data, parts = small(load_data(spec), 130), with_norm(norm)
    specs = lanes_of(spec)
    found, told = stacked(specs, data, parts=parts)
    assert len(told) == 1
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, GPU, parts))
    again = make_spec("model=mlp", "norm=batch", "precision=fp64", "epochs=2", "batch_size=32")
    assert stacked([again, dataclasses.replace(again, seed=1)], data)[1] == []


def test_nothing_is_done_while_it_is_recorded():
    graphs, total = CudaGraphs(torch.device(GPU)), torch.zeros(4, device=GPU)

    def count() -> None:
        total.add_(1)

    with graphs.stream():
        play = graphs.record(count)
        assert total.tolist() == [0.0] * 4
        for _ in range(3):
            play()
    assert total.tolist() == [3.0] * 4
