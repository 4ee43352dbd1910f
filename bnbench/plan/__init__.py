"""Before training: what is impossible, what is trained together, and how long it will take."""

from bnbench.plan.equal_arms import coinciding
from bnbench.plan.estimate import estimate_seconds
from bnbench.plan.feasibility import obstacles, summarized
from bnbench.plan.proofs import trains_natively
from bnbench.plan.stacks import lane_limits, stacks

__all__ = ["coinciding", "estimate_seconds", "lane_limits", "obstacles", "stacks", "summarized", "trains_natively"]
