"""Tables of rows, and entries that several views have: accuracies and learning rates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bnbench.analysis.accuracy import Accuracy
from bnbench.analysis.levels import Level, level_digits, level_text
from bnbench.analysis.lr_choice import LearningRateChoice
from bnbench.analysis.rows import Rows, heads, labels, section_starts
from bnbench.reports.view import NOTHING, Cell, Column, Mark, Table, Unit
from bnbench.reports.where import NOWHERE, Where

UNSTABLE = "unstable"
UNSTABLE_CELL = Cell(words=UNSTABLE, mark="bad")
UNMATCHED_CELL = Cell(words="n/a")
BASELINE_CELL = Cell(words="baseline", mark="baseline")


def key_columns(rows: Rows, without: Collection[str] = ()) -> tuple[Column, ...]:
    """The headers of the words that name a row."""
    return tuple(Column(name.replace("batch_size", "batch"), key=True) for name in heads(rows, without) or ["runs"])


def accuracy_cell(
    accuracy: Accuracy | None, usual: int = 0, mark: Mark = "", where: Where = NOWHERE, unit: Unit = "percent"
) -> Cell:
    """An accuracy, or a loss in nats, as ``97.2 ± 0.3``, ``div 3/3`` or ``91.0 n=1 unstable, div 2/3``.

    ``n`` is shown where it is below ``usual``, and always in an unstable group.
    """
    if accuracy is None:
        return NOTHING
    n, unstable = accuracy.n, accuracy.unstable
    share = f"div {accuracy.diverged}/{accuracy.seeds}"
    if n == 0:
        return Cell(words=f"{UNSTABLE}, {share}", n=0, mark="bad", where=where) if unstable else NOTHING
    return Cell(
        accuracy.mean,
        unit,
        accuracy.sd,
        n=n,
        words=share if accuracy.diverged == accuracy.seeds else "",
        remarks=((f"n={n}",) if n < usual or unstable else ()) + ((f"{UNSTABLE}, {share}",) if unstable else ()),
        mark="bad" if accuracy.diverged else mark,
        where=where,
    )


def lr_cell(levels: Sequence[Level], choice: LearningRateChoice, where: Where = NOWHERE) -> Cell:
    """A chosen learning rate, marked when it is at the edge of its grid, or seeds disagree there."""
    remarks = (("edge",) if choice.edge else ()) + ((UNSTABLE,) if choice.unstable else ())
    level = levels[choice.code]
    value = level if type(level) in (int, float) else level_text(level)
    return Cell(value, "lr", digits=level_digits(levels), remarks=remarks, mark="bad" if remarks else "", where=where)


def row_table(
    title: str,
    rows: Rows,
    columns: Sequence[str],
    cells: Mapping[int, Sequence[Cell]],
    notes: Sequence[str] = (),
    without: Collection[str] = (),
) -> Table:
    """A table with a line per row: the words that name it, then its cells.

    Args:
        title: of the table.
        rows: those that may be in it.
        columns: titles of the columns behind the names.
        cells: by row; a row without is not in the table.
        notes: under the table.
        without: columns of names that are left out.
    """
    words = {row: texts for row, texts in labels(rows, without).items() if row in cells}
    lines = tuple((*map(Cell, texts), *cells[row]) for row, texts in words.items())
    headers = (*key_columns(rows, without), *map(Column, columns))
    return Table(title, headers, lines, tuple(notes), section_starts(list(words.values())))
