"""Normalization variants: ``Norm(num_features, **options)``, from ``[N, C]`` or ``[N, C, *positions]`` to the same."""

from torch import nn

from bnbench.norms.batch import BatchNorm
from bnbench.norms.batch_instance import BatchInstanceNorm
from bnbench.norms.common.activation import activates, without_activation
from bnbench.norms.common.affine import Affine, shifts
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.dynamic_erf import DynamicErf
from bnbench.norms.dynamic_tanh import DynamicTanh
from bnbench.norms.evonorm_b0 import EvoNormB0
from bnbench.norms.evonorm_s0 import EvoNormS0
from bnbench.norms.exclusive_batch import ExclusiveBatchNorm
from bnbench.norms.filter_response import FilterResponseNorm
from bnbench.norms.fixup import Fixup
from bnbench.norms.ghost import GhostBatchNorm
from bnbench.norms.ghost_noise import GhostNoise
from bnbench.norms.global_response import GlobalResponseNorm
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.inverse_square_root import InverseSquareRootUnit
from bnbench.norms.l1_batch import L1BatchNorm
from bnbench.norms.layer import LayerNorm
from bnbench.norms.noisy_batch import NoisyBatchNorm
from bnbench.norms.none import NoNorm
from bnbench.norms.precise import PreciseBatchNorm
from bnbench.norms.renorm import BatchRenorm
from bnbench.norms.reparametrized_batch import ProgressiveRepBatchNorm, RepBatchNorm
from bnbench.norms.rms import RMSNorm
from bnbench.norms.scaled_weight_standardization import ScaledWeightStandardization
from bnbench.norms.spectral_normalization import SpectralNormalization
from bnbench.norms.switchable import SwitchableNorm
from bnbench.norms.sync import SyncBatchNorm
from bnbench.norms.weight_normalization import WeightNormalization
from bnbench.norms.weight_standardization import WeightStandardization
from bnbench.schema.facts import Facts

NORMS: dict[str, type[nn.Module]] = {
    "none": NoNorm,
    "batch": BatchNorm,
    "sync": SyncBatchNorm,
    "ghost": GhostBatchNorm,
    "renorm": BatchRenorm,
    "precise": PreciseBatchNorm,
    "l1_batch": L1BatchNorm,
    "noisy_batch": NoisyBatchNorm,
    "xbn": ExclusiveBatchNorm,
    "ghost_noise": GhostNoise,
    "repbn": RepBatchNorm,
    "prepbn": ProgressiveRepBatchNorm,
    "group": GroupNorm,
    "layer": LayerNorm,
    "instance": InstanceNorm,
    "rms": RMSNorm,
    "batch_instance": BatchInstanceNorm,
    "switchable": SwitchableNorm,
    "frn": FilterResponseNorm,
    "evonorm_b0": EvoNormB0,
    "evonorm_s0": EvoNormS0,
    "dyt": DynamicTanh,
    "derf": DynamicErf,
    "isru": InverseSquareRootUnit,
    "grn": GlobalResponseNorm,
    "ws": WeightStandardization,
    "scaled_ws": ScaledWeightStandardization,
    "weight": WeightNormalization,
    "spectral": SpectralNormalization,
    "fixup": Fixup,
}

__all__ = [
    "NORMS",
    "Affine",
    "BatchInstanceNorm",
    "BatchNorm",
    "BatchRenorm",
    "DynamicErf",
    "DynamicTanh",
    "EvoNormB0",
    "EvoNormS0",
    "ExclusiveBatchNorm",
    "Facts",
    "FilterResponseNorm",
    "Fixup",
    "GhostBatchNorm",
    "GhostNoise",
    "GlobalResponseNorm",
    "GroupNorm",
    "InstanceNorm",
    "InverseSquareRootUnit",
    "L1BatchNorm",
    "LayerNorm",
    "NoNorm",
    "NoisyBatchNorm",
    "PreciseBatchNorm",
    "ProgressiveRepBatchNorm",
    "RMSNorm",
    "RepBatchNorm",
    "RunningStatistics",
    "ScaledWeightStandardization",
    "SpectralNormalization",
    "SwitchableNorm",
    "SyncBatchNorm",
    "WeightNormalization",
    "WeightStandardization",
    "activates",
    "shifts",
    "without_activation",
]
