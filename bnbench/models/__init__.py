"""Networks with a normalization variant built in: ``build(choice, norm, shape, classes, seed)``."""

from bnbench.models.builder import build
from bnbench.models.lanes import build_lanes
from bnbench.models.registry import MODELS

__all__ = ["MODELS", "build", "build_lanes"]
