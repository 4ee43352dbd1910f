"""Compiled steps give each lane what the reference engine gives that run alone, bit for bit whatever its companions."""

import ctypes
import dataclasses
import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnbench import stacking
from bnbench.components import components
from bnbench.data import Data
from bnbench.engines import StackOptions, train_stack
from bnbench.errors import Impossible
from bnbench.models.tokens import MeanToken, Patches
from bnbench.models.transformer_block import DotProductAttention
from bnbench.native import (
    NativeSteps,
    NotNative,
    c_compiler,
    compiler,
    guard,
    layer_rules,
    library,
    prove_native,
    structures,
)
from bnbench.native.compilation import FLAGS, UNITS
from bnbench.native.compiler import REALS
from bnbench.native.graph import Graph, Output
from bnbench.native.tracer import graph_of
from bnbench.norms import NORMS
from bnbench.norms.common.stacking import PerExample
from bnbench.plan.case import Case
from bnbench.plan.feasibility import obstacles
from bnbench.plan.proofs import why_not_native
from bnbench.spec import RunSpec
from bnbench.stacking import Folded, fold
from bnbench.training import Outcome, Record
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import MODELS, alone, assert_equal, lanes_of, short, small, stacked, usual
from tests.native.test_compilation import forget
from tests.products import long, products, whole

NATIVE = {"none", "batch", "sync", "ghost", "precise", "group", "layer", "instance", "rms"}
"""Norms that the compiled code knows."""
NEWEST = {"derf", "isru", "grn", "xbn", "repbn", "prepbn"}
TRANSLATED = {"renorm", "l1_batch", "frn", "evonorm_b0", "evonorm_s0", "dyt", *NEWEST}
"""Norms that are translated for it where a run is long enough; the others are trained by torch."""

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")


def natively(specs: list[RunSpec], data: Data) -> list[list[Record]]:
    return stacked(specs, data, native=True)


def proof(spec: RunSpec, data: Data, batch: int = 8) -> str | None:
    def build(seed: int) -> nn.Module:
        return components().build(dataclasses.replace(spec, seed=seed), data)

    return prove_native(spec, build, data.shape, data.classes, min(batch, spec.batch_size))


AS_ELSEWHERE = ("l1_batch", "dyt", "evonorm_b0")
"""Translated norms that take long to compile for images, and are tried in vectors or by test_guard.py."""


def _marks(model: str, norm: str) -> tuple[pytest.MarkDecorator, ...]:
    """ResNets of translated layers are tried by test_guard.py, and images of what activates with another norm.

    What is neither known nor translated is found out by the layer alone: in vectors, where it takes them, and of two
    that mix the statistics of batches and of examples with one.
    """
    if model == "cnn" and norm not in NATIVE | TRANSLATED and (NORMS[norm].facts.vectors or norm == "batch_instance"):
        return (long,)
    if (model, norm) == ("resnet20", "evonorm_b0"):
        return (long,)
    if model == "cnn" and norm in ("evonorm_s0", "frn", *NEWEST):
        return (long,)
    return (whole,) if model == "cnn" and norm in AS_ELSEWHERE else ()


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        pytest.param(model, norm, marks=_marks(model, norm) or pair.marks)
        for pair in products(["mlp", "cnn", "resnet20"], deep=("batch", "fixup"))
        for model, norm in [pair.values]
    ],
)
def test_lanes_agree_with_their_reference_runs(model: str, norm: str):
    spec = usual(model, norm)
    data = small(load_data(spec), 64)
    if obstacles({"run": spec}, components(), lambda spec: data):
        return  # refused, as tests/norms holds
    assert (why_not_native(Case(spec, components(), data)) is None) == (norm in NATIVE)
    assert (proof(spec, data, spec.batch_size) is None) == (norm in NATIVE | TRANSLATED)
    if norm in NATIVE | TRANSLATED:
        specs = lanes_of(spec)
        for ours, lane in zip(natively(specs, data), specs, strict=True):
            assert_equal(ours, alone(lane, data))


@pytest.mark.parametrize(
    "settings",
    [
        ["optim.nesterov=true", "optim.momentum=0.9"],
        ["optim=adam", "optim.weight_decay=0.1"],
        ["optim=adam", "optim.beta1=0.5", "optim.eps=0.001", "batch_size=3", "model=cnn", "norm=group"],
        ["optim=adamw", "optim.weight_decay=0.1", "optim.decay_norm=false", "schedule=cosine"],
        ["optim=adamw", "optim.eps=1e-4", "optim.decay_bias=false", "freeze_statistics=1"],
        ["optim.weight_decay=0.1", "optim.decay_norm=false"],
        ["optim.weight_decay=0.1", "optim.decay_bias=false", "optim.momentum=0.9", "norm=rms"],
        ["train=affine"],
        ["train=affine_and_classifier", "optim.momentum=0.9", "model=cnn"],
        ["freeze_statistics=1"],
        ["freeze_statistics=1", "norm=ghost", "norm.chunk=24", "model=cnn"],
        ["norm.momentum=null", "norm.affine=scale"],
        ["norm.track=false", "norm.affine=none", "model=cnn"],
        ["norm=layer", "norm.over=channels", "model=cnn"],
        ["norm=rms", "norm.over=channels", "model=cnn", "norm.affine=both"],
        ["norm=group", "norm.groups=8", "norm.affine=shift", "model=cnn"],
        ["norm=instance", "norm.affine=both", "model=cnn"],
        ["norm=ghost", "norm.chunk=12", "batch_size=32"],
        ["model.bias=always", "norm=instance", "model=cnn", "optim=adamw"],
        ["model.bias=always", "norm.affine=none", "optim=adamw"],
        ["label_smoothing=0.2"],
        ["schedule=cosine", "schedule.warmup=0.2"],
        ["drop_last=false", "batch_size=400", "steps=4"],
        ["batch_size=2", "norm.eps=0.1"],
        ["batch_size=1", "norm=layer"],
        ["batch_size=3", "norm=none", "optim.momentum=0.9"],
        ["batch_size=5", "model.width=37", "model.depth=1", "optim.momentum=0.9"],
        ["model.activation=sigmoid", "model.placement=after"],
        ["model.activation=gelu", "norm=group"],
        ["model.activation=tanh", "model=cnn"],
        ["model.activation=none", "norm=none"],
        ["model.bias=always", "model=cnn", "norm=none", "model.pool=average"],
        ["model=cnn", "dataset=synthetic", "dataset.channels=3", "dataset.size=11", "model.depth=5"],
        ["model=cnn", "dataset=synthetic", "dataset.channels=2", "dataset.size=30", "model.width=5", "steps=4"],
        ["model=cnn", "dataset.pad=1", "dataset.flip=true"],
        ["evaluate.statistics=recomputed", "evaluate.recompute_batches=3"],
        ["lr_scaling=sqrt", "lr_reference_batch=16"],
        ["batch_size=300", "model.depth=3", "steps=5"],
        ["model=vit", "model.dim=16", "model.depth=2", "norm=layer", "batch_size=30", "steps=12"],
        [
            *("model=vit", "model.dim=8", "model.heads=1", "model.depth=1", "norm=rms", "model.placement=post"),
            *("dataset=synthetic", "dataset.channels=3", "dataset.size=12", "model.patch=4", "steps=8"),
        ],
        [
            *("model=vit", "model.dim=8", "model.depth=1", "norm=layer", "model.placement=peri", "steps=8"),
            *("model.positions=learned", "optim=adamw", "lr=0.01"),
        ],
        ["model=vit", "model.dim=8", "model.depth=1", "norm=batch", "freeze_statistics=1", "batch_size=30", "steps=20"],
        ["model=vit", "model.dim=8", "model.depth=1", "norm=group", "norm.groups=2", "batch_size=3", "steps=8"],
        [
            *("model=vit", "model.dim=8", "model.heads=2", "model.depth=1", "model.pool=class", "model.qk_norm=true"),
            *("norm=layer", "model.positions=learned", "optim=adamw", "lr=0.01", "steps=8"),
        ],
        [
            *("model=vit", "model.dim=8", "model.heads=2", "model.depth=1", "model.pool=class", "model.qk_norm=true"),
            *("norm=batch", "freeze_statistics=1", "batch_size=30", "steps=20"),
        ],
        ["model=vit", "model.dim=8", "model.heads=2", "model.depth=1", "model.qk_norm=true", "norm=dyt", "steps=8"],
        ["model=convmixer", "model.dim=13", "model.depth=1", "model.kernel=5", "batch_size=30", "steps=6"],
        [
            *(
                "model=convnext",
                "model.dim=8",
                "model.depth=1",
                "model.layer_scale=0.5",
                "norm=layer",
                "norm.over=channels",
            ),
            *("dataset=synthetic", "dataset.channels=3", "dataset.size=12", "batch_size=5", "steps=6"),
        ],
        ["model=resnet20", "model.width=4", "optim.momentum=0.9", "batch_size=16"],
        [
            "model=resnet20",
            "model.width=5",
            "norm=layer",
            "dataset=synthetic",
            "dataset.channels=3",
            "dataset.size=9",
            "batch_size=16",
            "steps=8",
        ],
        ["model=resnet20", "model.width=9", "norm=none", "train=affine_and_classifier", "batch_size=3", "steps=8"],
        [
            "model=resnet20",
            "model.width=8",
            "norm=group",
            "norm.groups=4",
            "dataset=synthetic",
            "dataset.size=12",
            "model.zero_init_last_gamma=true",
            "batch_size=2",
            "steps=8",
        ],
    ],
    ids=" ".join,
)
def test_every_setting(settings: list[str]):
    specs, data = short(settings)
    assert proof(specs[0], data) is None
    for ours, lane in zip(natively(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


class OneHead(nn.Sequential):
    """Rows of an image that look at themselves and those before them."""

    def __init__(self) -> None:
        super().__init__(Patches(2), nn.Linear(4, 6))
        self.query, self.key, self.value = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.look, self.pool, self.head = DotProductAttention(2, causal=True), MeanToken(), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self[1](self[0](x))
        y: Tensor = self.head(self.pool(x + self.look(self.query(x), self.key(x), self.value(x))))
        return y


def test_tokens_that_see_those_before_them_only():
    spec = make_spec("model=mlp", "norm=none", "steps=4")

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return OneHead()

    assert prove_native(spec, build, (1, 8, 8), 10, 3) is None


class EachChannel(nn.Sequential):
    """Strides, dilation, more zeros than a kernel reaches, an even kernel, channels that fill no vector; the mean."""

    def __init__(self) -> None:
        parts = [
            nn.Conv2d(3, 11, 1),
            nn.ReLU6(),
            nn.Conv2d(11, 11, 3, stride=2, padding=1, groups=11, bias=False),
            nn.ReLU6(),
            nn.Conv2d(11, 11, (2, 3), padding=(3, 1), groups=11),
            nn.Conv2d(11, 11, 3, dilation=2, padding="same", groups=11),
            nn.ReLU6(),
            nn.Conv2d(11, 24, 1),
            nn.Conv2d(24, 24, 7, padding=2, groups=24),
            nn.Conv2d(24, 24, 4, padding="same", groups=24),
        ]
        super().__init__(*parts)
        with torch.no_grad():
            self[0].weight.mul_(10)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in list(self)[:-1]:
            x = layer(x)
        y: Tensor = self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, (1, 1)), 1))
        return y


@pytest.mark.parametrize("batch", [1, 9])
def test_convolutions_of_each_channel(batch: int):
    """Zeros more than a kernel reaches, strides and dilation have gradients of their own code; sums reach six."""
    spec = make_spec("model=mlp", "norm=none", "steps=4")

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return EachChannel()

    assert prove_native(spec, build, (3, 15, 19), 10, batch) is None


class EachPool(nn.Sequential):
    """Strides, zeros, a tuple of one, a last window that is not whole; parts of an image that overlap or repeat it."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 11, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),  # of many zeros, which are equal
            nn.MaxPool2d((2, 3), stride=(1, 2), padding=(1, 0)),
            nn.ReLU6(),
            nn.MaxPool2d((2,), stride=1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.AdaptiveAvgPool2d((2, 1)),
            nn.Sigmoid(),
            nn.AdaptiveAvgPool2d((3, 2)),
            nn.Flatten(),
            nn.Linear(66, 10),
        )


@pytest.mark.parametrize("batch", [1, 9])
def test_pools_take_the_first_of_equal_numbers_and_the_mean_of_each_part(batch: int):
    spec = make_spec("model=mlp", "norm=none", "steps=4")

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return EachPool()

    assert prove_native(spec, build, (3, 15, 19), 10, batch) is None


@pytest.mark.parametrize("batch", [2, 20, 200, pytest.param(300, marks=long)])
def test_large_weights_are_taken_in_parts(batch: int):
    """Products with them in parts of their depth, and their updates in parts of what an output has."""
    spec = make_spec(
        "model=mlp", "norm=none", "model.width=601", "model.depth=2", f"batch_size={batch}", "optim.momentum=0.9",
        "dataset=synthetic", "dataset.size=25",
    )  # fmt: skip
    assert proof(spec, load_data(spec), batch) is None


class OnePixel(nn.Sequential):
    """Kernels of which one place sees the image, or none does."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(12, 40, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(40, 21, (2, 3), stride=(2, 1), padding=1, bias=False),
            nn.Tanh(),
            nn.Conv2d(21, 8, 3, dilation=2, padding=2),
            nn.Conv2d(8, 8, 3, padding=5, stride=10),
            nn.Conv2d(8, 7, 3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(7, 10),
        )


@pytest.mark.parametrize("batch", [2, 20, 300])
@pytest.mark.parametrize(
    "optimizer",
    ["optim.momentum=0.9", "optim.momentum=0.9 optim.weight_decay=0.3", "optim=adam optim.weight_decay=0.3",
     "optim=adamw optim.weight_decay=0.3", "optim.weight_decay=0.3"],
)  # fmt: skip
def test_kernels_of_which_an_image_of_one_pixel_sees_one_place(optimizer: str, batch: int):
    """Their other places see zeros, and only decay changes them."""
    spec = make_spec("model=mlp", "norm=none", "steps=4", *optimizer.split(), "batch_size=300")

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return OnePixel()

    assert prove_native(spec, build, (12, 1, 1), 10, batch) is None
    used = [layer for layer in _graph(OnePixel()).layers if layer.pitch > layer.shape.channels]
    assert [(layer.pitch // layer.shape.channels, layer.place // layer.shape.channels) for layer in used] == [
        (9, 4), (6, 4), (9, 4), (9, 4)
    ]  # fmt: skip


def _graph(network: nn.Module) -> Graph:
    """Its layers as the compiled code sees them, without an optimizer."""
    return graph_of(fold([network]), (12, 1, 1), lambda parameter: ((), False))


@pytest.mark.parametrize("share", [0.0, pytest.param(1e9, id="all steps are compared")])
def test_runs_draw_what_they_drop(monkeypatch: pytest.MonkeyPatch, share: float):
    """MobileNetV2, whose dropout draws from the stream of its run, and which is compared without drawing more."""
    spec = make_spec(
        "model=torchvision", "model.name=mobilenet_v2", "norm=batch", "dataset=synthetic", "dataset.size=16",
        "dataset.examples=300", "precision=fp64", "steps=2", "batch_size=16", "lr=1e-5", "evaluate.unit=steps",
    )  # fmt: skip
    data = small(load_data(spec), 32)
    specs = lanes_of(spec, 2)
    assert proof(spec, data) is None
    monkeypatch.setattr(guard, "budget", guard.Budget(trained=1.0))
    found: list[list[Record]] = [[] for _ in specs]
    networks = [components().build(lane, data) for lane in specs]
    for records in train_stack(specs, networks, [data] * 2, options=StackOptions(native=True, guarded=share)):
        for index, record in records:
            found[index].append(record)
    assert (guard.budget.compared > 0) == (share > 0)
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data))


def test_functions_of_floats_are_right_to_their_last_bits(tmp_path: Path):
    """Those of doubles are the library's, so that no proof tells."""
    source, target = tmp_path / "functions.c", tmp_path / "functions.so"
    source.write_text(
        '#include "functions.h"\n'
        "void all(Size n, const float *x, float *e, float *f) "
        "{ for (Size i = 0; i < n; i++) e[i] = exp_of(x[i]), f[i] = erf_of(x[i]); }\n"
    )
    compiler_ = c_compiler()
    assert compiler_
    folder = Path(compiler.__file__).parent / "src"
    command = [compiler_, *FLAGS, "-DREAL=float", f"-I{folder}", "-shared", str(source), "-lm", "-o", str(target)]
    subprocess.run(command, check=True)
    x = torch.cat([torch.linspace(-86, 86, 100_001), torch.linspace(-5, 5, 100_001), torch.tensor([0.0, -0.0])])
    found = torch.empty(2, len(x))
    loaded = ctypes.CDLL(str(target))
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, found[0], found[1])]
    loaded.all(ctypes.c_int64(len(x)), *pointers)
    torch.testing.assert_close(found[0].double(), x.double().exp(), rtol=2e-7, atol=0)
    torch.testing.assert_close(found[1].double(), x.double().erf(), rtol=5e-7, atol=0)
    edges = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
    at_edges = torch.empty(2, len(edges))
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (edges, at_edges[0], at_edges[1])]
    loaded.all(ctypes.c_int64(len(edges)), *pointers)
    assert at_edges[0, 0].isnan() and at_edges[1, 0].isnan()
    assert (at_edges[0, 1::2] > 1e38).all() and (at_edges[0, 2::2] < 1e-37).all()
    assert at_edges[1, 1:].tolist() == pytest.approx([1, -1, 1, -1], rel=5e-7)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_no_bit_depends_on_companions(model: str, norm: str):
    spec = make_spec(*MODELS[model], f"norm={norm}", "epochs=3", "batch_size=32", "divergence_factor=5")
    data = small(load_data(spec), 256)
    calm = [dataclasses.replace(spec, seed=seed, lr=0.01 * (1 + seed)) for seed in range(5)]
    wild = [calm[0], dataclasses.replace(calm[1], lr=1e30), *calm[2:]]
    whole, disturbed = natively(calm, data), natively(wild, data)
    outcome = disturbed[1][-1]
    assert isinstance(outcome, Outcome) and outcome.status == "diverged"
    assert [disturbed[lane] for lane in (0, 2, 3, 4)] == [whole[lane] for lane in (0, 2, 3, 4)]
    assert natively(calm[3:], data) == whole[3:]
    assert natively([calm[2]] * 2, data) == [whole[2]] * 2
    assert natively([calm[2]], data) == [whole[2]]


def test_float32_lanes_have_the_reference_curve():
    spec = make_spec("model=cnn", "norm=batch", "epochs=2", "batch_size=16", "lr=0.01")
    data = small(load_data(spec), 512)
    specs = lanes_of(spec)
    for ours, lane in zip(natively(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data), 1e-4)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["grad_clip=1"], "clipped gradients"),
        (["norm=noisy_batch"], "NoisyBatchNorm"),
        (["norm=weight"], "computed weights"),
        (["norm=ws"], "computed weights"),
        (["model=torchvision", "model.name=squeezenet1_1", "norm=none"], "cat"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_known_is_told_and_trained_by_torch(settings: list[str], reason: str):
    spec = make_spec("batch_size=8", *settings)
    data = load_data(spec)
    assert why_not_native(Case(spec, components(), data)) is not None
    found = proof(spec, data)
    assert found is not None and reason in found


@pytest.mark.parametrize("batch", [1, 2, pytest.param(3, marks=long), 5, pytest.param(8, marks=long)])
@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_small_batches_of_larger_images_are_proved(model: str, norm: str, batch: int):
    spec = make_spec(f"model={model}", f"norm={norm}", f"batch_size={batch}", "dataset=synthetic", "dataset.size=28")
    found = proof(spec, load_data(spec))
    assert found is None or ((model, norm, batch) == ("mlp", "batch", 1) and "at least two values" in found)


def test_a_wrong_translation_is_found(monkeypatch: pytest.MonkeyPatch):
    """Statistics of one group of channels in place of four."""

    def wrong(graph: Graph, layer: PerExample, x: Output) -> Output:
        output = layer_rules.per_example(graph, layer, x)
        graph.layers[-1].groups = 1
        return output

    spec = make_spec("norm=group", "batch_size=8")
    data = load_data(spec)
    assert proof(spec, data) is None
    monkeypatch.setitem(layer_rules.RULES, PerExample, wrong)
    found = proof(spec, data)
    assert found is not None and "differs" in found


def test_a_batch_of_one_value_is_refused_as_the_layers_do():
    spec = make_spec("model=mlp", "norm=batch", "drop_last=false", "batch_size=64", "epochs=1")
    data = small(load_data(spec), 65)
    specs = lanes_of(spec)
    with pytest.raises(Impossible, match="at least two values"):
        natively(specs, data)


class SignDescent:
    """Steps by the sign of the gradient, an optimizer that the compiled code does not know."""

    def __init__(self, network: Folded) -> None:
        self.decay_K1 = torch.zeros(network.lanes, 1)
        self._parameters = list(network.parameters())

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr_K1: Tensor) -> None:
        for parameter in self._parameters:
            if parameter.grad is not None:
                values_KP, gradient_KP = (stacking.lanes_of(part, len(lr_K1)) for part in (parameter, parameter.grad))
                values_KP.addcmul_(gradient_KP.sign(), lr_K1, value=-1)

    def select(self, network: Folded, lanes: Tensor) -> None:
        self.decay_K1, self._parameters = self.decay_K1[lanes], list(network.parameters())

    def state_of(self, parameter: Tensor) -> tuple[list[Tensor], bool]:
        return [], False

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


def test_an_optimizer_that_is_not_known_is_refused():
    spec = make_spec("model=mlp", "norm=batch")
    data = load_data(spec)
    network = fold([components().build(spec, data)])
    with pytest.raises(NotNative, match="SignDescent"):
        NativeSteps(spec, network, SignDescent(network), data.shape, data.classes)
    with pytest.raises(NotNative, match="SignDescent"):
        x, y, lr = torch.zeros(1, 4, *data.shape), torch.zeros(1, 1, 4, dtype=torch.long), torch.ones(1, 1, 1)
        guard.Guard([spec]).expect(network, SignDescent(network), (x, y, lr), frozen=False)


def test_a_layer_with_hooks_is_not_translated():
    spec = make_spec("model=mlp", "batch_size=8")
    data = load_data(spec)

    def build(seed: int) -> nn.Module:
        network = components().build(dataclasses.replace(spec, seed=seed), data)
        next(iter(network.children())).register_forward_hook(lambda layer, inputs, output: output * 2)
        return network

    found = prove_native(spec, build, data.shape, data.classes, 8)
    assert found is not None and found.endswith(" with hooks")


class Weary(nn.Sequential):
    """Says nothing from its hundredth call on."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y: Tensor = super().forward(x)
        return y if self.calls < 100 else y * 0


def test_a_network_that_counts_is_not_translated():
    spec = make_spec("model=mlp", "batch_size=8")
    data = load_data(spec)

    def build(seed: int) -> nn.Module:
        return Weary(components().build(dataclasses.replace(spec, seed=seed), data))

    found = prove_native(spec, build, data.shape, data.classes, 8)
    assert found is not None and "Weary.calls" in found


class Guarded:
    """Compiled code whose scratch memory has gaps between its places, which must not change."""

    GAP, UNTOUCHED = 64, 12345.0

    def __init__(self, folder: Path) -> None:
        made = folder / "guarded.so"
        flags = [*FLAGS, "-O1", "-shared", f"-DGAP={self.GAP}", "-DREAL=float"]
        command = [c_compiler() or "", *flags, *map(str, UNITS), "-lm"]
        subprocess.run([*command, "-o", str(made)], check=True)
        self.loaded, self.trained = compiler._declared(ctypes.CDLL(str(made))), 0

    def plan(self, job: Any) -> int:
        self.size: int = self.loaded.plan(job)
        return self.size

    def train(self, reference: Any) -> None:
        job = reference._obj
        numbers = (ctypes.c_float * self.size).from_address(job.scratch)
        scratch = torch.frombuffer(numbers, dtype=torch.float32).fill_(self.UNTOUCHED)
        self.loaded.train(reference)
        layers = (structures.Layer * job.layers).from_address(job.layer)
        places = {getattr(job, name) for name in structures.PLACES}
        places |= {place for layer in layers for place in (layer.output, layer.statistics)}
        for place in [*(places - {0}), self.size]:
            assert (scratch[place - self.GAP : place] == self.UNTOUCHED).all()
        self.trained += 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    return Guarded(tmp_path_factory.mktemp("guarded"))


SIZES = [(1, 7), (4, 8), (5, 9), (8, 28), (17, 13), (37, 5)]
"""Widths, and sizes of images."""
BATCHES, PLACED = (2, 5, 17), ("mlp", "cnn", "resnet20")
PLACES = [
    (model, width, size, batch, (row + column + turn) % 3 == 0)
    for row, model in enumerate(PLACED)
    for column, (width, size) in enumerate(SIZES)
    for turn, batch in enumerate(BATCHES)
]
"""Networks, and whether they are tried without ``--whole``."""


def test_each_pair_of_a_model_a_size_and_a_batch_is_tried():
    tried = [(model, (width, size), batch) for model, width, size, batch, is_tried in PLACES if is_tried]
    pairs = {pair for case in tried for pair in itertools.combinations(case, 2)}
    sides = itertools.combinations((PLACED, SIZES, BATCHES), 2)
    assert pairs == {pair for one, other in sides for pair in itertools.product(one, other)}


@pytest.mark.parametrize(
    ("model", "width", "size", "batch"),
    [pytest.param(*case, marks=() if is_tried else whole) for *case, is_tried in PLACES],
)
def test_nothing_is_written_outside_its_place(
    monkeypatch: pytest.MonkeyPatch, guarded: Guarded, model: str, width: int, size: int, batch: int
):
    spec = make_spec(
        f"model={model}", f"model.width={width}", f"batch_size={batch}", "dataset=synthetic", f"dataset.size={size}",
        f"dataset.channels={1 + width % 3}", "dataset.examples=300", "steps=2", "lr=0.001",
    )  # fmt: skip
    trains_within_its_places(spec, guarded, monkeypatch)


WITH_TRANSLATED = {
    "renorm": [("mlp", "all", 1), ("cnn", "all", 5)],
    "dyt": [("mlp", "all", 1), ("cnn", "all", 5)],
    "l1_batch": [("mlp", "affine", 5), ("cnn", "affine", 1)],
    "evonorm_s0": [("mlp", "affine", 5), ("cnn", "affine", 1)],
}
"""Settings that are tried without ``--whole``."""


@pytest.mark.parametrize(
    ("norm", "model", "train", "batch"),
    [
        pytest.param(norm, *setting, marks=() if setting in tried else whole)
        for norm, tried in WITH_TRANSLATED.items()
        for setting in itertools.product(("mlp", "cnn"), ("all", "affine"), (1, 5))
    ],
)
def test_translated_layers_write_nothing_outside_their_places(
    monkeypatch: pytest.MonkeyPatch, guarded: Guarded, norm: str, model: str, train: str, batch: int
):
    spec = make_spec(
        f"model={model}", "model.width=12", "model.depth=2", f"norm={norm}", f"train={train}", f"batch_size={batch}",
        "steps=2", "dataset=synthetic", "dataset.size=7", "dataset.examples=300", "lr=0.001",
    )  # fmt: skip
    if not obstacles({"run": spec}, components(), load_data):
        trains_within_its_places(spec, guarded, monkeypatch)


@pytest.mark.parametrize(
    "settings",
    [
        ["model=gpt", "model.dim=12", "model.heads=3", "model.depth=1", "dataset=text", "dataset.context=19"],
        ["model=vit", "model.dim=12", "model.heads=3", "model.depth=1", "dataset=synthetic", "dataset.size=10"],
        [
            *("model=vit", "model.dim=12", "model.heads=3", "model.depth=1", "dataset=synthetic", "dataset.size=10"),
            *("model.pool=class", "model.qk_norm=true"),
        ],
        ["model=convmixer", "model.dim=13", "model.depth=1", "dataset=synthetic", "dataset.size=10"],
        [
            "model=convnext",
            "model.dim=5",
            "model.kernel=3",
            "dataset=synthetic",
            "dataset.size=8",
            "dataset.channels=3",
        ],
    ],
    ids=lambda settings: settings[0],
)
def test_other_networks_write_nothing_outside_their_places(
    monkeypatch: pytest.MonkeyPatch, guarded: Guarded, settings: list[str]
):
    spec = make_spec(*settings, "norm=layer", "batch_size=5", "steps=2", "lr=0.001")
    trains_within_its_places(spec, guarded, monkeypatch)


def trains_within_its_places(spec: RunSpec, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    before = guarded.trained
    monkeypatch.setattr("bnbench.native.steps.library", lambda dtype: guarded)
    natively(lanes_of(spec, 2), small(load_data(spec), 40))
    assert guarded.trained > before


@pytest.mark.parametrize(("real", "way"), [("float", "-O1"), ("double", "-fsyntax-only")])
def test_the_code_compiles_without_a_warning(real: str, way: str, tmp_path):
    """What paths through the code give warnings of is the same for both types."""
    command = [
        c_compiler() or "",
        *FLAGS,
        way,
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-DREAL={real}",
        "-c",
        *map(str, UNITS),
    ]
    assert {*REALS.values()} == {"float", "double"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_compiler_that_fails_is_asked_again_another_time(monkeypatch: pytest.MonkeyPatch):
    """What it came to is not kept as a proof against."""
    spec = make_spec("model=mlp", "model.width=23")
    data = load_data(spec)
    with monkeypatch.context() as broken:
        broken.setattr("bnbench.plan.proofs.library", lambda dtype: None)
        assert why_not_native(Case(spec, components(), data)) is not None
    assert why_not_native(Case(spec, components(), data)) is None


@pytest.mark.parametrize("trouble", ["fails", "is no compiler"])
def test_a_compiler_that_does_not_work_makes_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str):
    program = tmp_path / "cc"
    program.write_text("#!/bin/sh\n" + ('test "$1" = --version\n' if trouble == "fails" else "exit 1\n"))
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    try:
        assert c_compiler() == str(program) and library(torch.float32) is None
        assert not list(tmp_path.rglob("*.so"))
    finally:
        monkeypatch.undo()
        forget()


def test_without_a_compiler_torch_trains(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BNBENCH_NATIVE", "off")
    forget()
    try:
        assert c_compiler() is None
        spec = make_spec("model=mlp")
        assert why_not_native(Case(spec, components(), load_data(spec))) is not None
    finally:
        monkeypatch.undo()
        forget()
