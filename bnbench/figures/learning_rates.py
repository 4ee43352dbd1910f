"""Accuracy by learning rate, and where runs diverge."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import LearningRateCurves
from bnbench.figures.accuracy_lines import Setting, accuracy_lines
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import Spec
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_of

SETTING = Setting("lr", "learning rate", 10, "validation")
COLUMNS = {
    "lr": "lr",
    "mean": "val_accuracy_mean",
    "sd": "val_accuracy_sd",
    "n": "seeds_in_mean",
    "diverged": "seeds_diverged",
    "seeds": "seeds",
    "usable": "usable",
    "best": "best",
}


def learning_rates(numbers: LearningRateCurves) -> Figure | str:
    """Validation accuracy of each row by learning rate; the reason where there is nothing to draw."""
    frame = rate_lines(numbers)
    if frame["lr"].nunique() < 2:
        return "all runs have one learning rate"
    chance = numbers.rows.keys["chance"]
    crossed = " A cross: a seed diverged, drawn at chance." if frame["diverged"].any() else ""
    thick = " Thick: the usable range around the best rate." if frame["usable"].any() else ""

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        return accuracy_lines(SETTING, place, part, others, float(chance[place.members[0].row]))

    sheet = Sheet(
        "learning-rates",
        "Accuracy by learning rate",
        f"Final validation accuracy by learning rate: mean and, as a bar, one standard deviation over"
        f" {seeds(frame['seeds'])}.{thick}{crossed}",
        "final validation accuracy by learning rate",
        COLUMNS,
    )
    return assembled(sheet, frame, places_of(numbers.rows, set(frame["row"])), draw)


def rate_lines(numbers: LearningRateCurves) -> pd.DataFrame:
    """A line per row and learning rate; those that are no numbers or not above zero have no place on the axis."""
    lines = []
    for row, curve in numbers.curves.items():
        width = numbers.usable(row)
        for code, accuracy in curve.accuracies.items():
            lr = numbers.levels[code]
            if type(lr) in (int, float) and float(lr or 0) > 0:
                lines.append(
                    {
                        "row": row,
                        "lr": float(lr or 0),
                        "mean": accuracy.mean,
                        "sd": accuracy.sd,
                        "n": accuracy.n,
                        "diverged": accuracy.diverged,
                        "seeds": accuracy.seeds,
                        "usable": width is not None and width.low <= float(lr or 0) <= width.high,
                        "best": code == curve.choice.code,
                    }
                )
    columns = ["row", *COLUMNS]
    return pd.DataFrame(lines, columns=columns).astype({"sd": "float64", "mean": "float64"})
