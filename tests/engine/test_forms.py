"""Forms of folded convolutions are chosen by what they take, and give the same numbers."""

import dataclasses
from typing import get_args

import pytest
import torch
from torch import nn

from bnbench.engine import forms
from bnbench.engine.folding import fold, keep_factors
from bnbench.engine.folding.convolution import FoldedConv2d, Form
from bnbench.engine.forms import choose_forms
from tests.conftest import load_data, make_spec
from tests.engine.test_stacked import alone, assert_equal, small, stacked

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


@pytest.mark.parametrize("best", FORMS)
def test_the_quickest_form_is_taken_for_each_layer(monkeypatch: pytest.MonkeyPatch, best: Form):
    made, layers = folded("in groups")
    seen = []

    def seconds(layer, form, x, lower):
        seen.append((layer, form, tuple(x.shape)))
        return 1.0 if form == best else 2.0

    monkeypatch.setattr(forms, "form_seconds", seconds)
    monkeypatch.setattr(forms, "_known", {})
    choose_forms(make_spec("model=cnn"), made, torch.zeros(6, 3, 9, 9))
    assert [layer.form for layer in layers] == [best if best in layer.forms else "groups" for layer in layers]
    assert {shape for layer, _, shape in seen if layer is layers[1]} == {(6, 4, 9, 9)}
    assert {form for layer, form, _ in seen if layer is layers[0]} == set(FORMS)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_measuring_changes_nothing_but_the_forms(precision: str):
    spec = make_spec("model=cnn", f"precision={precision}")
    made, layers = folded()
    keep_factors(made)
    made.network[1].eval()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    factors, random = [layer.factors for layer in layers], torch.get_rng_state()
    choose_forms(spec, made, torch.zeros(6, 3, 9, 9))
    assert all(layer.form in FORMS for layer in layers)
    assert [layer.factors for layer in layers] == factors and not any(layer._forward_pre_hooks for layer in layers)
    assert made.training and not made.network[1].training
    assert all(parameter.grad is None for parameter in made.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(dict(made.state_dict()), before)


def test_a_form_that_fails_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    def fail(self, *given, **named):
        raise RuntimeError("no such algorithm")

    made, layers = folded()
    monkeypatch.setattr(FoldedConv2d, "_in_groups", fail)
    monkeypatch.setattr(forms, "_known", {})
    choose_forms(make_spec("model=cnn"), made, torch.zeros(6, 3, 9, 9))
    assert all(layer.form in ("product", "lane_by_lane") for layer in layers)


@pytest.mark.parametrize("best", FORMS)
def test_a_stack_in_chosen_forms_agrees_with_its_reference_runs(monkeypatch: pytest.MonkeyPatch, best: Form):
    """Also after a lane has diverged, and the network was made anew."""
    asked = []

    def seconds(layer, form, x, lower):
        asked.append(len(x))
        return 1.0 if form == best else 2.0

    monkeypatch.setattr(forms, "form_seconds", seconds)
    monkeypatch.setattr(forms, "_known", {})
    monkeypatch.setattr("bnbench.engine.stacked.MEASURED", ("cpu",))
    spec = make_spec("model=cnn", "precision=fp64", "steps=8", "batch_size=16", "lr=0.001", "evaluate.unit=steps")
    data = small(load_data(spec), 64)
    specs = [dataclasses.replace(spec, seed=lane, lr=1e30 if lane == 1 else spec.lr) for lane in range(3)]
    for ours, lane in zip(stacked(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))
    assert set(asked) == {3 * 16, 2 * 16}
