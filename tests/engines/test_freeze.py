"""Statistics that are frozen after some epochs."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnbench.components import components
from bnbench.engines import train, train_stack
from bnbench.spec import RunSpec, stream
from bnbench.stacking import Folded
from bnbench.training import Evaluation, Record
from bnbench.training.statistics import tracks_statistics
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import assert_equal

SHORT = ("model=mlp", "model.width=16", "batch_size=128", "precision=fp64")


def statistics(network: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for name, buffer in network.named_buffers() if "running" in name]


def after_each_epoch(spec: RunSpec) -> list[list[torch.Tensor]]:
    data = load_data(spec)
    network = components().build(spec, data)
    return [statistics(network) for record in train(spec, network, data) if isinstance(record, Evaluation)]


@pytest.mark.parametrize("norm", ["batch", "ghost", "renorm"])
@pytest.mark.parametrize("epochs", [1, 2])
def test_statistics_stay_from_the_epoch_on(norm: str, epochs: int):
    spec = make_spec(*SHORT, f"norm={norm}", "epochs=3")
    free, frozen = after_each_epoch(spec), after_each_epoch(dataclasses.replace(spec, freeze_statistics=epochs))
    for epoch in range(3):
        same_as = frozen[epochs - 1] if epoch >= epochs else free[epoch]
        assert all(torch.equal(one, other) for one, other in zip(frozen[epoch], same_as, strict=True))
    assert not torch.equal(free[2][0], frozen[2][0])


def test_training_normalizes_with_them():
    """Against a loop that puts the norms into evaluation mode itself after the first epoch."""
    spec = make_spec(*SHORT, "norm=batch", "optim.momentum=0", "freeze_statistics=1", "epochs=2")
    data = load_data(spec)
    ours, network = components().build(spec, data), components().build(spec, data).double()
    list(train(spec, ours, data))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    order_rng = torch.Generator().manual_seed(stream(0, "order"))
    mean, std = data.mean.view(-1, 1, 1).double(), data.std.view(-1, 1, 1).double()
    for epoch in range(2):
        for layer in network.modules():
            if tracks_statistics(layer):
                layer.train(epoch == 0)
        order = torch.randperm(len(data.train.y), generator=order_rng)
        for start in range(0, len(order) - 127, 128):
            index = order[start : start + 128]
            optimizer.zero_grad()
            x = (data.train.x[index].double() - mean) / std
            F.cross_entropy(network(x), data.train.y[index]).backward()
            optimizer.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-10, atol=1e-10)


def test_lanes_that_are_left_stay_frozen(monkeypatch: pytest.MonkeyPatch):
    """A stack that drops a lane makes its network anew, which must not wake the statistics up."""
    spec = make_spec(
        *SHORT, "norm=batch", "freeze_statistics=1", "epochs=4", "optim.momentum=0", "schedule=step",
        "schedule.milestones=[0.5]", "schedule.gamma=1e15", "divergence_factor=5",
    )  # fmt: skip
    data = load_data(spec)
    specs = [dataclasses.replace(spec, lr=lr) for lr in (1e-16, 0.5, 1e-17)]
    networks: list[Folded] = []
    original = Folded.forward

    def watched(self: Folded, x: torch.Tensor) -> torch.Tensor:
        networks.append(self)
        return original(self, x)

    monkeypatch.setattr(Folded, "forward", watched)
    lanes = [components().build(lane, data) for lane in specs]
    found: list[list[Record]] = [[], [], []]
    for records in train_stack(specs, lanes, [data] * len(specs)):
        for number, record in records:
            found[number].append(record)
    assert networks[0].lanes == 3 and networks[-1].lanes == 2
    assert not any(module.training for module in networks[-1].modules() if tracks_statistics(module))
    for lane, records in zip(specs, found, strict=True):
        assert_equal(records, list(train(lane, components().build(lane, data), data)))
