"""Rules by which the layers of K lanes become one: one per type, the type's own ``fold``, or lane by lane."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from bnbench.models.layer_scale import LayerScale
from bnbench.models.resnet import SubsampleAndPad
from bnbench.models.tokens import (
    Characters,
    ClassesFirst,
    ClassToken,
    FirstToken,
    FixedPositions,
    LearnedPositions,
    MeanToken,
    Patches,
)
from bnbench.models.transformer_block import DotProductAttention
from bnbench.norms.batch import BatchNorm
from bnbench.norms.common.input_bias import ShiftedConv2d, ShiftedLinear
from bnbench.norms.common.reparametrization import ReparametrizedConv2d, ReparametrizedLinear
from bnbench.norms.common.stacking import PerExample, stacked
from bnbench.norms.ghost import GhostBatchNorm
from bnbench.norms.none import NoNorm
from bnbench.norms.precise import PreciseBatchNorm
from bnbench.norms.renorm import BatchRenorm
from bnbench.norms.scaled_weight_standardization import ScaledWeightStandardization
from bnbench.norms.spectral_normalization import SpectralNormalization
from bnbench.norms.sync import SyncBatchNorm
from bnbench.norms.weight_normalization import WeightNormalization
from bnbench.stacking.errors import CannotFold
from bnbench.stacking.layers.batch_norm import FoldedBatchNorm
from bnbench.stacking.layers.convolution import FoldedConv2d
from bnbench.stacking.layers.input_bias import shifted
from bnbench.stacking.layers.layer_norm import FoldedLayerNorm
from bnbench.stacking.layers.layout import on_the_batch, on_the_channels
from bnbench.stacking.layers.linear import FoldedLinear
from bnbench.stacking.layers.per_lane import LaneByLane
from bnbench.stacking.layers.shortcut import WideSubsampleAndPad
from bnbench.stacking.layers.tokens import FoldedClassToken, FoldedPositions

Rule = Callable[[Sequence[Any]], nn.Module]
"""From K layers of one type to one layer on ``[K * N, C, *]``; its tensors have the layers' names, lanes first."""


def unchanged(lanes: Sequence[nn.Module]) -> nn.Module:
    """A layer that treats every example alike."""
    return stacked(lanes)


def growing(*sizes: str) -> Rule:
    """The same layer on ``[N, K * C, *]``, of which some sizes grow by a factor K."""

    def fold(lanes: Sequence[nn.Module]) -> nn.Module:
        return on_the_batch(stacked(lanes, *sizes), len(lanes))

    return fold


def own(lanes: Sequence[Any]) -> nn.Module:
    """The layer that a class's own ``fold`` returns: one on ``[N, K * C, *]``, or one that is per example."""
    folded: nn.Module = type(lanes[0]).fold(lanes)
    return folded if isinstance(folded, PerExample) else on_the_batch(folded, len(lanes))


def flatten(lanes: Sequence[nn.Flatten]) -> nn.Module:
    """Flattening from the channels on."""
    if lanes[0].start_dim < 1:
        raise CannotFold(f"Flatten(start_dim={lanes[0].start_dim}) mixes examples")
    return unchanged(lanes)


convolution = growing("in_channels", "out_channels", "groups")
group_norm = growing("num_groups", "num_channels")
instance_norm = growing("num_features")

RULES: dict[type[nn.Module], Rule] = {
    nn.Conv1d: convolution,
    nn.Conv2d: FoldedConv2d,
    nn.Conv3d: convolution,
    nn.Linear: FoldedLinear,
    ReparametrizedConv2d: FoldedConv2d,
    ReparametrizedLinear: FoldedLinear,
    ShiftedConv2d: shifted(FoldedConv2d),
    ShiftedLinear: shifted(FoldedLinear),
    BatchNorm: FoldedBatchNorm,
    BatchRenorm: FoldedBatchNorm,
    GhostBatchNorm: FoldedBatchNorm,
    PreciseBatchNorm: FoldedBatchNorm,
    SyncBatchNorm: FoldedBatchNorm,  # the process of a stack is the only one
    nn.BatchNorm1d: FoldedBatchNorm,
    nn.BatchNorm2d: FoldedBatchNorm,
    nn.BatchNorm3d: FoldedBatchNorm,
    nn.GroupNorm: group_norm,
    nn.LayerNorm: FoldedLayerNorm,
    nn.InstanceNorm1d: instance_norm,
    nn.InstanceNorm2d: instance_norm,
    nn.Flatten: flatten,
    FixedPositions: FoldedPositions,
    LearnedPositions: FoldedPositions,
    ClassToken: FoldedClassToken,
    LayerScale: growing(),
    NoNorm: unchanged,
    **dict.fromkeys(
        (
            ScaledWeightStandardization,
            SpectralNormalization,
            WeightNormalization,
            SubsampleAndPad,
            Characters,
            ClassesFirst,
            Patches,
            DotProductAttention,
            MeanToken,
            FirstToken,
            nn.Identity,
            nn.MaxPool1d,
            nn.MaxPool2d,
            nn.AvgPool1d,
            nn.AvgPool2d,
            nn.AdaptiveAvgPool1d,
            nn.AdaptiveAvgPool2d,
            nn.AdaptiveMaxPool1d,
            nn.AdaptiveMaxPool2d,
            nn.CELU,
            nn.ELU,
            nn.GELU,
            nn.Hardshrink,
            nn.Hardsigmoid,
            nn.Hardswish,
            nn.Hardtanh,
            nn.LeakyReLU,
            nn.LogSigmoid,
            nn.Mish,
            nn.ReLU,
            nn.ReLU6,
            nn.SELU,
            nn.SiLU,
            nn.Sigmoid,
            nn.Softplus,
            nn.Softshrink,
            nn.Softsign,
            nn.Tanh,
            nn.Tanhshrink,
            nn.Threshold,
        ),
        unchanged,
    ),
}


def fold_layer(lanes: Sequence[nn.Module], wide: bool) -> nn.Module:
    """K layers of one type as one on ``[K * N, C, *]``, or ``[N, K * C, *]`` if it is to be wide."""
    rule = rule_of(lanes[0]) or LaneByLane
    layer = rule(lanes)
    if wide and isinstance(layer, SubsampleAndPad):
        return WideSubsampleAndPad(len(lanes), layer)
    if not wide or rule in (unchanged, flatten):
        return layer
    if isinstance(layer, FoldedBatchNorm | FoldedConv2d | FoldedLinear) and not layer._forward_pre_hooks:
        layer.wide = True
        return layer
    return on_the_channels(layer, len(lanes))


def rule_of(layer: nn.Module) -> Rule | None:
    """The rule of exactly this type, or the ``fold`` that its class itself defines; None if it has neither.

    Such a ``fold`` is static and takes ``lanes``: a user's layer may have a method of that name for something else.
    """
    kind = type(layer)
    if kind in RULES:
        return RULES[kind]
    fold = vars(kind).get("fold")
    return own if isinstance(fold, staticmethod) and list(inspect.signature(fold).parameters) == ["lanes"] else None
