"""K networks of one architecture (lanes) as one on ``[K * N, C, H, W]``: lane k owns block k of the batch."""

from bnbench.stacking.errors import CannotFold
from bnbench.stacking.layer_rules import RULES
from bnbench.stacking.layers.batched_matmul import Factors, keep_factors
from bnbench.stacking.layers.layout import lanes_of
from bnbench.stacking.layers.per_lane import LaneByLane
from bnbench.stacking.network import Folded, fold, select, set_streams, streams_of, unfold
from bnbench.stacking.proof import prove, unequal

__all__ = [
    "RULES",
    "CannotFold",
    "Factors",
    "Folded",
    "LaneByLane",
    "fold",
    "keep_factors",
    "lanes_of",
    "prove",
    "select",
    "set_streams",
    "streams_of",
    "unequal",
    "unfold",
]
