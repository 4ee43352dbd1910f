"""Before training: what is impossible, and how long the rest will take."""

from bnbench.plan.estimate import estimate_seconds
from bnbench.plan.feasibility import obstacles

__all__ = ["estimate_seconds", "obstacles"]
