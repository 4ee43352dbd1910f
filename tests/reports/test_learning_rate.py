from bnbench.reports.learning_rate import LearningRateRange, learning_rate, usable_range
from bnbench.reports.options import Options

from .frames import metrics_of, runs_of
from .reading import lookup

NO_METRICS = metrics_of({})


def curve(*accuracies: float | None, norm: str = "batch") -> list[dict[str, object]]:
    """One run per learning rate 0.001, 0.01, ...; None has diverged."""
    return [
        {
            "norm": norm,
            "lr": 10.0 ** (at - 3),
            "status": "diverged" if value is None else "completed",
            "val_accuracy": value,
        }
        for at, value in enumerate(accuracies)
    ]


def test_usable_is_the_unbroken_block_around_the_best() -> None:
    found = usable_range([0.88, 0.2, 0.87, 0.9, 0.86, 0.6, 0.3], [0.0] * 7, best=3, chance=0.1)
    assert found == LearningRateRange(largest=5, low=2, high=4)


def test_halfway_from_chance_trains() -> None:
    assert usable_range([0.9, 0.5, 0.499], [0.0] * 3, best=0, chance=0.1).largest == 1


def test_where_a_seed_diverged_nothing_trains() -> None:
    assert usable_range([0.9, 0.9], [0.0, 0.1], best=0, chance=0.1) == LearningRateRange(0, 0, 0)
    assert usable_range([0.9, 0.9, 0.9], [0.0, 0.1, 0.0], best=0, chance=0.1) == LearningRateRange(2, 0, 0)


def test_nothing_trains_at_chance() -> None:
    assert usable_range([0.1, 0.1], [1.0, 1.0], best=0, chance=0.1) == LearningRateRange(None, None, None)


def test_both_tables() -> None:
    runs = runs_of(*curve(0.5, 0.9, 0.89, None), *curve(0.2, 0.3, 0.9, 0.91, norm="group"))
    curves, ranges = (lookup(table) for table in learning_rate(runs, NO_METRICS, Options()).tables)
    texts = [curves["batch"][f"lr {lr}"].text for lr in ("0.001", "0.01", "0.1", "1")]
    assert texts == ["50.0", "90.0", "89.0", "div 1/1"]
    assert curves["batch"]["lr 0.01"].mark == "best"
    row = {title: cell.text for title, cell in ranges["batch"].items()}
    assert row == {
        "norm": "batch",
        "best lr": "0.01",
        "val % at best": "90.0",
        "largest lr": "0.1",
        "usable range": "0.01 to 0.1",
        "decades": "1.0",
        "diverged": "1/4",
    }
    row = {title: cell.text for title, cell in ranges["group"].items()}
    assert (row["best lr"], row["largest lr"], row["decades"]) == ("1 edge", ">= 1", ">= 1.0")


def test_an_lr_that_a_row_did_not_try_is_left_open() -> None:
    runs = runs_of(*curve(0.5, 0.9), {"norm": "group", "lr": 1.0})
    curves = lookup(learning_rate(runs, NO_METRICS, Options()).tables[0])
    assert [curves["group"][f"lr {lr}"].text for lr in ("0.001", "0.01", "1")] == ["-", "-", "90.0"]


def test_nothing_to_say() -> None:
    one = learning_rate(runs_of({}), NO_METRICS, Options())
    assert one.notes == ("All finished runs have lr=0.1; sweep lr to see its effect.",)
    assert learning_rate(runs_of({}).iloc[:0], NO_METRICS, Options()).notes == ("There are no runs.",)
