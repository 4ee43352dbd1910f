"""``python -m benchmarks.calibration``: how often intervals hold the truth and verdicts are wrong, by simulation.

The figures of docs/statistics.md. Everything is drawn from one generator: the same seed gives the same tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias

import numpy as np
import typer
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from benchmarks.calibration_cases import CASES, RATES, TOGETHER, Case
from bnbench.stats import (
    CONFIDENCE,
    Draws,
    Interval,
    decide,
    decide_together,
    mean_interval,
    median_interval,
    sign_flip_interval,
)
from bnbench.stats.stretched_t import stretched_t

Draw: TypeAlias = Callable[[Generator, int], NDArray[np.float64]]
Table: TypeAlias = dict[str, dict[str, float]]

SKEWED, VERY_SKEWED = 0.5, 1.0
"""Standard deviations of the logarithm of a lognormal variable: skewness 1.8 and 6.2."""
SIZES = (10, 20, 40)
PATTERNS = 1_999
"""Random patterns of signs: fewer than a verdict draws, for speed."""

DISTRIBUTIONS: dict[str, tuple[Draw, float, float]] = {
    "normal": (lambda random, n: random.normal(size=n), 0.0, 0.0),
    "t, 3 degrees of freedom": (lambda random, n: random.standard_t(3, n), 0.0, 0.0),
    "difference of lognormals": (lambda random, n: random.lognormal(size=n) - random.lognormal(size=n), 0.0, 0.0),
    "lognormal, sigma 0.5": (lambda random, n: random.lognormal(0, SKEWED, n), math.exp(SKEWED**2 / 2), 1.0),
    "exponential": (lambda random, n: random.exponential(size=n), 1.0, math.log(2)),
    "lognormal, sigma 1": (lambda random, n: random.lognormal(0, VERY_SKEWED, n), math.exp(VERY_SKEWED**2 / 2), 1.0),
}
"""How n differences are drawn, their mean and their median."""


def student_interval(values: NDArray[np.float64], draws: Draws) -> Interval:
    """Student's t interval, for comparison; draws nothing."""
    limits = scipy_stats.ttest_1samp(values, 0.0).confidence_interval()
    return Interval(float(limits.low), float(limits.high))


def stretched_interval(values: NDArray[np.float64], draws: Draws) -> Interval:
    """The interval of the second judge alone."""
    return stretched_t(values, draws).interval(CONFIDENCE)


MEANS: dict[str, Callable[[NDArray[np.float64], Draws], Interval | None]] = {
    "Student's t": student_interval,
    "sign-flip": sign_flip_interval,
    "stretched t": stretched_interval,
    "mean_interval": mean_interval,
}

OUTCOMES: dict[str, Draw] = {
    "normal": lambda random, n: random.normal(size=n),
    "t, 3 degrees of freedom": lambda random, n: random.standard_t(3, n),
    "lognormal, sigma 1": lambda random, n: random.lognormal(size=n),
    "whole numbers": lambda random, n: random.normal(size=n).round(),
    "one run in ten fails": lambda random, n: np.where(random.random(n) < 0.1, -20.0, random.normal(size=n)),
}
"""How the outcomes of n runs of one arm are drawn; both arms of an A/A comparison alike."""


def draws_of(random: Generator) -> Draws:
    """Patterns and resamples that all comparisons of a table share."""
    return Draws(random, PATTERNS)


def coverage(name: str, simulations: int, n: int, random: Generator) -> dict[str, float]:
    """Share of the 95% intervals that hold the mean, or for ``median_interval`` the median, by method."""
    draw, mean, middle = DISTRIBUTIONS[name]
    held, draws = dict.fromkeys([*MEANS, "median_interval"], 0), draws_of(random)
    for _ in range(simulations):
        values = draw(random, n)
        for method, interval in MEANS.items():
            held[method] += _holds(interval(values, draws), mean)
        held["median_interval"] += _holds(median_interval(values), middle)
    return {method: hits / simulations for method, hits in held.items()}


def _holds(interval: Interval | None, value: float) -> bool:
    return interval is not None and not interval.excludes(value)


def verdicts(differences: Iterable[NDArray[np.float64]], smallest: float, random: Generator) -> dict[str, float]:
    """Share of each verdict over simulated comparisons."""
    draws = draws_of(random)
    reached = [decide(values, smallest, draws).verdict for values in differences]
    names = ("supported", "contradicted", "no difference", "inconclusive")
    return {name: reached.count(name) / len(reached) for name in names}


def against_itself(name: str, simulations: int, n: int, random: Generator) -> dict[str, float]:
    """Verdicts on an arm against itself; the smallest effect of interest is half a standard deviation of an outcome."""
    draw = OUTCOMES[name]
    pairs = [draw(random, n) - draw(random, n) for _ in range(simulations)]
    return verdicts(pairs, draw(random, 10_000).std() / 2, random)


def power(effect: float, deviation: float, simulations: int, n: int, random: Generator) -> dict[str, float]:
    """Verdicts on normal differences around an effect.

    Args:
        effect: true mean difference, in smallest effects of interest.
        deviation: standard deviation of a difference, likewise.
    """
    return verdicts((random.normal(effect, deviation, n) for _ in range(simulations)), 1.0, random)


def case_row(case: Case, simulations: int, sizes: Iterable[int], random: Generator) -> dict[str, float]:
    """How a kind of comparison fares: intervals that hold the truth, false verdicts and supported claims, by size."""
    row: dict[str, float] = {}
    for n in sizes:
        draws, held, false, supported = draws_of(random), 0, 0, 0
        for _ in range(simulations):
            claim = case.draw(random, n)
            (decision,) = decide_together([claim], draws, family=case.family)
            held += _holds(decision.interval, case.truth)
            supported += decision.verdict == "supported"
            false += decision.verdict in _false_verdicts(case.truth, claim.smallest_effect)
        row |= {f"holds {n}": held, f"false {n}": false, f"supported {n}": supported}
    order = [f"{number} {n}" for number in ("holds", "false", "supported") for n in sizes]
    return {name: row[name] / simulations for name in order}


def _false_verdicts(truth: float, smallest: float) -> list[str]:
    """The verdicts that are wrong of an effect."""
    wrong = [] if abs(truth) < smallest * (1 - 1e-9) else ["no difference"]
    return [*wrong, *(["supported"] if truth <= 0 else []), *(["contradicted"] if truth >= 0 else [])]


def table(head: str, rows: Table) -> str:
    """Markdown, shares in percent."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {head} | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    lines += [
        f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in row.values())} |" for name, row in rows.items()
    ]
    return "\n".join(lines)


def main(
    simulations: Annotated[int, typer.Option(help="Per row.")] = 2_000,
    n: Annotated[int, typer.Option(help="Replicates of a comparison, in the first three tables.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
) -> None:
    """Print six tables: coverage, an arm against itself, power, and each kind of comparison by its size."""
    random = np.random.default_rng(seed)
    print(f"Coverage of 95% intervals, {n} differences, %\n", flush=True)
    print(table("differences", {name: coverage(name, simulations, n, random) for name in DISTRIBUTIONS}), flush=True)
    print("\nVerdicts on an arm against itself, %\n")
    print(table("outcomes", {name: against_itself(name, simulations, n, random) for name in OUTCOMES}), flush=True)
    print("\nVerdicts by true effect and standard deviation of a difference, both in smallest effects of interest, %\n")
    cells = [(effect, deviation) for deviation in (0.5, 1.0) for effect in (0.0, 0.5, 1.0, 1.5, 2.0)]
    rows = {
        f"{effect:g} | {deviation:g}": power(effect, deviation, simulations, n, random) for effect, deviation in cells
    }
    print(table("effect | sd", rows).replace("|---|", "|--:|--:|"), flush=True)
    for title, cases, share in (
        ("One claim alone", CASES, 2),
        ("One of 23 claims", TOGETHER, 2),
        ("Learning rates", RATES, 8),
    ):
        print(f"\n{title}: intervals that hold the truth, false verdicts, and supported, by replicates, %\n")
        fares = {name: case_row(case, simulations // share, SIZES, random) for name, case in cases.items()}
        print(table("comparison", fares), flush=True)


if __name__ == "__main__":
    typer.run(main)
