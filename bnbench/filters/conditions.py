"""Conditions on the columns of runs: those of --exclude, ``norm=none,batch``, and comparisons, ``lr<0.1``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bnbench.errors import SHOWN as MOST
from bnbench.errors import InvalidRequest, nearest
from bnbench.filters.columns import SETS, Columns, number
from bnbench.store.cells import BOOLS, RUN_RULES
from bnbench.store.columns import RUN_TYPES
from bnbench.store.files import text

_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(rf"([A-Za-z_][\w.-]*)(!=|=|{'|'.join(_ORDER)})(.*)", re.DOTALL)
_CALL = re.compile(r"[a-z]+\(.*\)", re.DOTALL)
SHOWN = 60


@dataclass(frozen=True)
class Condition:
    """A column, and what its cell must hold.

    Attributes:
        word: as typed.
        sign: ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
        values: as cells; an empty one is a missing value.
    """

    word: str
    column: str
    sign: str
    values: tuple[str, ...]

    def meets(self, cell: str) -> bool:
        """True for a cell that is as the condition wants it; a missing value is neither more nor less than anything."""
        if self.sign in _ORDER:
            value, limit = number(cell), number(self.values[0])
            return value is not None and limit is not None and _ORDER[self.sign](value, limit)
        return self._is_one(cell) == (self.sign == "=")

    def _is_one(self, cell: str) -> bool:
        if self.column in SETS:
            return any(value in cell.split() if value else not cell for value in self.values)
        is_text = RUN_TYPES.get(self.column) == "str"
        return any(cell == value or (not is_text and _same_number(cell, value)) for value in self.values)


def is_condition(word: str) -> bool:
    """True for a word with a column and a sign."""
    return _CONDITION.fullmatch(word) is not None


def conditions(words: Iterable[str], columns: Columns) -> list[Condition]:
    """The conditions that words make; nothing of them is ever evaluated.

    Raises:
        InvalidRequest: some cannot be met by any run of such columns; all that is wrong.
    """
    problems: list[str] = []
    result = [condition for word in words if (condition := _condition(word, columns, problems))]
    if problems:
        raise InvalidRequest(problems)
    return result


def quoted(value: str) -> str:
    """A cell's text as the value of a condition: in quotes where it would be read as something else without them.

    A text with commas and quotes of both kinds may have no such form.
    """
    if _reads_back(value, value):
        return value
    return next((whole for mark in "\"'" if _reads_back(whole := f"{mark}{value}{mark}", value)), value)


def _reads_back(typed: str, value: str) -> bool:
    is_sign = typed[:1] in ("=", "!", "<", ">")
    return not is_sign and not _CALL.fullmatch(typed) and [_cell(part, "") for part in _split(typed)] == [value]


def chosen(rows: Sequence[Mapping[str, str]], wanted: Sequence[Condition]) -> list[Mapping[str, str]]:
    """The runs that meet all conditions."""
    result = list(rows)
    for condition in wanted:
        met = {cell: condition.meets(cell) for cell in {row.get(condition.column, "") for row in result}}
        result = [row for row in result if met[row.get(condition.column, "")]]
    return result


def unmatched(wanted: Iterable[Condition], columns: Columns) -> list[str]:
    """A note for each condition with ``=`` that no run meets, with what there is."""
    notes = []
    for condition in wanted:
        column = condition.column
        cells = list(dict.fromkeys(part for cell in columns.cells(column) for part in _parts(column, cell)))
        if condition.sign == "=" and not any(condition.meets(cell) for cell in [*cells, ""]):
            notes.append(f"{condition.word:.80}: no run has it; {_there(condition, cells, columns)}")
    return notes


def _there(condition: Condition, cells: Sequence[str], columns: Columns) -> str:
    if not cells:
        return "the column is empty"
    if columns.holds_numbers(condition.column):
        return f"there are: {', '.join([*cells[:MOST], *(['...'] if len(cells) > MOST else [])])}"
    return nearest(condition.values[0], cells).replace("Allowed:", "there are:")


def _parts(column: str, cell: str) -> list[str]:
    return cell.split() if column in SETS else [cell]


def _condition(word: str, columns: Columns, problems: list[str]) -> Condition | None:
    match = _CONDITION.fullmatch(word)
    if match is None:
        signs = "=, !=, <, <=, > or >="
        problems.append(
            f"{word!r:.80}: is no condition; write a column, a sign ({signs}) and a value, as in norm=batch"
        )
        return None
    column, sign, typed = match.groups()
    if typed[:1] in ("=", "!", "<", ">"):
        problems.append(f"{word!r:.80}: {sign}{typed[0]} is no sign; they are =, !=, <, <=, > and >=")
        return None
    if not columns.has(column):
        problems.append(f"{word!r:.80}: no such column; {columns.near(column)}")
        return None
    values = _values(column, typed, columns, problems)
    condition = Condition(word, column, sign, tuple(values))
    fault = _fault(condition, columns) if values else None
    problems += [f"{word!r:.80}: {fault}"] if fault else []
    return condition if values and not fault else None


def _fault(condition: Condition, columns: Columns) -> str | None:
    """The reason that a condition cannot be met by any cell of its column, or cannot be compared at all."""
    column, values = condition.column, condition.values
    if condition.sign in _ORDER:
        if not columns.holds_numbers(column):
            example = next(iter(columns.cells(column)), "")
            holds = f"holds text, such as {example!r:.{SHOWN}}" if example else "holds no numbers"
            return f"{column} {holds}, which {condition.sign} does not compare; use = or !="
        if len(values) > 1:
            return f"{condition.sign} compares with one number, not with {len(values)}"
        limit = number(values[0])
        return f"must be a number, not {values[0]!r:.{SHOWN}}" if limit is None or limit != limit else None
    rule = RUN_RULES.get(column)
    if isinstance(rule, tuple):
        return next((nearest(value, rule) for value in values if value and value.lower() not in rule), None)
    if columns.holds_numbers(column):
        wrong = next((value for value in values if value and number(value) is None), None)
        return None if wrong is None else f"{column} holds numbers, not {wrong!r:.{SHOWN}}"
    return None


def _values(column: str, typed: str, columns: Columns, problems: list[str]) -> list[str]:
    """The values of a condition as cells; functions such as ``range(3)`` are read as in a sweep."""
    if not _CALL.fullmatch(typed):
        return [_cell(value, column) for value in _split(typed)]
    from bnbench.config.compose import GROUPS
    from bnbench.config.grammar import parse

    settings = parse([f"{column}={typed}"], lambda key: columns.cells(key) if key in GROUPS else None, problems)
    return [text(tuple(value) if isinstance(value, list) else value) for item in settings for value in item.values]


def _cell(value: str, column: str) -> str:
    """A typed value as the store writes it: quotes and the brackets of a list are gone, ``null`` is empty."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    if value.startswith("[") and value.endswith("]"):
        return " ".join(_cell(item, column) for item in _split(value[1:-1]))
    if value.lower() == "null":
        return ""
    return value.lower() if value.lower() in BOOLS or isinstance(RUN_RULES.get(column), tuple) else value


def _split(typed: str) -> list[str]:
    """The parts between commas that are not inside quotes or brackets."""
    parts, depth, quote = [""], 0, ""
    for character in typed:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not parts[-1]:
            quote = character
        elif character == "," and depth == 0:
            parts.append("")
            continue
        else:
            depth += (character in "([{") - (character in ")]}")
        parts[-1] += character
    return [part.strip() for part in parts]


def _same_number(cell: str, value: str) -> bool:
    one, other = number(cell), number(value)
    return one is not None and other is not None and (one == other or (one != one and other != other))
