"""What norms leave of an example: what a classifier sees behind pooling, and a token of those behind it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from bnbench.errors import Impossible
from bnbench.norms.batch_instance import BatchInstanceNorm
from bnbench.norms.global_response import GlobalResponseNorm
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.switchable import SwitchableNorm
from bnbench.norms.weight_standardization import WeightStandardization
from bnbench.schema.facts import Facts

OVER_POSITIONS = InstanceNorm, BatchInstanceNorm, SwitchableNorm, GlobalResponseNorm
"""Norms that take statistics of the positions of an example, at evaluation as well."""


def require_information(norm: nn.Module, remedy: str = "") -> None:
    """Refuse a norm right before average pooling that gives all examples the same mean of each channel.

    Args:
        remedy: another setting that would do, beside another norm.

    Raises:
        Impossible: it is such a norm.
    """
    if isinstance(norm, InstanceNorm):
        setting, choice = "norm=instance", "another norm, e.g. norm=group"
    elif _groups(norm) == getattr(norm, "num_features", None):
        setting, choice = f"norm.groups={_groups(norm)}", "fewer groups"
    else:
        return
    raise Impossible(
        f"{setting} makes the mean of an example's pixels the same for every image, and the classifier sees nothing "
        f"else: choose {f'{remedy}, or ' if remedy else ''}{choice}"
    )


def _groups(norm: nn.Module) -> int:
    """The groups of channels whose statistics a norm of each example takes; 0 if it takes no such statistics."""
    if isinstance(norm, GroupNorm):
        return norm.groups
    return norm.groups if isinstance(norm, WeightStandardization) and norm.statistics == "group" else 0


def require_tokens_apart(layers: Iterable[nn.Module]) -> None:
    """Refuse a norm behind which the mean of an example's tokens is the same for every image.

    Raises:
        Impossible: one of the layers holds such a norm.
    """
    if any(isinstance(part, InstanceNorm) for layer in layers for part in layer.modules()):
        raise Impossible(
            "norm=instance makes the mean of an example's tokens the same for every image, and model.pool=mean sees "
            "nothing else: choose model.pool=class, or another norm"
        )


def require_vectors(norm: nn.Module) -> None:
    """Refuse a norm of several positions behind the pooling of a ConvNeXt.

    Raises:
        Impossible: it is one.
    """
    facts = getattr(norm, "facts", None)
    if isinstance(facts, Facts) and not facts.vectors:
        raise Impossible(
            "the last norm of a ConvNeXt is behind the pooling, where an example has one number per channel, and this "
            "norm needs several: choose another norm, e.g. norm=layer, or another model, e.g. model=cnn"
        )


def require_causal(layers: Iterable[nn.Module]) -> None:
    """Raise :class:`Impossible` if a norm of these layers tells a token something of those behind it.

    Statistics over the batch do so in training alone.
    """
    if any(isinstance(part, OVER_POSITIONS) for layer in layers for part in layer.modules()):
        raise Impossible(
            "the norm has statistics of all characters of an example, and so sees those that model=gpt is to predict: "
            "choose norm=layer, norm=rms, norm=group, or a norm over the batch"
        )
