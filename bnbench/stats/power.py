"""The effect that a number of replicates can detect, and the number that an effect takes, by the rule itself.

Normal differences are drawn once, with a fixed seed, and moved by the effect: each sample says by how much it must be
moved for the rule to find a difference, which is how far its interval reaches below zero. So a share of the samples is
a power, and no search is needed.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from bnbench.stats.draws import MOST_PATTERNS, Draws
from bnbench.stats.interval import ALPHA, fewest_replicates
from bnbench.stats.stretched_t import stretch_toward_zero
from bnbench.stats.values import Values

POWER = 0.8
SAMPLES = 1_000
FEWEST_PATTERNS = 2_499
RESAMPLES = 1_499
AT_ONCE = 5_000_000
"""Means that are held in memory."""
SEED = 0
MOST = 10_000
"""Replicates; no study has more."""
LARGE = 100
"""Replicates above which the sign-flip test of normal differences is Student's."""


@cache
def detectable_effect(n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest effect that is significant in ``power`` of all studies, in standard deviations of a difference.

    For normal differences and the rule's own tests: the sign-flip test and the stretched t. To within 2%.

    Args:
        n: replicates.
        alpha: the level that p must not be above; divided by their number if several claims are decided together.
        power: above 0 and below 1.

    Returns:
        Infinite with fewer replicates than :func:`fewest_replicates`, as p cannot reach alpha; likewise where the most
        random patterns of signs are too few for it.
    """
    if n < fewest_replicates(alpha):
        return math.inf
    if n > LARGE:
        return _students(n, alpha, power)
    generator = np.random.default_rng(SEED)
    patterns = min(max(FEWEST_PATTERNS, math.ceil(4 / alpha)), MOST_PATTERNS)
    draws = Draws(generator, patterns, RESAMPLES, int(math.log2(2 * patterns)))
    samples_NS = generator.normal(size=(SAMPLES, n))
    shift_N = np.maximum(_flip_shifts(samples_NS, draws, alpha), _stretched_shifts(samples_NS, draws, alpha))
    return float(np.quantile(shift_N, power)) if np.isfinite(shift_N).all() else math.inf


def replicates_needed(effect: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """The fewest replicates with which an effect is significant in ``power`` of all studies.

    Args:
        effect: in standard deviations of a difference, above zero.
        alpha: as for :func:`detectable_effect`.
        power: above 0 and below 1.

    Raises:
        ValueError: an effect that is not above zero, or so small that it would take more than 10,000.
    """
    if not effect > 0 or detectable_effect(MOST, alpha, power) > effect:
        raise ValueError(f"effect={effect:g}: must be one that {MOST:,} replicates can detect")
    few, enough = fewest_replicates(alpha) - 1, MOST
    while enough - few > 1:
        middle = min((few + enough) // 2, 2 * few + 1)
        few, enough = (few, middle) if detectable_effect(middle, alpha, power) <= effect else (middle, enough)
    return enough


def _flip_shifts(samples_NS: Values, draws: Draws, alpha: float) -> Values:
    """How far the interval of the sign-flip test reaches below zero, per sample ``[N]``."""
    flips_PS = draws.flips_PS(samples_NS.shape[1])
    subsets_PS = flips_PS[flips_PS.any(axis=1)]
    outside = int(alpha / 2 * len(flips_PS) + 1e-9) - (len(flips_PS) - len(subsets_PS))
    if outside < 0:
        return np.full(len(samples_NS), math.inf)
    blocks = []
    for block_NS in np.array_split(samples_NS, -(-len(samples_NS) * len(subsets_PS) // AT_ONCE)):
        means_NP = (block_NS @ subsets_PS.T) / subsets_PS.sum(axis=1)
        blocks.append(-np.partition(means_NP, outside, axis=1)[:, outside])
    return np.concatenate(blocks)


def _stretched_shifts(samples_NS: Values, draws: Draws, alpha: float) -> Values:
    """How far the interval of the stretched t reaches below zero, per sample ``[N]``."""
    from scipy import special  # slow to import

    n = samples_NS.shape[1]
    critical = float(special.stdtrit(n - 1, 1 - alpha / 2))
    means_N, errors_N = samples_NS.mean(axis=1), samples_NS.std(axis=1, ddof=1) / math.sqrt(n)
    stretch_N = np.array([stretch_toward_zero(sample_S, draws) for sample_S in samples_NS - means_N[:, None]])
    return np.asarray(stretch_N * critical * errors_N - means_N)


def _students(n: int, alpha: float, power: float) -> float:
    """The same effect for Student's paired t test, by the noncentral t."""
    from scipy import special  # slow to import

    critical = float(special.stdtrit(n - 1, 1 - alpha / 2))
    return float(special.nctdtrinc(n - 1, 1 - power, critical)) / math.sqrt(n)
