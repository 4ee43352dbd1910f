"""The form that each convolution of a stack takes on a GPU, found by trying.

K lanes, N batch of a lane, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Hashable
from statistics import median

import torch
from torch import Tensor

from bnbench.engine.clock import now
from bnbench.engine.evaluation import inputs_of
from bnbench.engine.folding import Folded
from bnbench.engine.folding.convolution import FoldedConv2d, Form
from bnbench.engine.modes import not_training
from bnbench.spec import RunSpec

WARM, MEASURED = 2, 5
"""Passes of a form to warm up, and those that are measured."""

_known: dict[Hashable, Form] = {}
"""What was found before in this process, by what it depends on."""


def choose_forms(spec: RunSpec, network: Folded, x_MCHW: Tensor) -> None:
    """Let every convolution take the form that is quickest forward and backward for what reaches it.

    Nothing else about the network changes.

    Args:
        spec: of any lane.
        network: on the device of training.
        x_MCHW: images [K * N, C, H, W] of any values, there too.
    """
    lower = torch.bfloat16 if spec.precision == "bf16" else None
    for layer, x in inputs_of(spec, network, FoldedConv2d, x_MCHW).items():
        key = _key(layer, x, lower)
        if key not in _known:
            with not_training(layer):
                taken = {form: form_seconds(layer, form, x, lower) for form in layer.forms}
            _known[key] = min(layer.forms, key=taken.__getitem__)
        layer.form = _known[key]


def form_seconds(
    layer: FoldedConv2d, form: Form, x: Tensor, lower: torch.dtype | None, measured: int = MEASURED
) -> float:
    """Forward and backward of a form, the median; infinite if it fails.

    Args:
        layer: as it was afterwards.
        x: [K * N, C, H, W].
        lower: the type of autocast, if there is any.
        measured: passes, after some to warm up.
    """
    kept, layer.form, layer.factors = (layer.form, layer.factors), form, None
    x = x.clone().requires_grad_()
    wanted = [x, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
    times = []
    try:
        for _ in range(WARM + measured):
            start = now(x.device)
            with torch.autocast(x.device.type, lower, enabled=lower is not None):
                y = layer(x)
            torch.autograd.grad(y, wanted, torch.ones_like(y))
            times.append(now(x.device) - start)
    except RuntimeError:
        return float("inf")
    finally:
        layer.form, layer.factors = kept
    return median(times[WARM:])


def _key(layer: FoldedConv2d, x: Tensor, lower: torch.dtype | None) -> Hashable:
    shapes = layer.lanes, tuple(x.shape), tuple(layer.weight.shape), layer.stride, layer.dilation, tuple(layer.margins)
    return *shapes, layer.groups, layer.padding_mode, type(layer.reparametrization), x.dtype, x.device, lower
