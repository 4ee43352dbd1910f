"""K networks of one architecture (lanes) as one on ``[K * N, C, H, W]``: lane k owns block k of the batch."""

from bnbench.engine.folding.errors import CannotFold
from bnbench.engine.folding.lane_by_lane import LaneByLane
from bnbench.engine.folding.layout import lanes_of
from bnbench.engine.folding.network import Folded, fold, select, set_streams, streams_of, unfold
from bnbench.engine.folding.product import Factors, keep_factors
from bnbench.engine.folding.proof import prove, randomize, unequal
from bnbench.engine.folding.rules import RULES

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
    "randomize",
    "select",
    "set_streams",
    "streams_of",
    "unequal",
    "unfold",
]
