"""A cell of which some seeds diverged and some did not is unstable in every view, and no property of its norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from bnbench.analysis.accuracy import is_unstable
from bnbench.reports import VIEWS, Cell, Options, plain_text, report
from bnbench.reports.convergence import convergence
from bnbench.reports.learning_rate import learning_rate
from bnbench.reports.notes import UNSTABLE_NOTE
from bnbench.reports.small_batch import small_batch
from bnbench.study.tuning import choose

from ..analysis.frames import metrics_of, runs_of
from .reading import all_notes, lookup

NO_METRICS = metrics_of({})
NONE = {"norm": "none"}


def cell(*accuracies: float | None, **others: Any) -> list[dict[str, Any]]:
    """One run per seed; None has diverged."""
    return [
        {
            "seed": seed,
            "status": "diverged" if value is None else "completed",
            "val_accuracy": value,
            "test_accuracy": value,
            **others,
        }
        for seed, value in enumerate(accuracies)
    ]


def ranges_of(*cells: list[dict[str, Any]]) -> tuple[dict[str, Cell], dict[str, Cell]]:
    runs = runs_of(*(run for cell in cells for run in cell))
    curves, ranges = learning_rate(runs, NO_METRICS, Options()).tables
    return lookup(curves)["all"], lookup(ranges)["all"]


def texts(row: dict[str, Cell], *titles: str) -> list[str]:
    return [plain_text(row[title]) for title in titles]


@pytest.mark.parametrize(
    ("diverged", "seeds", "unstable"),
    [(0, 1, False), (1, 1, False), (0, 3, False), (1, 3, True), (2, 3, True), (3, 3, False)],
)
def test_seeds_that_disagree_are_unstable(diverged: int, seeds: int, unstable: bool) -> None:
    assert is_unstable(diverged, seeds) == unstable


@pytest.mark.parametrize(
    ("accuracies", "text", "value", "spread", "n"),
    [
        ((0.8, 0.9, None), "85.0 ± 7.1 n=2 unstable, div 1/3", 0.85, 0.005**0.5, 2),
        ((None, None, 0.8), "80.0 n=1 unstable, div 2/3", 0.8, None, 1),
        ((None, 0.8), "80.0 n=1 unstable, div 1/2", 0.8, None, 1),
        ((None, None, None), "div 3/3", 0.1, 0.0, 3),
        ((None,), "div 1/1 n=1", 0.1, None, 1),
    ],
)
def test_the_number_is_that_of_the_seeds_that_did_not_diverge(
    accuracies: Sequence[float | None], text: str, value: float, spread: float | None, n: int
) -> None:
    row, _ = ranges_of(cell(0.9, 0.9, 0.9, lr=0.1), cell(*accuracies, lr=1.0))
    found = row["lr 1"]
    assert (plain_text(found), found.n, found.mark) == (text, n, "bad")
    assert found.value == pytest.approx(value)
    assert found.spread == (None if spread is None else pytest.approx(spread))


def test_a_stable_learning_rate_that_trains_is_chosen_first() -> None:
    # With chance mixed in, 0.99 of two seeds is 0.69: above the stable 0.6 all the same.
    curve, ranges = ranges_of(cell(0.6, 0.6, 0.6, lr=0.1), cell(0.99, 0.99, None, lr=1.0))
    assert texts(ranges, "best lr", "val % at best") == ["0.1 edge", "60.0 ± 0.0"]
    assert texts(ranges, "largest lr", "usable range") == ["0.1 (unstable at 1)", "0.1"]
    assert (curve["lr 0.1"].mark, curve["lr 1"].mark) == ("best", "bad")


def test_a_replicate_of_a_study_chooses_by_the_mean_of_all_its_seeds() -> None:
    runs = runs_of(*cell(0.6, 0.6, 0.6, lr=0.1), *cell(0.99, 0.99, None, lr=1.0))
    table = runs[["run_id"]].assign(arm="batch", cell="all", pair=7)
    assert choose(table, runs) == ({("batch", "all"): {7: 1.0}}, {})


def test_one_that_does_not_train_is_not() -> None:
    _, ranges = ranges_of(cell(0.12, 0.12, 0.12, lr=0.1), cell(0.9, 0.9, None, lr=1.0), cell(None, None, None, lr=10.0))
    assert texts(ranges, "best lr", "val % at best") == ["1 unstable", "90.0 ± 0.0 n=2 unstable, div 1/3"]
    assert texts(ranges, "largest lr", "usable range", "decades") == ["none (unstable at 1)", "unstable", "unstable"]
    assert (ranges["best lr"].value, ranges["usable range"].value, ranges["decades"].value) == (1.0, None, None)
    assert plain_text(ranges["diverged"]) == "4/9"


def test_where_nothing_is_above_chance_the_lower_of_equals_is_chosen() -> None:
    _, ranges = ranges_of(cell(0.1, None, lr=0.1), cell(None, None, lr=1.0))
    assert texts(ranges, "best lr", "largest lr") == ["0.1 edge unstable", "none (unstable at 0.1)"]


def test_the_usable_range_ends_before_unstable_cells_on_both_sides() -> None:
    good, bad = (0.9, 0.9, 0.9), (0.9, None, 0.9)
    rates = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]
    cells = [
        cell(*accuracies, lr=lr) for lr, accuracies in zip(rates, [bad, good, good, bad, bad, (None,)], strict=True)
    ]
    _, ranges = ranges_of(*cells)
    assert texts(ranges, "usable range", "decades", "largest lr") == ["0.01 to 0.1", "1.0", "0.1 (unstable at 1, 10)"]
    assert ranges["largest lr"].value == 0.1


def test_an_unstable_cell_below_the_largest_is_left_out_of_the_range() -> None:
    _, ranges = ranges_of(cell(0.9, 0.9, lr=0.01), cell(0.9, None, lr=0.1), cell(0.8, 0.8, lr=1.0))
    assert texts(ranges, "largest lr", "usable range") == [">= 1", "0.01"]


def test_one_seed_is_never_unstable() -> None:
    _, ranges = ranges_of(cell(0.9, lr=0.01), cell(0.9, lr=0.1), cell(None, lr=1.0))
    assert texts(ranges, "largest lr", "usable range", "diverged") == ["0.1", "0.01 to 0.1", "1/3"]


def batches(norm: str, small: Sequence[float | None], large: Sequence[float | None]) -> list[dict[str, Any]]:
    return [
        *cell(*small, norm=norm, batch_size=4),
        *cell(0.7, 0.7, 0.7, norm=norm, batch_size=16),
        *cell(*large, norm=norm, batch_size=64),
    ]


def test_no_drop_rests_on_an_unstable_cell() -> None:
    stable, unstable = (0.8, 0.8, 0.8), (0.8, 0.7, None)
    runs = runs_of(
        *batches("none", stable, stable),
        *batches("batch", unstable, stable),
        *batches("group", stable, unstable),
        *batches("layer", (None, None, None), stable),
        *batches("rms", (0.7, 0.7, 0.7), stable),
    )
    view = small_batch(runs, NO_METRICS, Options(baseline=NONE))
    found = {name: texts(row, "drop 64 to 4", "vs baseline") for name, row in lookup(view.tables[0]).items()}
    assert found == {
        "none": ["0.0 ± 0.0", "baseline"],
        "batch": ["unstable", "unstable"],
        "group": ["unstable", "unstable"],
        "layer": ["70.0 ± 0.0", "+70.0 ± 0.0"],
        "rms": ["10.0 ± 0.0", "+10.0 ± 0.0"],
    }
    row = lookup(view.tables[0])["batch"]
    assert plain_text(row["batch 4"]) == "75.0 ± 7.1 n=2 unstable, div 1/3"
    assert row["batch 4"].value == pytest.approx(0.75)
    assert (row["drop 64 to 4"].value, row["vs baseline"].value) == (None, None)


def test_no_difference_rests_on_an_unstable_baseline() -> None:
    runs = runs_of(
        *batches("none", (0.8, 0.8, None), (0.8, 0.8, 0.8)), *batches("batch", (0.7, 0.7, 0.7), (0.8, 0.8, 0.8))
    )
    found = lookup(small_batch(runs, NO_METRICS, Options(baseline=NONE)).tables[0])
    assert texts(found["none"], "drop 64 to 4", "vs baseline") == ["unstable", "baseline"]
    assert texts(found["batch"], "drop 64 to 4", "vs baseline") == ["10.0 ± 0.0", "unstable"]


def test_an_unstable_batch_between_the_ends_leaves_the_drop() -> None:
    runs = runs_of(*cell(0.7, 0.7, batch_size=4), *cell(0.7, None, batch_size=16), *cell(0.8, 0.8, batch_size=64))
    row = lookup(small_batch(runs, NO_METRICS, Options()).tables[0])["all"]
    assert texts(row, "batch 16", "drop 64 to 4") == ["70.0 n=1 unstable, div 1/2", "10.0 ± 0.0"]


def test_each_batch_has_its_own_stable_learning_rate() -> None:
    runs = runs_of(
        *cell(0.6, 0.6, batch_size=4, lr=0.1),
        *cell(0.99, None, batch_size=4, lr=1.0),
        *cell(0.1, 0.1, batch_size=64, lr=0.1),
        *cell(0.9, None, batch_size=64, lr=1.0),
    )
    accuracies, chosen = (lookup(table)["all"] for table in small_batch(runs, NO_METRICS, Options()).tables)
    assert texts(chosen, "batch 4", "batch 64") == ["0.1 edge", "1 edge unstable"]
    assert texts(accuracies, "batch 4", "batch 64") == ["60.0 ± 0.0", "90.0 n=1 unstable, div 1/2"]
    assert plain_text(accuracies["drop 64 to 4"]) == "unstable"


def converging(none: Sequence[float | None], batch: Sequence[float | None]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seeds without normalization reach 0.9 after 300 steps, others after 100 and 200 and so on."""
    runs = runs_of(*cell(*none, norm="none"), *cell(*batch, norm="batch"))
    curves = {f"r{at}": [0.1, 0.1, 0.9] for at in range(len(none))}
    curves |= {f"r{len(none) + at}": [0.1] * at + [0.9] for at in range(len(batch))}
    kept = {run: curve for run, curve in curves.items() if runs.set_index("run_id")["status"][run] == "completed"}
    return runs, metrics_of(kept)


def test_times_of_an_unstable_row_are_compared_with_nothing() -> None:
    runs, metrics = converging((0.9, 0.9, 0.9), (0.9, 0.9, None))
    view = convergence(runs, metrics, Options(targets=(0.9,), baseline=NONE))
    found = lookup(view.tables[0])
    batch = found["batch"]
    assert texts(batch, "reached", "steps", "speed-up") == ["2/3", "150 [100-200] n=2 unstable", "unstable"]
    assert texts(batch, "val %", "test %") == ["90.0 ± 0.0 n=2 unstable, div 1/3"] * 2
    assert texts(batch, "epochs", "examples") == ["1.5 [1-2] n=2 unstable", "9.6k [6.4k-12.8k] n=2 unstable"]
    assert (batch["steps"].value, batch["steps"].n, batch["steps"].mark) == (150, 2, "bad")
    assert batch["val %"].value == pytest.approx(0.9)
    assert batch["speed-up"].value is None
    # The fastest is the fastest of the stable rows.
    assert (plain_text(found["none"]["steps"]), found["none"]["steps"].mark) == ("300", "best")


def test_no_speed_up_rests_on_an_unstable_baseline() -> None:
    runs, metrics = converging((0.9, None, 0.9), (0.9, 0.9, 0.9))
    found = lookup(convergence(runs, metrics, Options(targets=(0.9,), baseline=NONE)).tables[0])
    assert (plain_text(found["none"]["speed-up"]), plain_text(found["batch"]["speed-up"])) == ("baseline", "unstable")


def test_all_seeds_diverged_is_a_property() -> None:
    runs, metrics = converging((0.9, 0.9, 0.9), (None, None, None))
    view = convergence(runs, metrics, Options(targets=(0.9,), baseline=NONE))
    batch = lookup(view.tables[0])["batch"]
    assert texts(batch, "reached", "steps", "speed-up", "val %") == ["0/3", "never", "never", "div 3/3"]
    assert "unstable" not in all_notes(view)


def test_convergence_is_shown_at_a_stable_learning_rate() -> None:
    runs = runs_of(*cell(0.7, 0.7, 0.7, lr=0.1), *cell(0.99, 0.99, None, lr=1.0))
    row = lookup(convergence(runs, metrics_of({"r0": [0.9]}), Options(targets=(0.9,))).tables[0])["all"]
    assert texts(row, "lr", "val %") == ["0.1 edge", "70.0 ± 0.0"]


@pytest.mark.parametrize(
    ("other", "target"), [((0.8, 0.8), "to 76%"), ((0.1, 0.1), "to 94%"), ((None, None), "to 94%")]
)
def test_targets_are_derived_from_stable_rows_that_train(other: Sequence[float | None], target: str) -> None:
    runs = runs_of(*cell(0.99, None, norm="batch"), *cell(*other, norm="none"))
    view = convergence(runs, metrics_of({"r0": [0.99]}), Options())
    assert view.tables[0].title.startswith(target)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("lr", ["best", "all"])
def test_every_view_says_what_unstable_is_where_there_is_some(view: str, lr: str) -> None:
    grid = [{"batch_size": batch, "lr": lr} for batch in (4, 64) for lr in (0.1, 1.0)]
    for accuracies, told in {(0.9, 0.9, None): True, (0.9, 0.9, 0.9): False, (0.9,): False, (None,): False}.items():
        runs = runs_of(
            *(run for place in grid for run in cell(*accuracies, **place)), *cell(0.9, 0.9, 0.9, norm="none")
        )
        metrics = metrics_of({run: [0.5, 0.9] for run in runs["run_id"]})
        (found,) = report(runs, metrics, [view], lr=lr).views
        written = " ".join(plain_text(entry) for table in found.tables for row in table.rows for entry in row)
        assert ("unstable, div 1/3" in written) == told
        assert ("unstable" in written) == told
        assert (UNSTABLE_NOTE in all_notes(found)) == told
