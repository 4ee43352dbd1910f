"""Numbers of a results table: what reports draw and studies decide on. No words for people, no torch."""

from bnbench.analysis.best_runs import RowsAtBest, rows_at_best
from bnbench.analysis.convergence import Convergence, analyze_convergence
from bnbench.analysis.learning_rate import LearningRateCurves, analyze_learning_rate
from bnbench.analysis.options import LearningRates, Options
from bnbench.analysis.rows import Rows
from bnbench.analysis.small_batch import SmallBatch, analyze_small_batch
from bnbench.analysis.trials import Trials, read_trials

__all__ = [
    "Convergence",
    "LearningRateCurves",
    "LearningRates",
    "Options",
    "Rows",
    "RowsAtBest",
    "SmallBatch",
    "Trials",
    "analyze_convergence",
    "analyze_learning_rate",
    "analyze_small_batch",
    "read_trials",
    "rows_at_best",
]
