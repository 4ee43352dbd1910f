"""The betting interval against a plain reckoning of the paper's formulas, and against its promise."""

import math

import numpy as np
import pytest

from bnbench.stats.bounded_mean import betting_interval


def rich(shares, mean, alpha):
    """A better against a mean who comes to own 1 / alpha: Waudby-Smith & Ramdas 2023, equation 26 and theorem 3."""
    up = down = 1.0
    seen, spread = 0.5, 0.25
    bet = math.sqrt(2 * math.log(2 / alpha) / (len(shares) * 0.25))
    for count, share in enumerate(shares, start=1):
        up *= 1 + min(bet, 0.75 / mean) * (share - mean)
        down *= 1 - min(bet, 0.75 / (1 - mean)) * (share - mean)
        if max(up, down) / 2 >= 1 / alpha:
            return True
        seen += share
        spread += (share - seen / (count + 1)) ** 2
        bet = math.sqrt(2 * math.log(2 / alpha) / (len(shares) * spread / (count + 1)))
    return False


@pytest.mark.parametrize("n", [1, 5, 10, 40])
def test_against_the_formulas(n):
    differences = np.random.default_rng(n).uniform(-0.2, 0.9, n)
    found = betting_interval(differences, -1, 1)
    for value in np.linspace(-0.99, 0.99, 67):
        if abs(value - found.low) > 0.005 and abs(value - found.high) > 0.005:
            assert rich((differences + 1) / 2, (value + 1) / 2, 0.05) == found.excludes(value)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_it_holds_the_mean_of_what_rarely_happens(share):
    random = np.random.default_rng(0)
    misses = 0
    for _ in range(300):
        differences = -0.8 * (random.random(20) < share)
        misses += betting_interval(differences, -1, 1).excludes(-0.8 * share)
    assert misses / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_it_turns_and_scales_with_the_values():
    values = np.random.default_rng(3).uniform(-0.1, 0.4, 12)
    one, turned, wide = (betting_interval(*found) for found in ((values, -1, 1), (-values, -1, 1), (2 * values, -2, 2)))
    assert (-turned.high, -turned.low) == pytest.approx((one.low, one.high), abs=1e-9)
    assert (wide.low / 2, wide.high / 2) == pytest.approx((one.low, one.high), abs=1e-9)
    assert -1 <= one.low < values.mean() < one.high <= 1


def test_values_beyond_the_bounds_are_refused():
    with pytest.raises(ValueError, match="from -1 to 1"):
        betting_interval([0.0, 1.2], -1, 1)
