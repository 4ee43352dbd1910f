"""The reference engine against a training loop written apart from it, and its promises."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnbench.components import components
from bnbench.data import Data
from bnbench.engines import reference as reference_module
from bnbench.engines import train
from bnbench.spec import RunSpec, stream
from bnbench.training import Evaluation, Outcome
from tests.conftest import load_data, make_spec

SHORT = ("model=mlp", "model.width=16", "epochs=1")


def run(spec: RunSpec) -> tuple[list[Evaluation], Outcome, nn.Module]:
    data = load_data(spec)
    network = components().build(spec, data)
    *evaluations, outcome = train(spec, network, data)
    assert isinstance(outcome, Outcome)
    return [record for record in evaluations if isinstance(record, Evaluation)], outcome, network


def plain_loop(spec: RunSpec, data: Data, make_optimizer) -> nn.Module:
    """Training as a tutorial writes it, with the run's data order."""
    network = components().build(spec, data)
    optimizer = make_optimizer(network)
    order_rng = torch.Generator().manual_seed(stream(spec.seed, "order"))
    mean, std = data.mean.view(-1, 1, 1), data.std.view(-1, 1, 1)
    for _ in range(spec.epochs or 0):
        order = torch.randperm(len(data.train.y), generator=order_rng)
        for start in range(0, len(order) - spec.batch_size + 1, spec.batch_size):
            index = order[start : start + spec.batch_size]
            optimizer.zero_grad()
            loss = F.cross_entropy(network((data.train.x[index].float() - mean) / std), data.train.y[index])
            loss.backward()
            optimizer.step()
    return network


@pytest.mark.parametrize(
    ("overrides", "make_optimizer"),
    [
        (["optim.momentum=0"], lambda n: torch.optim.SGD(n.parameters(), lr=0.1)),
        (
            ["optim.momentum=0.9", "optim.nesterov=true", "optim.weight_decay=0.01"],
            lambda n: torch.optim.SGD(n.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        ),
        (
            ["optim=adam", "lr=0.01", "optim.weight_decay=0.1"],
            lambda n: torch.optim.Adam(n.parameters(), lr=0.01, weight_decay=0.1),
        ),
        (["optim=adamw", "lr=0.01"], lambda n: torch.optim.AdamW(n.parameters(), lr=0.01, weight_decay=0.01)),
    ],
    ids=["sgd", "nesterov", "adam", "adamw"],
)
def test_trains_as_a_plain_loop_does(overrides, make_optimizer):
    spec = make_spec(*SHORT, *overrides)
    *_, network = run(spec)
    expected = plain_loop(spec, load_data(spec), make_optimizer)
    for ours, theirs in zip(network.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_same_spec_gives_the_same_bits():
    spec = make_spec("epochs=1", "norm=ghost", "batch_size=64")
    assert run(spec)[:2] == run(spec)[:2]


def test_global_random_state_is_neither_used_nor_changed():
    spec = make_spec(*SHORT)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run(spec)[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert run(spec)[0] == first


@pytest.mark.parametrize("norms", [("none", "batch"), ("layer", "renorm"), ("batch", "noisy_batch")])
@pytest.mark.parametrize(
    "batches",
    ["batches=shuffled", "batches=single_class", "batches=alternating domains=[plain,noise_1] dataset.pad=1"],
)
def test_arms_with_one_seed_share_data_order_split_and_common_initial_weights(norms, batches, monkeypatch):
    """Also one whose norm draws random numbers."""
    seen: dict[str, list[torch.Tensor]] = {}
    shared: dict[str, dict[str, torch.Tensor]] = {}
    original = reference_module.training_batch
    for norm in norms:
        taken = seen.setdefault(norm, [])

        def spy(*args, taken=taken):
            batch = original(*args)
            taken.extend(batch)
            return batch

        monkeypatch.setattr(reference_module, "training_batch", spy)
        spec = make_spec(*SHORT, f"norm={norm}", *batches.split())
        data = load_data(spec)
        network = components().build(spec, data)
        layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
        shared[norm] = {name: layer.weight.detach().clone() for name, layer in layers.items()}
        list(train(spec, network, data))
    first, second = norms
    assert len(seen[first]) > 10
    assert all(torch.equal(a, b) for a, b in zip(seen[first], seen[second], strict=True))
    assert shared[first].keys() == shared[second].keys()
    assert all(torch.equal(weight, shared[second][name]) for name, weight in shared[first].items())


def test_seeds_differ_in_weights_and_order():
    first, second = (run(make_spec(*SHORT, f"seed={seed}"))[1] for seed in (0, 1))
    assert first.train_loss != second.train_loss


def test_divergence_ends_the_run_at_once_and_says_when():
    spec = make_spec("model=mlp", "norm=none", "lr=1e6", "epochs=50", "batch_size=32")
    evaluations, outcome, _ = run(spec)
    assert outcome.status == "diverged"
    assert outcome.diverged_step is not None and outcome.diverged_step <= 5
    assert outcome.steps_done == outcome.diverged_step - 1
    assert evaluations == []
    assert outcome.test_accuracy is None and outcome.val_accuracy is None and outcome.best_val_accuracy is None


def test_a_loss_above_the_stated_multiple_is_divergence():
    calm = make_spec(*SHORT, "norm=none", "lr=1.0", "optim.momentum=0")
    losses = [evaluation.train_loss for evaluation in run(calm)[0]]
    assert all(math.isfinite(loss) for loss in losses)
    strict = dataclasses.replace(calm, divergence_factor=1.0001)
    assert run(strict)[1].status == "diverged"


@pytest.mark.parametrize(
    ("unit", "every", "steps"), [("epochs", 1, [20, 40]), ("epochs", 2, [40]), ("steps", 15, [15, 30, 40])]
)
def test_evaluates_when_asked_and_at_the_end(unit, every, steps):
    spec = make_spec("model=mlp", "batch_size=64", "epochs=2", f"evaluate.unit={unit}", f"evaluate.every={every}")
    evaluations, outcome, _ = run(spec)
    assert [evaluation.step for evaluation in evaluations] == steps
    assert [evaluation.examples for evaluation in evaluations] == [64 * step for step in steps]
    assert outcome.steps_done == 40 and outcome.epochs_done == 2.0
    last = evaluations[-1]
    assert (outcome.val_accuracy, outcome.train_loss) == (last.val_accuracy, last.train_loss)
    assert outcome.best_val_accuracy == max(evaluation.val_accuracy for evaluation in evaluations)


def test_an_epoch_of_batches_of_one_class_or_domain_is_as_long_as_there_are_whole_ones():
    """Of 1294 training examples, 125 to 131 are of each class, so a class fills three batches of 32 or four."""
    for settings, steps in ((["batches=single_class"], 39), (["batches=alternating", "domains=[plain,blur_1]"], 40)):
        evaluations, outcome, _ = run(make_spec("model=mlp", "epochs=2", "batch_size=32", "lr=0.01", *settings))
        assert [(record.step, record.epoch, record.examples) for record in evaluations] == [
            (steps, 1.0, 32 * steps),
            (2 * steps, 2.0, 64 * steps),
        ]
        assert (outcome.steps_done, outcome.epochs_done) == (2 * steps, 2.0)


def test_steps_instead_of_epochs_and_the_smaller_last_batch():
    kept = make_spec("model=mlp", "batch_size=1000", "steps=3", "drop_last=false", "lr=0.01")
    evaluations, outcome, _ = run(kept)
    assert outcome.steps_done == 3
    assert outcome.examples_done == 1000 + 294 + 1000
    assert evaluations[0].step == 2


@pytest.mark.parametrize(
    "override",
    ["grad_clip=0.01", "label_smoothing=0.1", "precision=bf16", "schedule=cosine", "lr_scaling=sqrt",
     "optim.weight_decay=0.1", "precision=fp64", "batches=single_class", "domains=[plain,contrast_0.4]"],
)  # fmt: skip
def test_every_setting_changes_the_training(override):
    plain = run(make_spec(*SHORT, "batch_size=32"))[0]
    assert run(make_spec(*SHORT, "batch_size=32", override))[0] != plain


def test_gradient_clipping_bounds_the_step():
    spec = make_spec("model=mlp", "norm=none", "optim.momentum=0", "lr=1.0", "grad_clip=0.001", "steps=1")
    data = load_data(spec)
    network = components().build(spec, data)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    list(train(spec, network, data))
    moved = [(after - start).flatten() for after, start in zip(network.parameters(), before, strict=True)]
    assert torch.cat(moved).norm().item() == pytest.approx(0.001, rel=1e-4)


@pytest.mark.parametrize(("norm", "bias"), [(True, True), (True, False), (False, True), (False, False)])
def test_weight_decay_can_spare_norms_and_biases(norm: bool, bias: bool):
    """Against torch.optim.SGD with the groups written out; without a shift in the norm there are biases beside it."""
    spec = make_spec(
        *SHORT, "norm=rms", "optim.weight_decay=0.5", f"optim.decay_norm={norm}", f"optim.decay_bias={bias}"
    )

    def make_optimizer(network: nn.Module) -> torch.optim.Optimizer:
        groups = []
        for path, parameter in network.named_parameters():
            decays = norm if ".norm." in path else bias if path.endswith(".bias") else True
            groups.append({"params": [parameter], "weight_decay": 0.5 if decays else 0.0})
        return torch.optim.SGD(groups, lr=0.1)

    *_, network = run(spec)
    expected = plain_loop(spec, load_data(spec), make_optimizer)
    for ours, theirs in zip(network.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_lr_scaling_follows_the_batch():
    lrs = [
        run(make_spec("model=mlp", "steps=1", "batch_size=256", "lr=0.01", f"lr_scaling={rule}"))[0][0].lr
        for rule in ("none", "linear", "sqrt")
    ]
    assert lrs == pytest.approx([0.01, 0.04, 0.02])


def test_layers_that_draw_see_their_own_stream():
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    spec = make_spec(*SHORT, "evaluate.unit=steps")
    data = load_data(spec)

    def losses(interleaved: bool) -> list[float]:
        torch.manual_seed(0)
        network, found = Noisy(), []
        for record in train(spec, network, data):
            if interleaved:
                torch.rand(7)
            if isinstance(record, Evaluation):
                found.append(record.train_loss)
        return found

    assert losses(interleaved=False) == losses(interleaved=True)
