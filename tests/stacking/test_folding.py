"""Folded networks compute what separate ones do, and come apart again."""

import copy

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from bnbench.errors import Impossible
from bnbench.models import build
from bnbench.norms import NORMS
from bnbench.spec import Choice
from bnbench.stacking import CannotFold, LaneByLane, fold, lanes_of, select, set_streams, unfold
from bnbench.training.randomness import GlobalStream

CPU = torch.device("cpu")


def equal_states(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def run_both(networks: list[nn.Module], folded: nn.Module, x_lanes: list[Tensor]) -> tuple[Tensor, Tensor]:
    separate = [network(x) for network, x in zip(networks, x_lanes, strict=True)]
    return torch.cat(separate), folded(torch.cat(x_lanes))


@st.composite
def trees(draw, depth: int = 2):
    """A recipe ``(channels, vector?) -> (layers, channels, vector?)`` of random layers."""
    kinds = ["conv", "depthwise", "norm", "activation", "pool", "linear", "flatten", "native"]
    return [
        (draw(st.sampled_from([*kinds, "nested"] if depth else kinds)), draw(st.integers(0, 7)), draw(trees(depth - 1)))
        if depth
        else (draw(st.sampled_from(kinds)), draw(st.integers(0, 7)), [])
        for _ in range(draw(st.integers(1, 4)))
    ]


ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.GELU, nn.Identity, nn.PReLU, nn.SiLU, nn.Softplus, nn.Hardswish]
PIXELS = 3


def grow(recipe, channels: int, flat: bool) -> tuple[nn.Sequential, int, bool]:
    """Layers for ``[N, channels, 3, 3]``, or ``[N, channels]`` once flat."""
    layers: list[nn.Module] = []
    for kind, choice, inner in recipe:
        match kind:
            case "conv" if not flat:
                outputs = 4 * (1 + choice % 3)
                groups = 2 if channels % 2 == 0 and choice > 4 else 1
                mode = ["zeros", "circular", "reflect", "replicate"][choice % 4]
                dilation = 1 + choice % 2
                layer = nn.Conv2d(
                    channels,
                    outputs,
                    3,
                    padding=dilation,
                    dilation=dilation,
                    groups=groups,
                    bias=choice > 2,
                    padding_mode=mode,
                )
                layers, channels = [*layers, layer], outputs
            case "depthwise" if not flat:
                layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))
            case "linear" | "flatten":
                if not flat:
                    layers, channels, flat = [*layers, nn.Flatten()], channels * PIXELS**2, True
                if kind == "linear":
                    layers, channels = (
                        [*layers, nn.Linear(channels, 4 * (1 + choice), bias=choice > 3)],
                        4 * (1 + choice),
                    )
            case "norm":
                names = ["none", "batch", "ghost", "renorm", "layer", "rms", "none" if channels % 4 else "group"]
                names.append("none" if flat else "instance")
                layers.append(NORMS[names[choice]](channels))
            case "native":
                batch = nn.BatchNorm1d if flat else nn.BatchNorm2d
                layers.append([batch(channels, affine=choice > 3), nn.GroupNorm(1, channels)][choice % 2])
                if flat and choice > 5:
                    layers.append(nn.LayerNorm(channels))
            case "pool" if not flat:
                layers.append([nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)][choice % 2])
            case "activation":
                layers.append(ACTIVATIONS[choice]())
            case "nested":
                nested, channels, flat = grow(inner, channels, flat)
                layers.append(nested)
    return nn.Sequential(*layers), channels, flat


@settings(max_examples=60, deadline=None)
@given(recipe=trees(), lanes=st.integers(1, 4), training=st.booleans())
def test_any_tree_of_layers_folds_and_unfolds(recipe, lanes, training):
    torch.manual_seed(0)
    networks = [grow(recipe, 4, False)[0].double().train(training) for _ in range(lanes)]
    folded = fold(networks)
    assert folded.lanes == lanes
    assert all(equal_states(unfold(folded, lane), network) for lane, network in enumerate(networks))
    for tensor in (*folded.parameters(), *folded.buffers()):
        assert lanes_of(tensor, lanes).shape[0] == lanes
    try:
        expected, received = run_both(networks, folded, list(torch.randn(lanes, 5, 4, PIXELS, PIXELS).double()))
    except Impossible:  # a group norm with one value per group
        reject()
    torch.testing.assert_close(received, expected, rtol=1e-9, atol=1e-9)
    for lane, network in enumerate(networks):
        after = unfold(folded, lane, copy.deepcopy(network)).state_dict()
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(after[name], tensor, rtol=1e-9, atol=1e-9)


def resnets(count: int) -> list[nn.Module]:
    return [build(Choice("resnet20", {"width": 4}), NORMS["batch"], (3, 8, 8), 10, seed) for seed in range(count)]


def test_twenty_steps_agree_with_separate_networks():
    networks = [network.double() for network in resnets(3)]
    folded = fold(networks)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9) for network in (*networks, folded)]
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        x_lanes = list(torch.randn(3, 6, 3, 8, 8, dtype=torch.float64, generator=rng))
        y_lanes = torch.randint(10, (3, 6), generator=rng)
        for optimizer in optimizers:
            optimizer.zero_grad()
        logits = [network(x) for network, x in zip(networks, x_lanes, strict=True)]
        for parts in (logits, folded(torch.cat(x_lanes)).chunk(3)):
            sum(F.cross_entropy(part, y_N) for part, y_N in zip(parts, y_lanes, strict=True)).backward()
        for optimizer in optimizers:
            optimizer.step()
    for lane, network in enumerate(networks):
        for name, tensor in unfold(folded, lane).state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-9, atol=1e-9)


def test_selected_lanes_are_the_same_networks():
    networks = resnets(4)
    chosen = select(fold(networks).eval(), [3, 1])
    assert chosen.lanes == 2 and not chosen.training
    assert equal_states(unfold(chosen, 0), networks[3]) and equal_states(unfold(chosen, 1), networks[1])


def test_folded_networks_share_no_tensors_with_their_origin():
    networks = resnets(1)
    before = copy.deepcopy(networks[0])
    folded = fold(networks)
    apart = unfold(folded, 0)
    with torch.no_grad():
        for tensor in (*folded.parameters(), *folded.buffers(), *apart.parameters()):
            tensor.zero_()
    assert equal_states(networks[0], before)


def test_frozen_parameters_and_the_mode_stay():
    networks = [nn.Sequential(nn.Linear(2, 3), nn.PReLU()).eval() for _ in range(2)]
    for network in networks:
        network[0].weight.requires_grad_(False)
    folded = fold(networks)
    assert [parameter.requires_grad for parameter in folded.parameters()] == [False, True, True]
    assert [parameter.requires_grad for parameter in unfold(folded, 1).parameters()] == [False, True, True]
    assert not any(layer.training for layer in folded.network.modules())


def test_dimensions_of_parameters_stay_so_that_optimizers_can_tell_vectors():
    network = resnets(1)[0]
    folded = dict(fold([network] * 2).network.named_parameters())
    assert {name: item.ndim for name, item in folded.items()} == {n: p.ndim for n, p in network.named_parameters()}


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.4), nn.Dropout2d(0.5, inplace=True), StochasticDepth(0.5, "row"), nn.RReLU()]
)
def test_each_lane_draws_what_it_would_draw_alone(layer):
    def make() -> nn.Module:
        head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 9, 5), nn.Dropout(0.3))
        return nn.Sequential(nn.Conv2d(2, 4, 1), copy.deepcopy(layer), head).double()

    networks = [make() for _ in range(3)]
    folded = fold(networks)
    set_streams(folded, [GlobalStream(10 + lane, CPU) for lane in range(3)])
    x_KNCHW = torch.randn(3, 6, 2, 3, 3).double()
    expected: list[list[Tensor]] = []
    for lane, network in enumerate(networks):
        with GlobalStream(10 + lane, CPU):
            expected.append([network(x_KNCHW[lane]) for _ in range(4)])
    for step in range(3):
        received = folded(x_KNCHW.flatten(0, 1))
        torch.testing.assert_close(received, torch.cat([outputs[step] for outputs in expected]))
    fewer = select(folded, [2])
    torch.testing.assert_close(fewer(x_KNCHW[2]), expected[2][3])


class Unheard(nn.Module):
    """A norm of a user: a scalar parameter, a replaced buffer, a count in plain Python, running statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(()))
        self.weight = nn.Parameter(torch.rand(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("lanes", torch.zeros(()), persistent=False)
        self.steps = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
            self.lanes = self.lanes + 1
            self.running_mean.lerp_(x.detach().mean((0, 2, 3)), 0.1)
        shape = (1, -1, 1, 1)
        return (x - self.running_mean.view(shape)) * self.gain * self.weight.view(shape) * self.lanes + self.steps


def test_a_layer_without_a_rule_folds_lane_by_lane():
    networks = [nn.Sequential(nn.Conv2d(2, 3, 1), Unheard(3)).double() for _ in range(3)]
    networks[1][1].steps = 7
    folded = fold(networks)
    assert isinstance(folded.network[1], LaneByLane)
    assert dict(folded.network[1].named_parameters())["gain"].shape == (3,)
    for _ in range(2):
        expected, received = run_both(networks, folded, list(torch.randn(3, 4, 2, 3, 3).double()))
        torch.testing.assert_close(received, expected)
        expected.sum().backward()
        received.sum().backward()
    few = select(folded, [1, 2])
    for lane, network in enumerate(networks[1:]):
        apart = unfold(few, lane)
        assert apart[1].steps == network[1].steps
        assert apart[1].lanes == network[1].lanes
        assert apart.state_dict().keys() == network.state_dict().keys()
        torch.testing.assert_close(apart.state_dict(), dict(network.state_dict()))
    gradient = lanes_of(folded.network[1].gain.grad, 3)
    torch.testing.assert_close(gradient[:, 0], torch.stack([network[1].gain.grad for network in networks]))
    assert equal_states(copy.deepcopy(folded), folded)


def test_a_layer_may_say_itself_how_it_folds():
    class Doubled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def fold(lanes):
            return nn.Identity()

    class Inheriting(Doubled):
        pass

    assert isinstance(fold([Doubled()]).network, nn.Identity)
    assert isinstance(fold([Inheriting()]).network, LaneByLane), "what a subclass changed, an inherited rule ignores"


def test_a_layer_used_twice_is_folded_once():
    def make() -> nn.Module:
        layer = nn.Linear(3, 3)
        return nn.Sequential(layer, nn.Tanh(), layer)

    networks = [make() for _ in range(2)]
    folded = fold(networks)
    assert folded.network[0] is folded.network[2]
    expected, received = run_both(networks, folded, list(torch.randn(2, 4, 3)))
    torch.testing.assert_close(received, expected)
    assert equal_states(unfold(folded, 1), networks[1])


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    return network


@pytest.mark.parametrize(
    ("networks", "reason"),
    [
        ([], "at least one"),
        ([nn.Linear(2, 3), nn.Linear(2, 4)], "network 1 has other"),
        ([nn.ReLU(), nn.Tanh()], "network 1 has other"),
        ([nn.Linear(2, 3), nn.Linear(2, 3).double()], "network 1 has other"),
        ([nn.MultiheadAttention(4, 2)], "the network itself (MultiheadAttention) holds layers and"),
        ([nn.Sequential(nn.Flatten(0))], "start_dim=0"),
        ([tied()], "1.weight is shared with 0"),
    ],
)
def test_what_cannot_be_folded_is_said(networks, reason):
    with pytest.raises(CannotFold) as error:
        fold(networks)
    assert reason in str(error.value)
