from bnbench.analysis.lr_range import LearningRateRange, usable_range


def test_usable_is_the_unbroken_block_around_the_best() -> None:
    usable = usable_range([0.88, 0.2, 0.87, 0.9, 0.86, 0.6, 0.3], [0.0] * 7, best=3, chance=0.1)
    assert usable == LearningRateRange(largest=5, low=2, high=4)


def test_halfway_from_chance_trains() -> None:
    assert usable_range([0.9, 0.5, 0.499], [0.0] * 3, best=0, chance=0.1).largest == 1


def test_where_a_seed_diverged_nothing_trains() -> None:
    assert usable_range([0.9, 0.9], [0.0, 0.1], best=0, chance=0.1) == LearningRateRange(0, 0, 0)
    assert usable_range([0.9, 0.9, 0.9], [0.0, 0.1, 0.0], best=0, chance=0.1) == LearningRateRange(2, 0, 0)


def test_nothing_trains_at_chance() -> None:
    assert usable_range([0.1, 0.1], [1.0, 1.0], best=0, chance=0.1) == LearningRateRange(None, None, None)
