"""A made-up sweep as the analyses see it, and all figures of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnbench.analysis import (
    Convergence,
    LearningRateCurves,
    Options,
    RowsAtBest,
    SmallBatch,
    analyze_convergence,
    analyze_learning_rate,
    analyze_small_batch,
    read_trials,
    rows_at_best,
)
from bnbench.analysis.rows import labels
from bnbench.figures import Figure
from bnbench.figures.batch_sizes import batch_sizes
from bnbench.figures.costs import costs
from bnbench.figures.divergence import divergence
from bnbench.figures.learning_curves import learning_curves
from bnbench.figures.learning_rates import learning_rates
from bnbench.figures.probe_lines import drift, gradient_norm, landscape
from bnbench.figures.profiles import profiles
from bnbench.figures.scorecard import scorecard
from bnbench.figures.target_times import target_times
from tests.reports.generator import make_sweep

FACTORS = {"norm": ["batch", "group", "none"], "batch_size": [4, 16, 64], "lr": [0.03, 0.3, 3.0], "seed": [0, 1, 2]}


@dataclass(frozen=True)
class Sweep:
    """Tables of a sweep, and what the analyses say of them."""

    runs: pd.DataFrame
    metrics: pd.DataFrame
    probes: pd.DataFrame
    convergence: Convergence
    learning_rate: LearningRateCurves
    small_batch: SmallBatch
    at_best: RowsAtBest


def make(seed: int = 1) -> Sweep:
    """A sweep in which some runs diverge, in some rows with all seeds and in others not."""
    runs, metrics = make_sweep(FACTORS, np.random.default_rng(seed))
    trials, options = read_trials(runs), Options()
    convergence = analyze_convergence(trials, metrics, options)
    at_best = rows_at_best(trials, options)
    return Sweep(
        runs,
        metrics,
        probes_of(runs["run_id"].tolist(), np.random.default_rng(seed)),
        convergence,
        analyze_learning_rate(trials),
        analyze_small_batch(trials, options),
        at_best,
    )


def probes_of(runs: list[str], random: np.random.Generator) -> pd.DataFrame:
    """Numbers of all probes that figures draw, at three pauses."""
    lines = []
    for run in runs:
        for step in (0, 10, 20):
            noise = random.uniform(0.9, 1.1)
            for layer, norm in {"stem": 0.3, "body.1": 0.2, "head": 0.5}.items():
                lines.append((run, step, "gradient_flow", layer, "gradient_norm", norm * noise))
            for unit in ("relu[1]", "relu[3]"):
                shifted = {"p15": -1, "p50": 0, "p85": 1, "std": 2}
                for name, value in shifted.items():
                    moved = value + (0 if name == "std" else noise * step / 10)
                    lines.append((run, step, "covariate_shift_distribution", unit, name, moved))
            for name, value in {"loss": 1.0, "loss_lowest": 0.5, "loss_highest": 4.0}.items():
                lines.append((run, step, "landscape", "network", name, value * noise))
            lines.append((run, step, "memory", "network", "saved_bytes", 3e6))
            lines.append((run, step, "memory", "stem", "saved_bytes", 1e6))
            lines.append((run, step, "step_time", "network", "step_median", 0.002 * noise))
    return pd.DataFrame(lines, columns=["run_id", "step", "probe", "layer", "name", "value"])


def figures_of(sweep: Sweep) -> dict[str, Figure | str]:
    """All figures, by name."""
    of_probes = {figure: figure for figure in (gradient_norm, drift, landscape, costs)}
    return {
        "learning-curves": learning_curves(sweep.convergence, sweep.metrics),
        "steps-to-target": target_times(sweep.convergence, sweep.metrics),
        "performance-profiles": profiles(sweep.convergence),
        "learning-rates": learning_rates(sweep.learning_rate),
        "divergence": divergence(sweep.learning_rate),
        "batch-sizes": batch_sizes(sweep.small_batch),
        "scorecard": scorecard(verdicts()),
        **{figure.__name__: figure(sweep.at_best, sweep.probes) for figure in of_probes},
    }


def verdicts() -> pd.DataFrame:
    """A scorecard with each verdict, an interval without an end, and none at all."""
    columns = ["study", "claim", "verdict", "effect", "low", "high", "contrast", "smallest_effect", "n", "unit"]
    lines = [
        ("convergence", "steps", "supported", 0.4, 0.3, 0.5, "ratio", 1.25, 22, ""),
        ("overhead", "step", "inconclusive", 1.1, 1.05, np.inf, "ratio", 1.1, 22, ""),
        ("small_batch", "interaction", "supported", -0.24, -0.25, -0.22, "difference", 0.02, 22, "points"),
        ("scale_and_shift", "learned", "no difference", 0.001, -0.002, 0.004, "difference", 0.01, 22, "points"),
        ("gradient_flow", "relu", "contradicted", 0.18, 0.17, 0.19, "difference", 0.05, 20, "growth"),
        ("placement", "before", "inconclusive", np.nan, np.nan, np.nan, "difference", 0.01, 22, "points"),
    ]
    return pd.DataFrame(lines, columns=columns)


def only(sweep: Sweep, panel_words: tuple[str, ...]) -> int:
    """The row of some words."""
    return next(row for row, words in labels(sweep.convergence.rows).items() if words == panel_words)
