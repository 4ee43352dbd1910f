"""What a classifier sees of an image behind pooling."""

from __future__ import annotations

from torch import nn

from bnbench.errors import Impossible
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.weight_standardization import WeightStandardization


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
