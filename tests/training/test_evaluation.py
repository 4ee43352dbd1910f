import dataclasses
import inspect

import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.data import Examples
from bnbench.norms import NORMS
from bnbench.spec import RunSpec, stream
from bnbench.stacking import fold
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.evaluation import evaluate, evaluate_lanes
from bnbench.training.modes import evaluation_mode
from bnbench.training.module_state import changed, state_of
from bnbench.training.statistics import tracks_statistics
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import with_norm
from tests.engines.test_stacked import alone, assert_equal, lanes_of, small, stacked


def network_of(spec: RunSpec) -> nn.Module:
    network = components().build(spec, load_data(spec))
    generator = torch.Generator().manual_seed(3)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return network.train()


@pytest.mark.parametrize("statistics", ["running", "batch", "recomputed"])
def test_evaluation_leaves_everything_as_it_was(statistics):
    spec = make_spec("norm=renorm", f"evaluate.statistics={statistics}", "batch_size=32")
    network, data = network_of(spec), load_data(spec)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    evaluate(spec, network, data, data.validation)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_running_statistics_against_a_plain_evaluation():
    spec = make_spec()
    network, data = network_of(spec), load_data(spec)
    loss, accuracy = evaluate(spec, network, data, data.test)
    network.eval()
    with torch.no_grad():
        x = (data.test.x.float() - data.mean.view(-1, 1, 1)) / data.std.view(-1, 1, 1)
        logits = network(x)
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, data.test.y).item(), rel=1e-6)
    assert accuracy == int((logits.argmax(1) == data.test.y).sum()) / len(data.test.y)


def test_batch_statistics_are_those_of_full_batches():
    """Batches are drawn at random; the short last one is filled up, and only its own examples count."""
    spec = make_spec("evaluate.statistics=batch", "batch_size=32", "precision=fp64")
    network, data = network_of(spec).double(), load_data(spec)
    few = Examples(data.test.x[:40], data.test.y[:40])
    loss, _ = evaluate(spec, network, data, few)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(stream(spec.split.seed, "evaluation")))
    x = ((few.x.double() - data.mean.view(-1, 1, 1).double()) / data.std.view(-1, 1, 1).double())[order]
    with torch.no_grad():
        network.train()
        first, second = network(x[:32]), network(torch.cat([x[32:], x[:24]]))[:8]
    expected = nn.functional.cross_entropy(torch.cat([first, second]), few.y[order])
    assert loss == pytest.approx(expected.item(), rel=1e-12)


def test_recomputed_statistics_are_those_of_so_many_training_batches_together():
    spec = make_spec("evaluate.statistics=recomputed", "evaluate.recompute_batches=4", "batch_size=32")
    network, data = network_of(spec), load_data(spec)
    first_norm = next(module for module in network.modules() if hasattr(module, "running_mean"))
    inputs: list[torch.Tensor] = []
    hook = first_norm.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with torch.no_grad(), evaluation_mode([spec], network, [data]):
        mean, variance = first_norm.running_mean.clone(), first_norm.running_var.clone()
    hook.remove()
    assert len(inputs) == 4
    assert torch.allclose(mean, torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0), atol=1e-6)
    assert torch.allclose(variance, torch.cat(inputs).var((0, 2, 3), correction=0), rtol=1e-5)
    order = torch.randperm(len(data.train.y), generator=torch.Generator().manual_seed(stream(spec.seed, "recompute")))
    assert not torch.equal(order, torch.arange(len(order)))


def test_recomputed_statistics_come_from_shuffled_batches_whatever_training_sees():
    """Two groups of batches: with statistics of each, evaluation would differ."""
    given = ("evaluate.statistics=recomputed", "batch_size=32", "domains=[plain,contrast_0.2]")
    shuffled = make_spec(*given)
    network, data = network_of(shuffled), load_data(shuffled)
    expected = evaluate(shuffled, network, data, data.test)
    for batches in ("single_class", "alternating"):
        spec = make_spec(*given, f"batches={batches}")
        assert evaluate(spec, network, load_data(spec), data.test) == expected


@pytest.mark.parametrize("lanes", [1, 3])
def test_precise_norm_is_evaluated_with_recomputed_statistics(lanes):
    """The same weights give the same loss under norm=precise as under norm=batch with recomputed statistics."""
    data = load_data(make_spec())
    precise = [make_spec("norm=precise", "precision=fp64", f"seed={seed}") for seed in range(lanes)]
    plain = [make_spec("precision=fp64", "evaluate.statistics=recomputed", f"seed={seed}") for seed in range(lanes)]
    found = []
    for specs in (precise, plain):
        networks = [components().build(spec, data).double().train() for spec in specs]
        network = fold(networks) if lanes > 1 else networks[0]
        found.append(evaluate_lanes(specs, network, [data] * lanes, [data.test] * lanes))
    assert found[0] == found[1]
    running = dataclasses.replace(plain[0], evaluate=precise[0].evaluate)
    assert evaluate(running, components().build(running, data).double(), data, data.test) != found[0][0]


def test_precise_norm_does_what_is_asked_where_statistics_are_chosen():
    spec, data = make_spec("norm=precise", "evaluate.statistics=batch", "precision=fp64"), load_data(make_spec())
    same = make_spec("norm=batch", "evaluate.statistics=batch", "precision=fp64")
    losses = [evaluate(s, components().build(s, data).double(), data, data.test) for s in (spec, same)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("norm", ["evonorm_b0", "l1_batch", "noisy_batch", "switchable", "batch_instance", "sync"])
@pytest.mark.parametrize("statistics", ["batch", "recomputed"])
def test_other_running_statistics_are_evaluated_as_asked_and_come_back(norm, statistics):
    spec, data = make_spec(f"norm={norm}", f"evaluate.statistics={statistics}", "batch_size=32"), load_data(make_spec())
    network = components().build(spec, data).train()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if "running_" in name:
                buffer.fill_(1e3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first, again = (evaluate(spec, network, data, data.validation) for _ in range(2))
    assert first == again and first[0] < 10
    assert evaluate(make_spec(f"norm={norm}"), network, data, data.validation) != first
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_statistics_matter_when_running_ones_are_wrong():
    spec = make_spec()
    network, data = network_of(spec), load_data(spec)
    kinds = [make_spec(f"evaluate.statistics={kind}") for kind in ("running", "batch", "recomputed")]
    losses = [evaluate(kind, network, data, data.test)[0] for kind in kinds]
    assert losses[0] > losses[1] and losses[0] > losses[2]


def test_an_output_that_is_not_finite_is_never_right():
    spec = make_spec("model=mlp", "norm=none")
    network, data = components().build(spec, load_data(spec)), load_data(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    _, accuracy = evaluate(spec, network, data, data.test)
    assert accuracy == 0.0


def test_statistics_are_recomputed_for_a_batch_larger_than_the_training_set():
    """The whole set is then the one batch of an epoch, and the population."""
    spec = make_spec("model=mlp", "norm=precise", "batch_size=5000", "drop_last=false", "precision=fp64")
    data = load_data(spec)
    network = components().build(spec, data).double()
    first = next(layer for layer in network.modules() if tracks_statistics(layer))
    seen: list[torch.Tensor] = []
    handle = first.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].detach()))
    with evaluation_mode([spec], network, [data]):
        (inputs,) = seen
        assert len(inputs) == len(data.train.y)
        torch.testing.assert_close(first.running_mean, inputs.mean(0))
        torch.testing.assert_close(first.running_var, inputs.var(0, correction=0))
    handle.remove()


class Naive(nn.Module):
    """Statistics of the batch, always."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        over = [0, *range(2, x.dim())]
        return (x - x.mean(over, keepdim=True)) / (x.var(over, keepdim=True) + 1e-5).sqrt()


class Gated(Naive):
    """Lets statistics in through a gate that is shut at the start."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gate * super().forward(x)


class Counting(nn.Module):
    """Depends on how many examples there are."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / len(x) ** 0.5


class Pairs(nn.Module):
    """Of each example and the one behind it."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - 0.5 * x.roll(1, 0)


class OwnBatch(nn.Module):
    """Running statistics under names of its own, as people write it."""

    def __init__(self, num_features: int, rebind: bool = True, at_evaluation: bool = True) -> None:
        super().__init__()
        self.rebind, self.at_evaluation = rebind, at_evaluation
        self.register_buffer("average", torch.zeros(num_features))
        self.plain = torch.zeros(num_features)
        self.calls = [0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.detach().mean([0, *range(2, x.dim())])
        shape = (1, -1, *[1] * (x.dim() - 2))
        y = x - (mean if self.training else self.average + self.plain.to(x)).view(shape)
        if self.training or self.at_evaluation:
            self.calls[0] += 1
            if self.rebind:
                self.average = 0.9 * self.average + 0.1 * mean
                self.plain = 0.9 * self.plain.to(x) + 0.1 * mean
            else:
                self.average.mul_(0.9).add_(0.1 * mean)
                self.plain.mul_(0.9).add_(0.1 * mean)
        return y * (1 + 1 / self.calls[0])


def rebinding(num_features: int) -> nn.Module:
    return OwnBatch(num_features)


def in_place(num_features: int) -> nn.Module:
    return OwnBatch(num_features, rebind=False)


@pytest.mark.parametrize("norm", [Naive, Gated, Counting, Pairs])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_layer_that_mixes_examples_is_found_by_trying(model, norm):
    spec = make_spec(f"model={model}", "norm=none")
    data = load_data(spec)
    assert mixes_examples(with_norm(norm).build(spec, data), data.shape)


@pytest.mark.parametrize("norm", NORMS)
def test_only_norms_without_running_statistics_mix_examples(norm):
    spec = make_spec(f"model={'resnet20' if norm == 'fixup' else 'cnn'}", f"norm={norm}")
    assert not mixes_examples(components().build(spec, load_data(spec)), load_data(spec).shape)
    if "track" in inspect.signature(NORMS[norm]).parameters:
        spec = make_spec("model=cnn", f"norm={norm}", "norm.track=false")
        assert mixes_examples(components().build(spec, load_data(spec)), load_data(spec).shape)


@pytest.mark.parametrize("norm", [Naive, Gated, Counting, Pairs, rebinding, in_place])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_evaluation_of_any_layer_is_the_same_alone_and_in_a_stack(model, norm):
    """One example is left over of the validation and test examples, whatever the batch."""
    spec = make_spec(f"model={model}", "norm=none", "precision=fp64", "steps=6", "evaluate.unit=steps",
                     "evaluate.every=2", "batch_size=8", "lr=0.01")  # fmt: skip
    data = small(load_data(spec), 64)
    data = dataclasses.replace(data, validation=data.validation[torch.arange(33)], test=data.test[torch.arange(1)])
    parts, specs = with_norm(norm), lanes_of(spec)
    for ours, lane in zip(stacked(specs, data, parts=parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))


@pytest.mark.parametrize("norm", [rebinding, in_place])
def test_evaluation_leaves_nothing_behind_in_a_layer(norm):
    """Training is the same, however often it is interrupted for an evaluation."""
    often, once = (
        make_spec("model=mlp", "norm=none", "steps=12", "evaluate.unit=steps", f"evaluate.every={every}")
        for every in (1, 12)
    )
    data, parts = small(load_data(often), 64), with_norm(norm)
    assert alone(often, data, parts)[-1].test_loss == alone(once, data, parts)[-1].test_loss
    network = parts.build(often, data)
    before = state_of(next(layer for layer in network.modules() if isinstance(layer, OwnBatch)))
    evaluate(often, network, data, data.test)
    assert changed(before, state_of(next(layer for layer in network.modules() if isinstance(layer, OwnBatch)))) is None
