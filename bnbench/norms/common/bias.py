"""Biases that a norm makes superfluous.

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.norms.common.affine import shifts
from bnbench.norms.common.copying import copied

SHAPES = ((4, 3, 2), (4,))
"""Batch and positions of the inputs that a norm is tried with."""
NOISE = 1e-4
"""Share of what could be summed below which a gradient is rounding noise."""


def wants_bias(norm: nn.Module) -> bool:
    """True if a layer right before this norm, which a model was given to build in, is to have a bias.

    Not so if the norm adds a shift of its own, or cancels the bias.
    """
    return not (shifts(norm) or cancels(norm))


def cancels(norm: nn.Module) -> bool:
    """True if a norm that a model was given to build in is marked as one that cancels a bias."""
    return getattr(norm, "cancels_bias", False) is True


def cancels_bias(norm: nn.Module, channels: int) -> bool:
    """True if a norm's output in training has no slope in a bias right before it, found by trying.

    That is so if a mean per channel is subtracted. Such a bias gets rounding noise as its gradient, of which optimizers
    that divide by the size of gradients make whole steps.

    Args:
        norm: on the CPU; it is changed.
        channels: C.
    """
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in norm.parameters():  # a weight that starts at zero would hide everything
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng))
    trials = [_cancels(norm, torch.randn(shape[0], channels, *shape[1:], generator=rng), rng) for shape in SHAPES]
    answers = [answer for answer in trials if answer is not None]
    return bool(answers) and all(answers)


def freeze_shift(norm: nn.Module, channels: int) -> None:
    """Leave the shift untrained that a norm adds to its output, if it is its ``bias``: what comes behind cancels it.

    Args:
        norm: on the CPU, new.
        channels: C.
    """
    bias = getattr(norm, "bias", None)
    if not isinstance(bias, nn.Parameter) or bias.is_meta:
        return
    trial, x = copied(norm).train(), torch.randn(4, channels, generator=torch.Generator().manual_seed(0))
    shift = torch.linspace(-1, 1, channels)
    try:
        with torch.no_grad():
            before = copied(trial)(x)
            trial.get_parameter("bias").add_(shift)
            adds = torch.allclose(trial(x), before + shift, atol=NOISE)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        return
    bias.requires_grad_(not adds)


def _cancels(norm: nn.Module, x: Tensor, rng: torch.Generator) -> bool | None:
    """The answer for inputs x ``[N, C, *]``; None if the norm does not take such."""
    try:
        with torch.enable_grad():
            y = norm.train()(x.requires_grad_())
            if not isinstance(y, Tensor) or y.shape != x.shape:
                return None
            # of a number: for gradients that begin as a tensor torch imports sympy, for as long as a small plan takes
            (gradient,) = torch.autograd.grad((y * torch.randn(x.shape, generator=rng)).sum(), x)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        return None
    axes = (0, *range(2, x.dim()))
    slope, size = gradient.sum(axes).abs(), gradient.abs().sum(axes)
    return bool((slope <= NOISE * size).all() and size.any())
