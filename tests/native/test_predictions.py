"""At evaluation compiled code puts out what each lane's network does by itself, and changes nothing."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import own_norm
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data
from bnbench.native import NativeSteps, c_compiler, predictions, predictions_of, prove_native
from bnbench.native.codegen import compiled_layer
from bnbench.native.codegen.compiled_layer import code_of
from bnbench.native.predictions import NativePredictions
from bnbench.spec import RunSpec
from bnbench.stacking import Folded, fold
from bnbench.stacking.optimizers import make_lane_optimizer
from bnbench.training.optimizer import decays
from bnbench.training.randomness import randomize
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import assert_equal, short, stacked
from tests.products import long

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

PARTS = components(Path(own_norm.__file__))
SPLITS = torch.tensor([0, 1, 0])
"""Of the lanes."""


def lanes(*settings: str, count: int = 3) -> tuple[RunSpec, list[nn.Module], Data]:
    """Networks in float64 whose parameters and statistics have moved, as after some training."""
    (spec,) = compose_request(["precision=fp64", "batch_size=6", *settings], PARTS).specs
    data = load_data(spec)
    networks = [network_of(spec, data, seed).double() for seed in range(count)]
    with torch.no_grad():
        for number, network in enumerate(networks):
            randomize(network, torch.Generator().manual_seed(number))
    return spec, networks, data


def network_of(spec: RunSpec, data: Data, seed: int) -> nn.Module:
    """An initialized network, whose norm may be a plugin's."""
    return PARTS.build(dataclasses.replace(spec, seed=seed), data)


def logits_of(spec: RunSpec, folded: Folded, data: Data, x_DNCHW: Tensor, split_K: Tensor) -> Tensor | None:
    """Those of compiled code, which has made steps of the network before."""
    optimizer = make_lane_optimizer([spec] * folded.lanes, folded, decays(spec.optim, folded.network))
    steps = NativeSteps(spec, folded, optimizer, data.shape, data.classes)
    steps.translate(spec.batch_size)
    return None if steps.predictions is None else steps.predictions(x_DNCHW, split_K)


@pytest.mark.parametrize(
    "settings",
    [
        ["model=mlp", "norm=batch", "model.activation=sigmoid"],
        ["model=cnn", "norm=ghost", "norm.chunk=2"],
        ["model=cnn", "norm=group", "dataset=synthetic", "dataset.channels=3", "dataset.size=8"],
        ["model=resnet20", "model.width=4", "norm=batch", "dataset=synthetic", "dataset.channels=3", "dataset.size=9"],
        ["model=vit", "model.dim=16", "model.depth=1", "norm=layer"],
        ["model=vit", "model.dim=16", "model.depth=1", "norm=batch", "model.pool=class", "model.qk_norm=true"],
        ["model=gpt", "model.dim=16", "model.depth=1", "norm=rms", "dataset=text", "dataset.context=8"],
        ["model=mlp", "norm=dyt"],
        ["model=mlp", "norm=renorm"],  # which does something else in training, as all that follow
        ["model=mlp", "norm=repbn"],
        pytest.param(["model=cnn", "norm=evonorm_b0"], marks=long),
        ["model=cnn", "norm=own"],
    ],
    ids=lambda settings: " ".join(settings[:2]),
)
def test_logits_are_those_of_each_network_by_itself(settings: list[str]):
    spec, networks, data = lanes(*settings)
    folded = fold(networks).train()
    before = [tensor.clone() for tensor in folded.state_dict().values()]
    x_DNCHW = torch.randn(2, 70, *data.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    if settings[0] == "model=gpt":
        x_DNCHW = data.train.images(torch.arange(140)).unflatten(0, (2, 70)).double()
    received = logits_of(spec, folded, data, x_DNCHW, SPLITS)
    assert received is not None
    for network, split, logits in zip(networks, SPLITS.tolist(), received, strict=True):
        with torch.no_grad():
            expected = network.eval()(x_DNCHW[split])
        assert (logits - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert all(map(torch.equal, before, folded.state_dict().values()))
    assert all(layer.training for layer in folded.modules())
    alone = logits_of(spec, fold(networks[1:2]).train(), data, x_DNCHW, SPLITS[1:2])
    assert alone is not None
    assert torch.equal(alone[0], received[1]), "no bit depends on companions"


@pytest.mark.parametrize(
    "settings",
    [
        ["norm=batch", "evaluate.statistics=batch"],
        ["norm=batch", "evaluate.statistics=recomputed"],
        ["norm=precise"],
        ["norm=batch", "norm.track=false"],
    ],
    ids=" ".join,
)
def test_statistics_of_other_examples_are_left_to_torch(settings: list[str]):
    spec, networks, data = lanes("model=mlp", *settings)
    folded = fold(networks).train()
    assert logits_of(spec, folded, data, torch.zeros(2, 5, *data.shape, dtype=torch.float64), SPLITS) is None


class Counting(nn.Module):
    """Keeps in a buffer how often it was called, in training or not."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.calls.add_(1)
        return x * self.weight


class Gated(nn.Module):
    """Begins as one that does the same in both modes: its gate is closed."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate * (x - x.mean(0, keepdim=True)) if self.training else x + self.gate * x


def of_norm(norm: type[nn.Module]) -> tuple[RunSpec, Data, list[nn.Module]]:
    """Two networks with a norm that bnbench does not know."""
    spec = make_spec("model=mlp", "norm=none", "precision=fp64", "batch_size=20")
    data = load_data(spec)
    torch.manual_seed(0)
    layers = [[nn.Flatten(), nn.Linear(64, 7), norm(7), nn.Linear(7, 10)] for _ in range(2)]
    return spec, data, [nn.Sequential(*each).double() for each in layers]


def test_a_layer_that_changes_a_buffer_at_evaluation_is_left_to_torch():
    """Which puts it back; a step after an evaluation would find it changed."""
    spec, data, networks = of_norm(Counting)
    folded = fold(networks).train()
    assert logits_of(spec, folded, data, torch.zeros(2, 5, *data.shape, dtype=torch.float64), SPLITS[:2]) is None
    assert [folded.state_dict()[name].unique().tolist() for name in folded.state_dict() if "calls" in name] == [[0.0]]


def test_code_for_evaluation_does_not_depend_on_the_numbers_of_the_moment():
    spec, data, networks = of_norm(Gated)
    folded = fold(networks).train()
    x_DNCHW = torch.randn(2, 20, *data.shape, dtype=torch.float64)
    assert logits_of(spec, folded, data, x_DNCHW, SPLITS[:2]) is not None
    with torch.no_grad():
        for network in networks:
            network[2].gate.fill_(0.5)
    expected = torch.stack([network.eval()(x_DNCHW[split]) for network, split in zip(networks, SPLITS, strict=False)])
    compiled = predictions_of(spec, fold(networks).train(), data.shape, data.classes)
    assert compiled is not None
    torch.testing.assert_close(compiled(x_DNCHW, SPLITS[:2]), expected, rtol=1e-10, atol=1e-10)


def test_code_that_is_kept_is_taken_without_gradients_too():
    """As a proof of another kind of run does, within its evaluation."""
    layer, x = own_norm.Own(5).double().eval(), torch.randn(4, 5, dtype=torch.float64)
    code_of(layer, x)
    compiled_layer._known.clear()
    with torch.no_grad():
        code_of(layer, x)


def test_a_proof_looks_at_code_for_evaluation(monkeypatch: pytest.MonkeyPatch):
    """That of training is not right there."""

    def proof() -> str | None:
        spec, data, _ = of_norm(own_norm.Own)
        return prove_native(spec, lambda seed: of_norm(own_norm.Own)[2][seed % 2], data.shape, data.classes, 8)

    assert proof() is None
    monkeypatch.setattr(predictions, "_is_same_in_training", lambda layer, x: True)
    found = proof()
    assert found is not None and "differs" in found


def test_nothing_is_compiled_for_it():
    spec, networks, data = lanes("model=mlp", "norm=isru", "norm.alpha=0.0123")
    assert predictions_of(spec, fold(networks).train(), data.shape, data.classes) is None


@pytest.mark.parametrize("splits", [1, 2])
def test_stacks_are_evaluated_by_it(splits: int, monkeypatch: pytest.MonkeyPatch):
    specs, data = short(["model=mlp", "norm=batch", "precision=fp64"])
    parts = [data, *[dataclasses.replace(data) for _ in range(splits - 1)]]
    by_lane = [parts[lane % splits] for lane in range(len(specs))]
    calls = []

    def counted(self: NativePredictions, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        calls.append(split_K.tolist())
        return predict(self, x_DNCHW, split_K)

    predict = NativePredictions.__call__
    monkeypatch.setattr(NativePredictions, "__call__", counted)
    compiled = stacked(specs, by_lane, native=True)
    assert {tuple(call) for call in calls} == {tuple(lane % splits for lane in range(len(specs)))}
    monkeypatch.setattr("bnbench.native.steps.predictions_of", lambda *arguments: None)
    for ours, theirs in zip(compiled, stacked(specs, by_lane, native=True), strict=True):
        assert_equal(ours, theirs)
