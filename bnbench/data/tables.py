"""A user's own table in one CSV file. N rows, F features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from csv import Error, reader
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch

from bnbench.data.files import Files, own_file
from bnbench.data.options import printable
from bnbench.data.raw import Raw
from bnbench.data.room import room, stays_on_disk
from bnbench.errors import BnbenchError, InvalidRequest, nearest
from bnbench.text import plural

MISSING = ("", "na", "n/a", "nan", "null", "?")
"""How tables write that a value is not known, in any case of letters."""
_LARGEST = float(np.finfo(np.float32).max)
_SHOWN = 5
_LONGEST = 60

Row = tuple[int, list[str]]
"""The number of a row's last line in the file, and its cells without the spaces around them."""


def csv(root: Path, *, path: str = "data.csv", label: str = "label") -> Raw:
    """Features and a label, one example per row of a CSV file whose first row names the columns.

    Args:
        root: the data folder.
        path: the file, relative to the data folder: UTF-8, separated by commas.
        label: the column of the labels; all others are features.

    Features become F channels of one pixel, float64 [N, F, 1, 1]. Labels are any text; they become 0..classes-1 in
    ascending order, that of numbers where all of them are numbers. Empty lines are skipped.

    Raises:
        DataMissing: there is no such file.
        InvalidRequest: columns without a name, or with one name; no such label; a cell that is missing, or a feature
            that is no finite number of float32's range.
        BnbenchError: the file cannot be read, or is too large.
    """
    (place,) = csv_files(root, path).values()
    names = _header(place, label)
    count = sum(1 for _ in _rows(place)) - 1
    if count < 1:
        raise InvalidRequest([printable(f"{place}: must have rows of examples below the names of its columns")])
    return _examples(place, names, names.index(label), count)


def csv_files(root: Path, path: str) -> Files:
    """The file that :func:`csv` reads, see :func:`own_file`."""
    return own_file(root, path, "csv", ", whose first row names the columns")


def _rows(place: str) -> Iterator[Row]:
    """The rows that are not empty, the names of the columns first."""
    line = 0
    try:
        with Path(place).open(encoding="utf-8-sig", newline="") as stream:
            rows = reader(stream, strict=True, skipinitialspace=True)
            for row in rows:
                line = rows.line_num
                cells = [cell.strip() for cell in row]
                if cells not in ([], [""]):
                    yield line, cells
    except (OSError, UnicodeError, Error) as error:
        problem = f"{place}: must be comma-separated text in UTF-8; behind line {line}: {error}"
        raise BnbenchError(printable(problem)) from error


def _header(place: str, label: str) -> list[str]:
    """The names of the columns."""
    _, names = next(_rows(place), (0, []))
    twice = sorted({name for name in names if name and names.count(name) > 1})
    problems = [f"the name {name!r:.{_LONGEST}} has several columns; each needs its own" for name in twice]
    if nameless := [str(number) for number, name in enumerate(names, 1) if not name]:
        listing = ", ".join(nameless[:_SHOWN])
        problems.append(f"column {listing} has no name; give it one, or leave it out if it counts the rows")
    if label not in names:
        known = nearest(label, [*filter(None, names)]) if any(names) else "It holds nothing"
        needs = "there is no such column; the first row must name the columns, separated by commas"
        problems.append(f"dataset.label={label}: {needs}. {known}")
    elif len(names) == 1:
        problems.append(f"must have features beside the labels, received the column {label!r:.{_LONGEST}} alone")
    if problems:
        raise InvalidRequest(printable(f"{place}: {problem}") for problem in problems)
    return names


@dataclass
class _Faults:
    """What is wrong with cells: the first sentences, and how many there are."""

    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            self.sentences.append(printable(sentence))


def _examples(place: str, names: Sequence[str], label: int, count: int) -> Raw:
    """All rows but the first one, which are so many."""
    features = [column for column in range(len(names)) if column != label]
    stays_on_disk("csv", 8 * count * len(features), "a temporary file")
    x_NF = room((count, len(features)), np.float64)
    y_N, codes, faults, number = np.zeros(count, np.int64), dict[str, int](), _Faults(), 0
    for number, (line, cells) in enumerate(islice(_rows(place), 1, count + 1), 1):
        values = [_number(cells[column]) for column in features] if len(cells) == len(names) else [None]
        if None in values or cells[label].lower() in MISSING:
            _blame(faults, f"row {number} (line {line})", names, label, cells)
            continue
        x_NF[number - 1] = values
        y_N[number - 1] = codes.setdefault(cells[label], len(codes))
    if number < count:
        raise BnbenchError(printable(f"{place}: has changed while it was read; give the command again"))
    if faults.count:
        wrong = f"{plural(faults.count, 'fault')}. Features must be finite numbers, and no value may be missing"
        listing = "\n".join(faults.sentences)
        raise InvalidRequest([printable(f"{place}: {wrong}:") + f"\n{listing}"])
    classes = _in_order(place, codes)
    ranks = {name: rank for rank, name in enumerate(classes)}
    rank_of = np.array([ranks[name] for name in codes])
    images = torch.from_numpy(x_NF)[:, :, None, None]
    return Raw(images, torch.from_numpy(rank_of[y_N]), classes=classes)


def _number(text: str) -> float | None:
    """A finite number within the range of float32; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST and "_" not in text else None


def _blame(faults: _Faults, where: str, names: Sequence[str], label: int, cells: Sequence[str]) -> None:
    """Add what is wrong with a row."""
    if len(cells) != len(names):
        faults.add(f"{where}: has {plural(len(cells), 'cell')}, and there are {plural(len(names), 'column')}")
        return
    for column, (name, cell) in enumerate(zip(names, cells, strict=True)):
        at = f"{where}, column {name!r:.{_LONGEST}}"
        if cell.lower() in MISSING:
            faults.add(f"{at}: the value is missing ({cell!r}); fill it in, or leave the row out")
        elif column != label and _number(cell) is None:
            faults.add(f"{at}: {cell!r:.{_LONGEST}} is no finite number; write numbers for it, or leave the column out")


def _in_order(place: str, labels: Iterable[str]) -> tuple[str, ...]:
    """The names of the classes: ascending numbers where all are numbers, or else as text.

    Raises:
        InvalidRequest: two of them are one number.
    """
    texts = sorted(labels)
    if any(_number(text) is None for text in texts):
        return tuple(texts)
    texts.sort(key=Decimal)
    for text, other in pairwise(texts):
        if Decimal(text) == Decimal(other):
            same = f"the labels {text!r:.{_LONGEST}} and {other!r:.{_LONGEST}} are one number; write it in one way"
            raise InvalidRequest([printable(f"{place}: {same}")])
    return tuple(texts)
