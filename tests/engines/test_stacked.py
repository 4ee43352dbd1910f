"""A stack gives each of its lanes what the reference engine gives that run alone."""

import dataclasses
import hashlib
import math
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from torch import Tensor, nn

from bnbench.components import Components, components
from bnbench.data import Data
from bnbench.engines import StackOptions, train, train_stack
from bnbench.norms import NORMS
from bnbench.plan.feasibility import obstacles
from bnbench.spec import RunSpec, Sgd
from bnbench.training import Outcome, Record
from tests.conftest import load_data, make_spec
from tests.norms.refusals import is_expected
from tests.products import MECHANISMS, long, products, whole

SHORT = ("model=mlp", "model.width=16", "precision=fp64", "steps=20")


def lanes_of(spec: RunSpec, count: int = 3) -> list[RunSpec]:
    """Runs with one stack key that differ in everything that a lane may own."""
    assert isinstance(spec.optim, Sgd)
    return [
        dataclasses.replace(
            spec,
            seed=lane,
            lr=spec.lr * (1 + lane),
            optim=dataclasses.replace(spec.optim, momentum=0.3 * (lane % 3), weight_decay=0.01 * (lane % 3)),
        )
        for lane in range(count)
    ]


def stacked(
    specs: Sequence[RunSpec], data: Data | Sequence[Data], native: bool = False, parts: Components | None = None
) -> list[list[Record]]:
    """The records of each lane; all have one split, or each the one that is at its place."""
    splits = [data] * len(specs) if isinstance(data, Data) else data
    networks = [(parts or components()).build(spec, split) for spec, split in zip(specs, splits, strict=True)]
    found: list[list[Record]] = [[] for _ in specs]
    for records in train_stack(specs, networks, splits, options=StackOptions(native=native)):
        for lane, record in records:
            found[lane].append(record)
    return found


def alone(spec: RunSpec, data: Data, parts: Components | None = None) -> list[Record]:
    """What the reference engine yields of a run; that of built-in parts is kept for all tests of this session."""
    if parts is not None:
        return list(train(spec, parts.build(spec, data), data))
    place = Path(os.environ["XDG_CACHE_HOME"], "references", _key(spec, data))
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{place.name}-{os.getpid()}")
        new.write_bytes(pickle.dumps(list(train(spec, components().build(spec, data), data))))
        new.replace(place)
    return cast(list[Record], pickle.loads(place.read_bytes()))


def _key(spec: RunSpec, data: Data) -> str:
    """A hash of all that a run of built-in parts depends on."""
    parts = (data.train, data.validation, data.test)
    tensors: list[Tensor] = [data.mean, data.std, *(tensor for part in parts for tensor in (part.x, part.y))]
    digest = hashlib.sha256(repr(spec).encode())
    for tensor in tensors:
        digest.update(repr(tensor.shape).encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


STEPS = 6
"""Of :func:`usual`: an epoch of four and two more; a recorder rehearses three, records one and plays three."""


def usual(model: str, norm: str) -> RunSpec:
    """A run that every engine is held to, for ``small(data, 64)``; the reference trains its lanes once for all.

    An image without a uniform background: standardized weights, which sum to zero, make rounding noise of one before a
    ReLU.
    """
    return make_spec(
        f"model={model}", f"norm={norm}", "dataset=synthetic", "dataset.size=8", "dataset.examples=300",
        "precision=fp64", f"steps={STEPS}", "lr=0.001", "batch_size=16", "evaluate.unit=steps", "evaluate.every=3",
        *(["norm.activation_gain=1"] if norm == "scaled_ws" else []),
    )  # fmt: skip


def assert_equal(ours: Sequence[Record], theirs: Sequence[Record], tolerance: float = 1e-9) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert type(mine) is type(other)
        for field in dataclasses.fields(mine):
            value, expected = getattr(mine, field.name), getattr(other, field.name)
            same = value == expected
            assert same or value == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True), field.name


def small(data: Data, count: int) -> Data:
    train_part, validation, test = (part[:count] for part in (data.train, data.validation, data.test))
    return dataclasses.replace(data, train=train_part, validation=validation, test=test)


RESNET18, MOBILENET = "torchvision model.name=resnet18", "torchvision model.name=mobilenet_v2"
ON_RESNET18 = [
    pytest.param(
        RESNET18,
        norm,
        marks=() if norm in ("fixup", "evonorm_b0") else long if norm in ("batch", "ws") else whole,
    )
    for norm in NORMS
]
"""Residual networks of torchvision: what is put in the place of norms, of branches, and a refusal; computed weights are
tried in a ResNet of ours, and in MobileNetV2.
"""
ON_MOBILENET = [
    pytest.param(
        MOBILENET, norm, marks=() if norm in ("spectral", "evonorm_b0") else long if norm == "batch" else whole
    )
    for norm in NORMS
]
"""Depthwise convolutions, their computed weights, and activations that a norm takes over."""
CONVNEXT = "convnext model.dim=8 model.layer_scale=0.1"
ON_CONVNEXT = [
    pytest.param(CONVNEXT, norm, marks=() if norm in ("layer", "ws") else long if norm == "batch" else whole)
    for norm in NORMS
]
"""Scales of channels, large enough that the branches count, and a norm behind the pooling."""


@pytest.mark.parametrize(("model", "norm"), products(["mlp", "cnn", "resnet20"], deep=("batch", "spectral", "fixup")))
def test_lanes_agree_with_their_reference_runs(model: str, norm: str):
    agree(usual(model, norm), norm, 64, 3)


@pytest.mark.parametrize(("model", "norm"), [*ON_RESNET18, *ON_MOBILENET, *ON_CONVNEXT])
def test_lanes_of_large_networks_agree_with_their_reference_runs(model: str, norm: str, request: pytest.FixtureRequest):
    """The last stages of a large network have one pixel: batches of 4 would make batch norm amplify rounding a
    thousandfold per step; batches of 16 do not, and for MobileNetV2 a small learning rate. Small weights reach no six,
    where ReLU6 would cut rounding noise off.
    """
    longer = request.config.getoption("--whole")
    spec = make_spec(
        *f"model={model}".split(), f"norm={norm}", "dataset=synthetic", f"dataset.size={32 if longer else 16}",
        "dataset.examples=300", "precision=fp64", f"steps={20 if longer else 2}", "batch_size=16",
        f"lr={1e-5 if model == MOBILENET else 1e-3}", "evaluate.unit=steps", "evaluate.every=5",
        *(["norm.activation_gain=1"] if norm == "scaled_ws" else []),
    )  # fmt: skip
    agree(spec, norm, 32, 3 if longer else 2)


def short(settings: Sequence[str]) -> tuple[list[RunSpec], Data]:
    """Lanes with some settings, of two epochs and a half; the reference trains them once for all engines."""
    given = {text.split("=")[0] for text in settings}
    if {"model=vit", "model=convmixer", "model=convnext"} & set(settings):
        given.add("model.width")
    spec = make_spec(*(text for text in (*SHORT, "batch_size=64") if text.split("=")[0] not in given), *settings)
    lanes = [dataclasses.replace(spec, seed=seed, lr=lr) for seed, lr in ((0, 0.05), (1, 0.1), (1, 0.02))]
    return lanes, small(load_data(spec), 512)


def agree(spec: RunSpec, norm: str, size: int, lanes: int) -> None:
    """See that lanes of a stack agree with runs alone, or that the norm is refused."""
    data = small(load_data(spec), size)
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert is_expected(norm, refused["run"])
        return
    specs = lanes_of(spec, lanes)
    for ours, lane in zip(stacked(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


@pytest.mark.parametrize(
    "settings",
    [
        ["optim=adam", "lr=0.01"],
        ["optim=adamw", "lr=0.01", "optim.decay_norm=false", "optim.decay_bias=false"],
        ["optim.nesterov=true", "optim.momentum=0.9"],
        ["optim.weight_decay=0.1", "optim.decay_norm=false"],
        ["optim.weight_decay=0.1", "optim.decay_bias=false", "norm=rms"],
        ["train=affine"],
        ["train=affine", "optim.momentum=0.9", "norm=rms", "grad_clip=0.1"],
        ["train=affine_and_classifier", "norm=ws", "norm.statistics=batch"],
        ["freeze_statistics=1"],
        ["freeze_statistics=1", "evaluate.unit=steps", "evaluate.every=7", "norm=ghost"],
        ["freeze_statistics=1", "evaluate.statistics=recomputed", "norm=renorm", "model=cnn"],
        ["norm=ws", "norm.statistics=batch", "freeze_statistics=1"],
        ["norm=ws", "model=cnn"],
        ["norm=scaled_ws", "optim.decay_norm=false", "optim.weight_decay=0.1"],
        ["norm=weight", "model=cnn", "train=affine"],
        ["norm=spectral", "norm.iterations=2", "model=cnn"],
        ["norm=fixup", "model=resnet20", "model.width=4"],
        ["grad_clip=0.1"],
        ["model.bias=always", "norm=instance", "model=cnn", "optim=adamw"],
        ["model.bias=always", "norm.affine=none", "optim=adamw"],
        ["label_smoothing=0.2"],
        ["schedule=cosine", "schedule.warmup=0.2"],
        ["schedule=onecycle"],
        ["drop_last=false", "batch_size=400", "steps=4"],
        ["dataset.pad=1", "dataset.flip=true", "model=cnn"],
        ["evaluate.statistics=recomputed", "evaluate.recompute_batches=3", "norm=renorm"],
        ["evaluate.statistics=batch", "batch_size=48"],
        ["norm.track=false", "batch_size=48", "model=cnn"],
        ["lr_scaling=sqrt", "lr_reference_batch=16"],
        ["batches=single_class", "batch_size=32", "norm=renorm"],
        ["batches=single_class", "batch_size=24", "evaluate.statistics=recomputed", "dataset.pad=1", "model=cnn"],
        ["batches=alternating", "domains=[plain,contrast_0.4,noise_1]", "evaluate.unit=steps", "evaluate.every=7"],
        ["domains=[brightness_1,blur_1]", "evaluate.statistics=batch", "drop_last=false", "batch_size=100"],
        ["batches=single_class", "domains=[plain,contrast_0.4]", "batch_size=16", "freeze_statistics=1", "steps=45"],
    ],
    ids=" ".join,
)
def test_every_setting_in_a_stack(settings: list[str]):
    specs, data = short(settings)
    for ours, lane in zip(stacked(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


MODELS = {"mlp": ("model=mlp", "model.width=64"), "cnn": ("model=cnn",), "resnet20": ("model=resnet20",)}
"""A lane's weights begin at multiples of 64 bytes: products may be rounded differently where they do not."""


@pytest.mark.parametrize(("model", "norm"), products(MODELS, deep=("batch",), vectors=MECHANISMS))
def test_a_lane_that_diverges_never_changes_a_bit_of_its_neighbours(model: str, norm: str):
    """It is dropped at the first pause: from then on a smaller stack is compared with the whole one."""
    spec = make_spec(*MODELS[model], f"norm={norm}", "epochs=2", "batch_size=32", "divergence_factor=5")
    data = small(load_data(spec), 64)
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert is_expected(norm, refused["run"])
        return
    calm = [dataclasses.replace(spec, seed=seed, lr=0.01) for seed in range(4)]
    wild = [calm[0], dataclasses.replace(calm[1], lr=1e30), *calm[2:]]
    behaved, disturbed = stacked(calm, data), stacked(wild, data)
    assert isinstance(disturbed[1][-1], Outcome) and disturbed[1][-1].status == "diverged"
    assert disturbed[1] == alone(wild[1], data)
    assert [disturbed[lane] for lane in (0, 2, 3)] == [behaved[lane] for lane in (0, 2, 3)]


def test_lanes_that_diverge_at_different_times_are_told_as_the_reference_tells_them():
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "epochs=3", "divergence_factor=1.5", "lr=1")
    data = load_data(spec)
    specs = [dataclasses.replace(spec, lr=lr, seed=seed) for lr in (0.01, 0.5, 2.0, 8.0) for seed in (0, 1)]
    found = stacked(specs, data)
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data))
    statuses = [records[-1].status for records in found if isinstance(records[-1], Outcome)]
    assert "completed" in statuses and "diverged" in statuses


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        pytest.param(model, norm, marks=long if model == "resnet20" and norm != "batch" else ())
        for model in MODELS
        for norm in ("none", "batch", "ghost", "renorm", "group", "rms")
    ],
)
def test_no_bit_depends_on_how_many_there_are(model: str, norm: str):
    spec = make_spec(*MODELS[model], f"norm={norm}", "steps=4", "batch_size=32")
    data = small(load_data(spec), 128)
    specs = [dataclasses.replace(spec, seed=seed, lr=0.01 * (1 + seed)) for seed in range(5)]
    whole = stacked(specs, data)
    assert stacked(specs[3:], data) == whole[3:]
    assert stacked([specs[2]] * 2, data) == [whole[2]] * 2


@pytest.mark.parametrize("companions", [1, 3, 16])
def test_companions_do_not_matter(companions: int):
    spec = make_spec(*SHORT, "norm=batch", "batch_size=32")
    data = load_data(spec)
    (first, *_) = stacked(lanes_of(spec, companions + 1), data)
    assert_equal(first, alone(lanes_of(spec)[0], data))


def test_the_same_stack_gives_the_same_bits():
    spec = make_spec("model=cnn", "norm=ghost", "steps=10", "batch_size=64")
    data = small(load_data(spec), 256)
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(3)]
    assert stacked(specs, data) == stacked(specs, data)


def test_float32_lanes_have_the_reference_curve():
    spec = make_spec("model=mlp", "norm=batch", "epochs=3", "batch_size=32", "lr=0.05")
    data = load_data(spec)
    for ours, lane in zip(stacked(lanes_of(spec), data), lanes_of(spec), strict=True):
        for mine, other in zip(ours, alone(lane, data), strict=True):
            assert mine.val_accuracy is not None and other.val_accuracy is not None
            assert math.isclose(mine.val_accuracy, other.val_accuracy, abs_tol=0.03)


def twice(norm: Callable[[int], nn.Module], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A convolution that is called on 8x8 and on 2x2 positions."""
    layer = nn.Conv2d(shape[0], shape[0], 3, padding=1)
    pooled = nn.MaxPool2d(4)
    return nn.Sequential(
        layer, nn.Tanh(), pooled, layer, norm(shape[0]), nn.Flatten(), nn.Linear(4 * shape[0], classes)
    )


@pytest.mark.parametrize("optim", ["optim.momentum=0.9", "optim.nesterov=true optim.momentum=0.5", ""])
def test_a_layer_that_is_called_in_two_forms_has_both_gradients(monkeypatch: pytest.MonkeyPatch, optim: str):
    """One call makes the gradient of the weight as factors, the other as a tensor."""
    registries = components().registries
    parts = Components({**registries, "model": {**registries["model"], "cnn": twice}}, {})
    spec = make_spec("model=mlp", "norm=none", "batch_size=32", "precision=fp64", "steps=6", *optim.split())
    spec = dataclasses.replace(spec, model=dataclasses.replace(spec.model, name="cnn", items=()))
    monkeypatch.setattr("bnbench.stacking.layers.convolution.PRODUCT_BYTES", 32 * 4 * 9 * 8)
    data, specs = load_data(spec), lanes_of(spec)
    for ours, lane in zip(stacked(specs, data, parts=parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))
