from bnbench.analysis import Options
from bnbench.reports import plain_text
from bnbench.reports.learning_rate import learning_rate

from ..analysis.frames import metrics_of, runs_of
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


def test_both_tables() -> None:
    runs = runs_of(*curve(0.5, 0.9, 0.89, None), *curve(0.2, 0.3, 0.9, 0.91, norm="group"))
    curves, ranges = (lookup(table) for table in learning_rate(runs, NO_METRICS, Options()).tables)
    texts = [plain_text(curves["batch"][f"lr {lr}"]) for lr in ("0.001", "0.01", "0.1", "1")]
    assert texts == ["50.0", "90.0", "89.0", "div 1/1"]
    assert curves["batch"]["lr 0.01"].mark == "best"
    row = {title: plain_text(cell) for title, cell in ranges["batch"].items()}
    assert row == {
        "norm": "batch",
        "best lr": "0.01",
        "val % at best": "90.0",
        "largest lr": "0.1",
        "usable range": "0.01 to 0.1",
        "decades": "1.0",
        "diverged": "1/4",
    }
    row = {title: plain_text(cell) for title, cell in ranges["group"].items()}
    assert (row["best lr"], row["largest lr"], row["decades"]) == ("1 edge", ">= 1", ">= 1.0")


def test_an_lr_that_a_row_did_not_try_is_left_open() -> None:
    runs = runs_of(*curve(0.5, 0.9), {"norm": "group", "lr": 1.0})
    curves = lookup(learning_rate(runs, NO_METRICS, Options()).tables[0])
    assert [plain_text(curves["group"][f"lr {lr}"]) for lr in ("0.001", "0.01", "1")] == ["-", "-", "90.0"]


def test_nothing_to_say() -> None:
    one = learning_rate(runs_of({}), NO_METRICS, Options())
    assert one.notes == ("All finished runs have lr=0.1; sweep lr to see its effect.",)
    assert learning_rate(runs_of({}).iloc[:0], NO_METRICS, Options()).notes == ("There are no runs.",)
