"""The figures of each view; the modules that make them are imported when they are looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnbench.analysis import Convergence, LearningRateCurves, RowsAtBest, SmallBatch
from bnbench.figures import Drawn, Figure


def convergence_figures(numbers: Convergence, metrics: pd.DataFrame) -> Drawn:
    """Learning curves, steps to targets, performance profiles."""

    def make() -> Mapping[str, Figure | str]:
        from bnbench.figures.learning_curves import learning_curves
        from bnbench.figures.profiles import profiles
        from bnbench.figures.target_times import target_times

        return {
            "learning-curves": learning_curves(numbers, metrics),
            "steps-to-target": target_times(numbers, metrics),
            "performance-profiles": profiles(numbers),
        }

    return Drawn(make)


def learning_rate_figures(numbers: LearningRateCurves) -> Drawn:
    """Accuracy by learning rate, and where runs diverge."""

    def make() -> Mapping[str, Figure | str]:
        from bnbench.figures.divergence import divergence
        from bnbench.figures.learning_rates import learning_rates

        return {"learning-rates": learning_rates(numbers), "divergence": divergence(numbers)}

    return Drawn(make)


def small_batch_figures(numbers: SmallBatch) -> Drawn:
    """Accuracy by batch size."""

    def make() -> Mapping[str, Figure | str]:
        from bnbench.figures.batch_sizes import batch_sizes

        return {"batch-sizes": batch_sizes(numbers)}

    return Drawn(make)


def probe_figures(runs: RowsAtBest, probes: pd.DataFrame) -> Mapping[str, Figure | str]:
    """Gradients by layer, drift of activations, the loss along its gradient, costs of a step."""
    from bnbench.figures.costs import costs
    from bnbench.figures.probe_lines import drift, gradient_norm, landscape

    return {
        "gradient-norms": gradient_norm(runs, probes),
        "covariate-shift": drift(runs, probes),
        "landscape": landscape(runs, probes),
        "costs": costs(runs, probes),
    }
