"""Accuracy by batch size, each cell at its best learning rate."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import SmallBatch
from bnbench.figures.accuracy_lines import Setting, accuracy_lines
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import Spec
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_of

SETTING = Setting("batch", "batch size", 2, "test")
COLUMNS = {
    "batch": "batch_size",
    "lr": "lr",
    "mean": "test_accuracy_mean",
    "sd": "test_accuracy_sd",
    "n": "seeds_in_mean",
    "diverged": "seeds_diverged",
    "seeds": "seeds",
}


def batch_sizes(numbers: SmallBatch) -> Figure | str:
    """Test accuracy of each row by batch size; the reason where there is nothing to draw."""
    frame = _frame(numbers)
    if frame["batch"].nunique() < 2:
        return "all runs have one batch size"
    chance = numbers.rows.keys["chance"]
    tuned = ", each batch size at its best learning rate" if numbers.choices is not None else ""
    crossed = " A cross: a seed diverged, drawn at chance." if frame["diverged"].any() else ""

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        return accuracy_lines(SETTING, place, part, others, float(chance[place.members[0].row]))

    sheet = Sheet(
        "batch-sizes",
        "Accuracy by batch size",
        f"Final test accuracy by batch size{tuned}: mean and, as a bar, one standard deviation over"
        f" {seeds(frame['seeds'])}.{crossed}",
        "final test accuracy by batch size",
        COLUMNS,
    )
    return assembled(sheet, frame, places_of(numbers.rows, set(frame["row"])), draw)


def _frame(numbers: SmallBatch) -> pd.DataFrame:
    """A line per row and batch size."""
    rates = numbers.rows.trials.levels["lr"]
    lines = []
    for (row, code), accuracy in numbers.accuracies.items():
        choice = None if numbers.choices is None else numbers.choices[row, code]
        lines.append(
            {
                "row": row,
                "batch": numbers.batches[code],
                "lr": rates[choice.code if choice else int(numbers.rows.keys["lr"][row])],
                "mean": accuracy.mean,
                "sd": accuracy.sd,
                "n": accuracy.n,
                "diverged": accuracy.diverged,
                "seeds": accuracy.seeds,
                "usable": False,
            }
        )
    return pd.DataFrame(lines, columns=["row", *COLUMNS, "usable"]).astype(
        {"sd": "float64", "mean": "float64", "batch": "float64"}
    )
