"""Entries that several views have: accuracies, learning rates, and the words that name a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bnbench.analysis.accuracy import Accuracy
from bnbench.analysis.levels import Level, level_digits, level_text
from bnbench.analysis.lr_choice import LearningRateChoice
from bnbench.analysis.rows import Rows, heads, labels
from bnbench.reports.view import NOTHING, Cell, Column, Mark

UNSTABLE = "unstable"
UNSTABLE_CELL = Cell(words=UNSTABLE, mark="bad")
UNMATCHED_CELL = Cell(words="n/a")
BASELINE_CELL = Cell(words="baseline", mark="baseline")


def key_columns(rows: Rows, without: Collection[str] = ()) -> tuple[Column, ...]:
    """The headers that go with :func:`label_cells`."""
    return tuple(Column(name.replace("batch_size", "batch"), key=True) for name in heads(rows, without) or ["runs"])


def label_cells(rows: Rows, without: Collection[str] = ()) -> dict[int, tuple[Cell, ...]]:
    """The cells that name each row."""
    return {row: tuple(map(Cell, words)) for row, words in labels(rows, without).items()}


def accuracy_cell(accuracy: Accuracy | None, usual: int = 0, mark: Mark = "") -> Cell:
    """An accuracy as ``97.2 ± 0.3``, ``div 3/3`` or ``91.0 n=1 unstable, div 2/3``.

    ``n`` is shown where it is below ``usual``, and always in an unstable group.
    """
    if accuracy is None:
        return NOTHING
    n, unstable = accuracy.n, accuracy.unstable
    share = f"div {accuracy.diverged}/{accuracy.seeds}"
    if n == 0:
        return Cell(words=f"{UNSTABLE}, {share}", n=0, mark="bad") if unstable else NOTHING
    return Cell(
        accuracy.mean,
        "percent",
        accuracy.sd,
        n=n,
        words=share if accuracy.diverged == accuracy.seeds else "",
        remarks=((f"n={n}",) if n < usual or unstable else ()) + ((f"{UNSTABLE}, {share}",) if unstable else ()),
        mark="bad" if accuracy.diverged else mark,
    )


def lr_cell(levels: Sequence[Level], choice: LearningRateChoice) -> Cell:
    """A chosen learning rate, marked when it is at the edge of its grid, or seeds disagree there."""
    remarks = (("edge",) if choice.edge else ()) + ((UNSTABLE,) if choice.unstable else ())
    level = levels[choice.code]
    value = level if type(level) in (int, float) else level_text(level)
    return Cell(value, "lr", digits=level_digits(levels), remarks=remarks, mark="bad" if remarks else "")
