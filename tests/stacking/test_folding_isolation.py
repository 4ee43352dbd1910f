"""Nothing passes from one lane to another, not even a NaN."""

import math

import pytest
import torch
from torch import nn

from bnbench.norms import NORMS
from bnbench.stacking import fold, lanes_of

LANES, SICK = 4, 1

LAYERS = {
    "conv": ((3, 8, 8), lambda: nn.Conv2d(3, 5, 3, padding=1)),
    "conv16": ((16, 8, 8), lambda: nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)),
    "pointwise": ((8, 6, 6), lambda: nn.Conv2d(8, 24, 1)),
    "depthwise": ((20, 8, 8), lambda: nn.Conv2d(20, 20, 3, padding=1, groups=20)),
    "grouped": ((12, 8, 8), lambda: nn.Conv2d(12, 8, 3, groups=2)),
    "conv1d": ((5, 9), lambda: nn.Conv1d(5, 7, 3)),
    "linear": ((33,), lambda: nn.Linear(33, 17)),
    "native_batch": ((6, 5, 5), lambda: nn.BatchNorm2d(6)),
    "native_group": ((6, 5, 5), lambda: nn.GroupNorm(3, 6)),
    "native_layer": ((6, 5, 5), lambda: nn.LayerNorm([6, 5, 5])),
    "max_pool": ((6, 5, 5), lambda: nn.MaxPool2d(2)),
    "average_pool": ((6, 5, 5), lambda: nn.AdaptiveAvgPool2d(1)),
    "lane_by_lane": ((6, 5, 5), lambda: nn.PReLU(6)),
    **{name: ((8, 5, 5), lambda norm=norm: norm(8)) for name, norm in NORMS.items()},
}


def healthy_numbers(make, shape, sick: float | None, where: str) -> list[torch.Tensor]:
    """Everything that two training steps leave in the lanes that are healthy."""
    torch.manual_seed(0)
    networks = [make() for _ in range(LANES)]
    x_lanes = torch.randn(LANES, 8, *shape)
    if sick is not None and where == "input":
        x_lanes[SICK] = sick
    if sick is not None and where == "weights":
        for parameter in networks[SICK].parameters():
            nn.init.constant_(parameter, sick)
    folded = fold(networks)
    x = torch.cat(list(x_lanes)).requires_grad_()
    found = []
    for _ in range(2):
        y = folded(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)))
        found += [*y.detach().chunk(LANES)]
    found += [*x.grad.chunk(LANES)]
    for tensor in [*(parameter.grad for parameter in folded.parameters()), *folded.buffers()]:
        found += [*lanes_of(tensor, LANES)]
    return [numbers for position, numbers in enumerate(found) if position % LANES != SICK]


@pytest.mark.parametrize("where", ["weights", "input"])
@pytest.mark.parametrize("sick", [math.nan, math.inf, 1e38])
@pytest.mark.parametrize("name", LAYERS)
def test_a_sick_lane_changes_no_bit_of_the_others(name, sick, where):
    shape, make = LAYERS[name]
    sane = healthy_numbers(make, shape, None, where)
    beside = healthy_numbers(make, shape, sick, where)
    assert len(sane) >= 3 * (LANES - 1)
    for ours, theirs in zip(beside, sane, strict=True):
        assert ours.isfinite().all()
        assert torch.equal(ours, theirs)
