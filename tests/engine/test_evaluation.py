import dataclasses

import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.data import Examples
from bnbench.engine.evaluation import evaluate, evaluate_lanes, evaluation_mode
from bnbench.engine.folding import fold
from bnbench.engine.statistics import tracks_statistics
from bnbench.spec import RunSpec, stream
from tests.conftest import load_data, make_spec


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
    """With batch statistics the short last batch is filled up, and only its own examples count."""
    spec = make_spec("evaluate.statistics=batch", "batch_size=32", "precision=fp64")
    network, data = network_of(spec).double(), load_data(spec)
    few = Examples(data.test.x[:40], data.test.y[:40])
    loss, _ = evaluate(spec, network, data, few)
    x = (few.x.double() - data.mean.view(-1, 1, 1).double()) / data.std.view(-1, 1, 1).double()
    with torch.no_grad():
        network.train()
        first, second = network(x[:32]), network(torch.cat([x[32:], x[:24]]))[:8]
    expected = nn.functional.cross_entropy(torch.cat([first, second]), few.y)
    assert loss == pytest.approx(expected.item(), rel=1e-12)


def test_recomputed_statistics_are_those_of_so_many_training_batches_together():
    spec = make_spec("evaluate.statistics=recomputed", "evaluate.recompute_batches=4", "batch_size=32")
    network, data = network_of(spec), load_data(spec)
    first_norm = next(module for module in network.modules() if hasattr(module, "running_mean"))
    inputs: list[torch.Tensor] = []
    hook = first_norm.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with torch.no_grad(), evaluation_mode([spec], network, data):
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
        found.append(evaluate_lanes(specs, network, data, data.test))
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
    with evaluation_mode([spec], network, data):
        (inputs,) = seen
        assert len(inputs) == len(data.train.y)
        torch.testing.assert_close(first.running_mean, inputs.mean(0))
        torch.testing.assert_close(first.running_var, inputs.var(0, correction=0))
    handle.remove()
