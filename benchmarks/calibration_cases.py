"""Simulated comparisons whose truth is known: the rows of ``python -m benchmarks.calibration``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bnbench.stats import Claim, Trained, speed_up_bounds

Values: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[Generator, int], Claim]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of comparison.

    Attributes:
        draw: a claim of n replicates.
        truth: mean or median of its differences in all replicates that there could be.
        family: claims that are declared together.
    """

    draw: Draw
    truth: float
    family: int = 1


def lognormal(sigma: float) -> tuple[Callable[[Generator, int], Values], float]:
    """How lognormal differences of mean zero are drawn, and their standard deviation."""
    mean = math.exp(sigma**2 / 2)
    return lambda random, n: random.lognormal(0, sigma, n) - mean, mean * math.sqrt(math.expm1(sigma**2))


DIFFERENCES: dict[str, tuple[Callable[[Generator, int], Values], float]] = {
    "normal": (lambda random, n: random.normal(size=n), 1.0),
    "t, 3 degrees of freedom": (lambda random, n: random.standard_t(3, n), math.sqrt(3)),
    "exponential": (lambda random, n: random.exponential(size=n) - 1, 1.0),
    **{f"lognormal, sigma {sigma:g}": lognormal(sigma) for sigma in (0.5, 1.0)},
}
"""How n differences of mean zero are drawn, and their standard deviation."""

FAILURES, CHANCE = 0.1, 0.1
IMAGES, ACCURACY = 360, 0.985
GRIDS = (10.0, math.sqrt(10), 2.0, math.sqrt(2))
RATIOS = (1.0, 1.25, 1.75, 3.0)


def shifted(name: str, effect: float, family: int = 1) -> Case:
    """Differences around an effect in standard deviations; the smallest effect of interest is half of one."""
    draw, deviation = DIFFERENCES[name]
    move = effect * deviation
    return Case(lambda random, n: Claim.of(draw(random, n) + move, deviation / 2), move, family)


def at_margin(name: str, family: int = 1) -> Case:
    """Differences around the smallest effect of interest, which is a standard deviation: "no difference" is false."""
    draw, deviation = DIFFERENCES[name]
    return Case(lambda random, n: Claim.of(draw(random, n) + deviation, deviation), deviation, family)


def positive() -> Case:
    """A lognormal variable as it is, all of it above zero."""
    mean = math.exp(0.5)
    return Case(lambda random, n: Claim.of(random.lognormal(0, 1, n), mean / 2), mean)


def accuracies(gain: float) -> Case:
    """Accuracies near 1 on few test images, which both arms share with the spread of the replicate."""

    def draw(random: Generator, n: int) -> Claim:
        level = ACCURACY - gain / 2 + random.normal(0, 0.002, n)
        arm, baseline = (random.binomial(IMAGES, np.clip(p, 0, 1)) / IMAGES for p in (level + gain, level))
        trained = np.ones(n, dtype=bool)
        return Claim.of(arm - baseline, 0.005, trained=Trained(trained, trained))

    return Case(draw, gain)


def failures(both: bool, gain: float) -> Case:
    """One run in ten diverges, of the baseline or of both arms; the others differ by a gain in accuracy."""

    def draw(random: Generator, n: int) -> Claim:
        arm, baseline = 0.9 + gain + random.normal(0, 0.01, n), 0.9 + random.normal(0, 0.01, n)
        arm_trained = random.random(n) >= FAILURES * both
        baseline_trained = random.random(n) >= FAILURES
        differences = np.where(arm_trained, arm, CHANCE) - np.where(baseline_trained, baseline, CHANCE)
        return Claim.of(differences, 0.01, trained=Trained(arm_trained, baseline_trained))

    spread = math.sqrt(2) * 0.01
    truth = gain if both else gain + spread * _normal_quantile(1 - 0.5 / (1 - FAILURES) + FAILURES / (1 - FAILURES))
    return Case(draw, truth)


def misses(share: float, ratio: float) -> Case:
    """Times to a target of a baseline ``ratio`` times slower, with a budget that a share of its runs exceed."""
    spread = 0.33

    def draw(random: Generator, n: int) -> Claim:
        hardness = random.normal(0, spread, n)
        arm, baseline = (np.exp(hardness + random.normal(start, spread, n)) for start in (0, math.log(ratio)))
        budget = ratio * math.exp(math.sqrt(2) * spread * _normal_quantile(1 - share)) if share else math.inf
        cut = [np.where(times > budget, math.inf, times) for times in (arm, baseline)]
        return Claim(*speed_up_bounds(*cut, budget, budget), math.log(1.25), "median")

    return Case(draw, math.log(ratio))


def rates(grid: float, fine: bool, ratio: float) -> Case:
    """Largest learning rates that train, known within a step of a grid, or halved until within 10%."""
    step = math.log(grid)
    while fine and step > math.log(1.1):
        step /= 2

    def draw(random: Generator, n: int) -> Claim:
        shared = random.uniform(0, math.log(grid)) + random.normal(0, 0.3, n)
        arm, baseline = (np.floor((shared + random.normal(s, 0.2, n)) / step) for s in (math.log(ratio), 0))
        return Claim((arm - baseline - 1) * step, (arm - baseline + 1) * step, math.log(1.25))

    return Case(draw, math.log(ratio))


def _normal_quantile(share: float) -> float:
    from scipy import special  # slow to import

    return float(special.ndtri(share))


SYMMETRIC = ("normal", "t, 3 degrees of freedom")
CASES: dict[str, Case] = {
    **{f"{name}, effect {effect:g} sd": shifted(name, effect) for name in SYMMETRIC for effect in (0, 0.75, 1, 1.5)},
    **{f"{name}, mean zero": shifted(name, 0) for name in ("exponential", "lognormal, sigma 1")},
    "lognormal, sigma 1, above zero": positive(),
    **{f"{name}, at the smallest effect": at_margin(name) for name in DIFFERENCES},
    **{f"accuracies of 360 images, {gain:+.3f}": accuracies(gain) for gain in (0.0, 0.01)},
    **{
        f"one run in ten diverges, {'both arms' if both else 'baseline'}, {gain:+.2f}": failures(both, gain)
        for both in (False, True)
        for gain in (0.0, 0.02)
    },
    **{
        f"{share:.0%} of the baseline miss, ratio {ratio:g}": misses(share, ratio)
        for ratio in (1.0, 2.0)
        for share in (0.0, 0.2, 0.4, 0.6)
    },
}
"""One claim on its own."""
TOGETHER: dict[str, Case] = {
    **{
        f"{name}, effect {effect:g} sd": shifted(name, effect, 23) for name in SYMMETRIC for effect in (0, 0.75, 1, 1.5)
    },
    **{f"{name}, mean zero": shifted(name, 0, 23) for name in ("exponential", "lognormal, sigma 1")},
    **{f"{name}, at the smallest effect": at_margin(name, 23) for name in DIFFERENCES},
}
"""One of 23 claims that were declared together."""
RATES: dict[str, Case] = {
    f"steps of {grid:.3g}, {'within 10%' if fine else 'a whole step'}, ratio {ratio:g}": rates(grid, fine, ratio)
    for fine in (True, False)
    for grid in GRIDS
    for ratio in RATIOS
}
"""Ratios of learning rates."""
