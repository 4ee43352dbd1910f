import pytest

from bnbench.analysis import Options, analyze_small_batch, read_trials
from bnbench.analysis.small_batch import Difference

from .frames import runs_of

NONE = {"norm": "none"}
ACCURACIES = {
    ("batch", 4): [0.60, 0.64],
    ("batch", 64): [0.90, 0.92],
    ("none", 4): [0.79, 0.80],
    ("none", 64): [0.80, 0.82],
    ("layer", 64): [0.70, 0.70],
}
RUNS = runs_of(
    *(
        {"norm": norm, "batch_size": batch, "seed": seed, "test_accuracy": value}
        for (norm, batch), values in ACCURACIES.items()
        for seed, value in enumerate(values)
    )
)


def test_drops_and_their_excess_are_paired_by_seed() -> None:
    numbers = analyze_small_batch(read_trials(RUNS, NONE), Options(NONE))
    none, batch, layer = numbers.rows.keys.index
    drop, excess = numbers.drops[batch], numbers.excess[batch]
    assert isinstance(drop, Difference) and isinstance(excess, Difference)
    assert (drop.mean, drop.sd, drop.n) == (pytest.approx(0.29), pytest.approx(0.0002**0.5), 2)
    assert (excess.mean, excess.sd, excess.n) == (pytest.approx(0.275), pytest.approx(0.00045**0.5), 2)
    assert (numbers.drops[layer], numbers.excess[layer], numbers.excess[none]) == ("nothing", "unmatched", "baseline")
    assert numbers.accuracies[batch, 0].mean == pytest.approx(0.62)


def test_one_seed_has_no_spread() -> None:
    numbers = analyze_small_batch(read_trials(RUNS[RUNS["seed"] == 0]), Options())
    assert numbers.drops[0] == Difference(pytest.approx(0.30), None, 1)
    assert numbers.excess == {}
