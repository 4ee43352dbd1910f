"""Forms of folded convolutions give the same numbers."""

from typing import get_args

import pytest
import torch
from torch import nn

from bnbench.stacking import fold
from bnbench.stacking.layers.convolution import FoldedConv2d, Form

FORMS: tuple[Form, ...] = get_args(Form)


def network(kind: str) -> nn.Module:
    channels, groups = (4, 2) if kind == "in groups" else (4, 1)
    first = nn.Conv2d(3, channels, 3, padding=1)
    return nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(channels, 8, 3, 2, groups=groups), nn.Flatten())


def folded(kind: str = "plain"):
    torch.manual_seed(0)
    made = fold([network(kind) for _ in range(3)]).train()
    return made, [layer for layer in made.modules() if isinstance(layer, FoldedConv2d)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["plain", "in groups"])
def test_all_forms_give_the_same_numbers(kind: str, form: Form):
    (usual, _), (changed, layers) = folded(kind), folded(kind)
    for layer in layers:
        layer.form = form if form in layer.forms else None
    assert any(layer.form == form for layer in layers)
    x = torch.randn(6, 3, 9, 9, dtype=torch.float64)
    outputs = [made.double()(x) for made in (usual, changed)]
    torch.testing.assert_close(outputs[1], outputs[0])
    for output in outputs:
        output.square().sum().backward()
    for mine, other in zip(changed.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
