"""Comparisons: every question of conf/question, asked of a norm against others, and the dossier of its verdicts."""

from bnbench.compare.arms import AGAINST, Arm, read_arms
from bnbench.compare.course import Dossier, Forecast, compare, forecast
from bnbench.compare.design import Asked, ask, pairs_of
from bnbench.compare.views import decision_view, verdict_view

__all__ = [
    "AGAINST",
    "Arm",
    "Asked",
    "Dossier",
    "Forecast",
    "ask",
    "compare",
    "decision_view",
    "forecast",
    "pairs_of",
    "read_arms",
    "verdict_view",
]
