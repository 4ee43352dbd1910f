"""Recomputed statistics against the moments of all examples together, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnbench.components import components
from bnbench.data import Data
from bnbench.norms import NORMS
from bnbench.norms.renorm import BatchRenorm
from bnbench.spec import RunSpec, stream
from bnbench.stacking import Folded, LaneByLane, fold, unfold
from bnbench.training.evaluation import evaluate
from bnbench.training.forward import dtype_of, forward
from bnbench.training.modes import evaluation_mode
from bnbench.training.statistics import tracks_statistics
from tests.conftest import load_data, make_spec

BATCHES = 6
WITH_STATISTICS = [name for name in NORMS if any("running_" in key for key in NORMS[name](8).state_dict())]


class OtherMomentum(nn.Module):
    """Batch norm that multiplies by a decay, replaces its buffers, and has no way to reset them."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.decay, self.calls = 0.9, 0
        self.register_buffer("running_mean", torch.zeros(1, num_features))
        self.register_buffer("running_var", torch.ones(1, num_features))

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (x.dim() - 2))
        mean, var = self.running_mean, self.running_var
        if self.training:
            dims = [0, *range(2, x.dim())]
            self.calls += 1
            batch_mean, batch_var = x.mean(dims)[None], x.var(dims, unbiased=False)[None]
            self.running_mean = self.decay * mean + (1 - self.decay) * batch_mean.detach()
            self.running_var = self.decay * var + (1 - self.decay) * batch_var.detach()
            mean, var = batch_mean, batch_var
        return (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()


class Subclass(_BatchNorm):
    """torch's own base, which is folded lane by lane."""

    def _check_input_dim(self, x: Tensor) -> None:
        pass


class Root(OtherMomentum):
    """One more statistic, of its own, which it says how to recompute."""

    averages: ClassVar = {"running_root": lambda centered: centered.abs().sqrt()}

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.register_buffer("running_root", torch.ones(num_features))


CUSTOM: dict[str, Callable[[int], nn.Module]] = {
    "other_momentum": OtherMomentum,
    "subclass": Subclass,
    "root": Root,
    "no_momentum": lambda channels: Subclass(channels, momentum=None),
}

CASES = [
    *[("mlp", norm) for norm in [*WITH_STATISTICS, *CUSTOM] if norm in CUSTOM or NORMS[norm].facts.vectors],
    *[("cnn", norm) for norm in [*WITH_STATISTICS, *CUSTOM]],
]


def spec_of(norm: str, model: str, batch: int, seed: int = 0) -> RunSpec:
    return make_spec(
        f"norm={norm}", f"model={model}", "model.width=8", f"batch_size={batch}", f"seed={seed}", "precision=fp64",
        "evaluate.statistics=recomputed", f"evaluate.recompute_batches={BATCHES}",
    )  # fmt: skip


def network_of(spec: RunSpec, data: Data, custom: str | None) -> nn.Module:
    """The spec's network, its norms replaced by custom ones, with statistics that are far off."""
    network = components().build(spec, data)
    for path, layer in list(network.named_modules()):
        if custom is not None and path.endswith(".norm"):
            network.set_submodule(path, CUSTOM[custom](layer.num_features))
    for name, buffer in network.named_buffers():
        if "running_" in name:
            buffer.fill_(7.0)
    return network.double().train()


def images(spec: RunSpec, data: Data) -> list[Tensor]:
    """The batches that the run's statistics are recomputed over, normalized."""
    order = torch.randperm(len(data.train.y), generator=torch.Generator().manual_seed(stream(spec.seed, "recompute")))
    mean, std = data.mean.view(-1, 1, 1).double(), data.std.view(-1, 1, 1).double()
    return [(data.train.x[index].double() - mean) / std for index in order.split(spec.batch_size)[:BATCHES]]


def first_norm(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """What comes before the first norm, and that norm, in networks of units of a layer, a norm and an activation."""
    unit = network.get_submodule("layer0")
    before, norm, _ = unit.children()
    return nn.Sequential(*([network.flatten] if isinstance(before, nn.Linear) else []), before), norm


def pooled(x: Tensor) -> Tensor:
    """``[N, C, *]`` as ``[C, N * positions]``."""
    return x.transpose(0, 1).flatten(1)


def expected(layer: nn.Module, x_CM: Tensor) -> dict[str, Tensor]:
    mean = x_CM.mean(1)
    deviation = math.sqrt(math.pi / 2) * (x_CM - mean[:, None]).abs().mean(1)
    known = {"running_mean": mean, "running_var": x_CM.var(1, correction=0), "running_deviation": deviation}
    known["running_root"] = (x_CM - mean[:, None]).abs().sqrt().mean(1)
    return {name: known[name] for name in dict(layer.named_buffers()) if name.startswith("running_")}


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("batch", [2, 4, 32])
@pytest.mark.parametrize(("model", "norm"), CASES)
def test_statistics_of_the_first_layer_are_those_of_all_examples(model: str, norm: str, batch: int, lanes: int):
    batch = max(batch, 3) if norm == "xbn" else batch
    custom = norm if norm in CUSTOM else None
    specs = [spec_of("batch" if custom else norm, model, batch, seed) for seed in range(lanes)]
    data = load_data(specs[0])
    networks = [network_of(spec, data, custom) for spec in specs]
    whole = fold(networks) if lanes > 1 else networks[0]
    with torch.no_grad(), evaluation_mode(specs, whole, [data] * lanes):
        found = [unfold(whole, lane) for lane in range(lanes)] if isinstance(whole, Folded) else [whole]
        for spec, network, after in zip(specs, networks, found, strict=True):
            before, _ = first_norm(network)
            _, layer = first_norm(after)
            wanted = expected(layer, pooled(torch.cat([before(x) for x in images(spec, data)])))
            assert wanted
            for name, value in wanted.items():
                torch.testing.assert_close(layer.get_buffer(name).flatten(), value, rtol=1e-10, atol=1e-10)
    assert all((buffer == 7).all() for name, buffer in whole.named_buffers() if "running_" in name)
    assert custom is None or lanes == 1 or any(isinstance(layer, LaneByLane) for layer in whole.modules())


@pytest.mark.parametrize("batch", [2, 32])
def test_statistics_behind_the_first_layer_are_those_of_fvcore(batch: int):
    """Its rule, from running statistics of momentum 1 that torch leaves behind each batch, made biased."""
    spec = spec_of("batch", "cnn", batch)
    data = load_data(spec)
    network, oracle = network_of(spec, data, None), network_of(spec, data, None)
    moments: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for path, layer in list(oracle.named_modules()):
        if path.endswith(".norm"):
            plain = nn.BatchNorm2d(layer.num_features, momentum=1.0).double()
            plain.load_state_dict(layer.state_dict())

            def see(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, path: str = path) -> None:
                values = inputs[0][:, 0].numel()
                moments.setdefault(path, []).append((layer.running_mean.clone(), layer.running_var * (1 - 1 / values)))

            plain.register_forward_hook(see)
            oracle.set_submodule(path, plain)
    with torch.no_grad():
        for x in images(spec, data):
            oracle(x)
        with evaluation_mode([spec], network, [data]):
            for path, seen in moments.items():
                mean = torch.stack([mean for mean, _ in seen]).mean(0)
                square = torch.stack([mean.square() + var for mean, var in seen]).mean(0)
                layer = network.get_submodule(path)
                torch.testing.assert_close(layer.running_mean, mean, rtol=1e-10, atol=1e-10)
                torch.testing.assert_close(layer.running_var, square - mean.square(), rtol=1e-8, atol=1e-10)
    assert len(moments) == 3


def test_batches_of_one_have_a_variance_where_channels_have_positions():
    spec = spec_of("precise", "cnn", 1)
    data = load_data(spec)
    network = network_of(spec, data, None)
    before, layer = first_norm(network)
    with torch.no_grad(), evaluation_mode([spec], network, [data]):
        x_CM = pooled(torch.cat([before(x) for x in images(spec, data)]))
        torch.testing.assert_close(layer.running_var, x_CM.var(1, correction=0), rtol=1e-10, atol=1e-10)


def test_the_variance_of_tracked_instance_norms_is_that_within_examples():
    class Tracked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.InstanceNorm2d(1, track_running_stats=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x).flatten(1)

    spec = spec_of("batch", "cnn", 4)
    data = load_data(spec)
    for lanes in (1, 3):
        specs = [spec_of("batch", "cnn", 4, seed) for seed in range(lanes)]
        network = fold([Tracked().double() for _ in specs]) if lanes > 1 else Tracked().double()
        with torch.no_grad(), evaluation_mode(specs, network, [data] * lanes):
            layer = next(filter(tracks_statistics, network.modules()))
            for lane, one in enumerate(specs):
                x = torch.cat(images(one, data))
                assert layer.running_mean[lane].item() == pytest.approx(x.mean().item(), rel=1e-9)
                assert layer.running_var[lane].item() == pytest.approx(x.var((1, 2, 3), correction=0).mean().item())


def test_renorm_is_corrected_in_the_pass_as_at_the_next_step_of_training():
    """Its counter stays, and with it the limits; the running statistics that it is corrected towards stay as well."""
    spec = make_spec(
        "norm=renorm", "model=mlp", "model.width=8", "batch_size=8", "precision=fp64",
        "evaluate.statistics=recomputed", f"evaluate.recompute_batches={BATCHES}",
    )  # fmt: skip
    data = load_data(spec)
    network, apart = network_of(spec, data, None), network_of(spec, data, None)
    for layer in (*network.modules(), *apart.modules()):
        if isinstance(layer, BatchRenorm):
            layer.num_batches_tracked.fill_(10_000)
            layer.running_mean.fill_(0.5)
            layer.running_var.fill_(2.0)
    kept = {name: value.clone() for name, value in apart.state_dict().items()}
    inputs = []
    for x in images(spec, data):
        apart.load_state_dict(kept)
        hook = apart.layer1.norm.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
        with torch.no_grad():
            apart(x)
        hook.remove()
    with torch.no_grad(), evaluation_mode([spec], network, [data]):
        x_CM = pooled(torch.cat(inputs))
        torch.testing.assert_close(network.layer1.norm.running_mean, x_CM.mean(1), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(network.layer1.norm.running_var, x_CM.var(1, correction=0), rtol=1e-10, atol=1e-10)
        assert network.layer1.norm.num_batches_tracked == 10_000
    plain = network_of(spec_of("batch", "mlp", 8), data, None)
    with torch.no_grad(), evaluation_mode([spec], plain, [data]):
        assert not torch.allclose(plain.layer1.norm.running_var, network.layer1.norm.running_var, rtol=1e-3)


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_a_layer_counts_in_python_does_not_go_on(lanes: int):
    specs = [spec_of("batch", "mlp", 8, seed) for seed in range(lanes)]
    data = load_data(specs[0])
    networks = [network_of(spec, data, "other_momentum") for spec in specs]
    network = fold(networks) if lanes > 1 else networks[0]
    if lanes == 1:
        evaluate(specs[0], network, data, data.validation)
        assert network.layer0.norm.calls == 0
    else:
        with torch.no_grad(), evaluation_mode(specs, network, [data] * lanes):
            assert all(unfold(network, lane).layer0.norm.calls == 0 for lane in range(lanes))


def test_the_variance_does_not_cancel():
    """A mean of 1e6 deviations: squares less the square of the mean would leave four digits."""
    spec = spec_of("batch", "cnn", 4)
    data = load_data(spec)
    network = nn.Sequential(NORMS["batch"](1).double(), nn.Flatten(), nn.Linear(64, 10).double())
    network[0].register_forward_pre_hook(lambda layer, inputs: inputs[0] + 1e6)
    with torch.no_grad(), evaluation_mode([spec], network, [data]):
        x = torch.cat(images(spec, data))
        assert network[0].running_var.item() == pytest.approx(x.var(correction=0).item(), rel=1e-8)
        assert forward(spec, network, x.to(dtype_of(spec))).isfinite().all()
