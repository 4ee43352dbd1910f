from typing import Any

from bnbench.analysis import Options
from bnbench.reports import plain_text
from bnbench.reports.small_batch import small_batch

from ..analysis.frames import metrics_of, runs_of
from .reading import all_notes, lookup

NO_METRICS = metrics_of({})


def cell(norm: str, batch: int, test: list[float], **others: Any) -> list[dict[str, Any]]:
    return [
        {"norm": norm, "batch_size": batch, "seed": seed, "test_accuracy": value, **others}
        for seed, value in enumerate(test)
    ]


RUNS = runs_of(
    *cell("batch", 4, [0.60, 0.64]),
    *cell("batch", 64, [0.90, 0.92]),
    *cell("none", 4, [0.79, 0.80]),
    *cell("none", 64, [0.80, 0.82]),
)


def test_the_drop_is_paired_by_seed() -> None:
    row = lookup(small_batch(RUNS, NO_METRICS, Options()).tables[0])["batch"]
    assert (plain_text(row["batch 4"]), plain_text(row["batch 64"])) == ("62.0 ± 2.8", "91.0 ± 1.4")
    assert plain_text(row["drop 64 to 4"]) == "29.0 ± 1.4"
    assert row["drop 64 to 4"].n == 2


def test_a_seed_without_its_partner_does_not_enter_the_drop() -> None:
    row = lookup(small_batch(RUNS.drop(index=0), NO_METRICS, Options()).tables[0])["batch"]
    assert (plain_text(row["batch 4"]), plain_text(row["drop 64 to 4"])) == ("64.0 n=1", "28.0")


def test_the_drop_against_the_baseline() -> None:
    found = lookup(small_batch(RUNS, NO_METRICS, Options(baseline={"norm": "none"})).tables[0])
    assert plain_text(found["none"]["vs baseline"]) == "baseline"
    assert plain_text(found["batch"]["vs baseline"]) == "+27.5 ± 2.1"


def test_each_cell_is_at_its_own_best_lr_by_validation() -> None:
    runs = runs_of(
        *cell("batch", 4, [0.5], lr=0.01, val_accuracy=0.6),
        *cell("batch", 4, [0.9], lr=0.1, val_accuracy=0.5),
        *cell("batch", 64, [0.7], lr=0.01, val_accuracy=0.5),
        *cell("batch", 64, [0.8], lr=0.1, val_accuracy=0.6),
    )
    accuracies, chosen = (lookup(table)["all"] for table in small_batch(runs, NO_METRICS, Options()).tables)
    assert (plain_text(accuracies["batch 4"]), plain_text(accuracies["batch 64"])) == ("50.0", "80.0")
    assert (plain_text(chosen["batch 4"]), plain_text(chosen["batch 64"])) == ("0.01 edge", "0.1 edge")
    (only,) = small_batch(runs, NO_METRICS, Options(lr="all")).tables
    assert set(lookup(only)) == {"0.01", "0.1"}


def test_a_baseline_on_the_columns_is_said_to_compare_nothing() -> None:
    view = small_batch(RUNS, NO_METRICS, Options(baseline={"batch_size": 64}))
    assert "No comparison with batch_size=64" in all_notes(view)


def test_batch_sizes_of_different_epochs_are_not_compared() -> None:
    view = small_batch(RUNS.assign(epochs=RUNS["batch_size"] // 4), NO_METRICS, Options())
    cells = lookup(view.tables[0])
    assert set(cells) == {"1 | batch", "16 | batch", "1 | none", "16 | none"}
    assert {plain_text(cells[row]["drop 64 to 4"]) for row in cells} == {"-"}


def test_nothing_to_say() -> None:
    one = small_batch(runs_of({}), NO_METRICS, Options())
    assert one.notes == ("All finished runs have batch_size=64; sweep batch_size to see its effect.",)
