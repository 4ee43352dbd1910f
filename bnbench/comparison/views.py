"""The dossier as views: a table of verdicts per arm, and how each of them was decided."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bnbench.comparison.course import Dossier, by_reading
from bnbench.comparison.design import Asked
from bnbench.comparison.ranks import Rank
from bnbench.figures import Drawn, Figure
from bnbench.reports import Cell, Column, ReportView, Table
from bnbench.reports.view import Mark
from bnbench.stats import Verdict
from bnbench.study import Row
from bnbench.study.questions import Reading
from bnbench.study.wording import centre, effect, interval, sentence, signed
from bnbench.text import listing, plural

VERDICTS = "Verdicts"
OUTCOMES: dict[Verdict, str] = {
    "supported": "better",
    "contradicted": "worse",
    "no difference": "no difference",
    "inconclusive": "inconclusive",
}
"""A verdict on "it is better" in the words of a comparison."""
SIGNS: dict[Verdict, str] = {"supported": ">", "contradicted": "<", "no difference": "=", "inconclusive": "?"}
"""How the arm stands to the one that it is compared with, in a cell of a table."""
MARKS: dict[Verdict, Mark] = {"supported": "best", "contradicted": "bad", "no difference": "", "inconclusive": ""}


@dataclass(frozen=True, slots=True)
class Line:
    """One reading of one arm, compared with each of the others."""

    asked: Asked
    reading: Reading
    rows: tuple[Row, ...]


def lines_of(asked: Sequence[Asked], dossier: Dossier, arm: str) -> list[Line]:
    """The readings of an arm that were decided, in the order of the questions."""
    lines = []
    for one in asked:
        for reading, rows in by_reading(one, dossier):
            of_arm = tuple(row for row in rows if row.claim.compare[0] == arm)
            if of_arm:
                lines.append(Line(one, reading, of_arm))
    return lines


def verdict_view(asked: Sequence[Asked], dossier: Dossier, arms: Sequence[str]) -> ReportView:
    """A table per arm: a row per reading, a column per arm that it is compared with."""
    tables = tuple(_verdict_table(lines_of(asked, dossier, arm), arm) for arm in arms)
    return ReportView(VERDICTS, tuple(table for table in tables if table.rows), tuple(_notes(asked, dossier)))


def question_view(asked: Asked, rows: Sequence[Row]) -> ReportView:
    """A row per reading of one question that was decided, with nothing around them."""
    dossier = Dossier(rows={asked.name: list(rows)})
    tables = (
        _verdict_table(lines_of([asked], dossier, arm), arm) for arm in dict.fromkeys(arm for arm, _ in asked.pairs)
    )
    return ReportView("", tuple(replace(table, title="", notes=()) for table in tables))


def _verdict_table(lines: Sequence[Line], arm: str) -> Table:
    others = list(dict.fromkeys(row.claim.compare[1] for line in lines for row in line.rows))
    columns = (Column("reading", key=True), Column(arm), *map(Column, others))
    rows = tuple(_cells(line, arm, others) for line in lines)
    return Table(f"{arm} against {listing(others)}: {LEGEND}", columns, rows, (SIGN_NOTE,))


LEGEND = ", ".join(f"{sign} {OUTCOMES[verdict]}" for verdict, sign in SIGNS.items())
"""The signs in words, beside each table of them."""
SIGN_NOTE = (
    "Behind the sign of a verdict stands the arm less the other one (x: over it). Better and worse: at least the"
    " smallest difference worth the name, with p adjusted for all claims of the comparison; no difference: shown to be"
    " smaller than that. The first column is the arm's mean or median. 95% intervals are in the table and the figure"
    " of each reading, under How it was decided, which --out writes."
)


def _cells(line: Line, arm: str, others: Sequence[str]) -> tuple[Cell, ...]:
    by_other = {row.claim.compare[1]: row for row in line.rows}
    return (
        Cell(line.asked.head(line.reading)),
        Cell(words=_value(line.rows[0], arm)),
        *(verdict_cell(by_other[other]) if other in by_other else Cell() for other in others),
    )


def _value(row: Row, arm: str) -> str:
    """The mean or median of an arm; of two cells, how far the first is from the second."""
    values = [row.centres[arm, cell] for cell in row.claim.cells]
    return centre(row, values[0]) if len(values) == 1 else signed(row, values[0] - values[1])


def verdict_cell(row: Row) -> Cell:
    """The sign of a verdict and the effect; the interval is told where it was decided."""
    verdict = row.decision.verdict
    return Cell(
        row.effect,
        low=row.low,
        high=row.high,
        n=row.decision.n,
        words=f"{SIGNS[verdict]} {effect(row)}",
        mark=MARKS[verdict],
    )


def summary(lines: Sequence[Line], arm: str) -> Iterator[str]:
    """A sentence per arm that it is compared with: where it is better, and where worse."""
    others = dict.fromkeys(row.claim.compare[1] for line in lines for row in line.rows)
    for other in others:
        places: dict[Verdict, list[str]] = {}
        for line in lines:
            for row in line.rows:
                if row.claim.compare[1] == other:
                    places.setdefault(row.decision.verdict, []).append(line.asked.head(line.reading))
        yield f"{arm} against {other}: {_counted(places)}."


def _counted(places: dict[Verdict, list[str]]) -> str:
    parts = [
        f"{word} in {len(places[verdict])}" + (f" ({'; '.join(places[verdict])})" if verdict in NAMED else "")
        for verdict, word in OUTCOMES.items()
        if verdict in places
    ]
    return f"{', '.join(parts)} of {plural(sum(map(len, places.values())), 'reading')}"


NAMED = ("supported", "contradicted")


def _notes(asked: Sequence[Asked], dossier: Dossier) -> Iterator[str]:
    heads = {one.name: one.heads for one in asked}
    for name, reason in dossier.unasked.items():
        yield f"not asked: {heads[name]}: {reason}."
    for name, sentences in dossier.remarks.items():
        for text in sentences:
            yield f"{heads[name]}: {text}"


def rank_view(asked: Sequence[Asked], dossier: Dossier) -> ReportView:
    """The place of each arm among all, per reading."""
    arms = list(dict.fromkeys(arm for one in asked for arm in one.study.arms))
    rows = []
    for one in asked:
        for reading in one.readings:
            if places := dossier.ranks.get((one.name, reading.name)):
                rows.append((Cell(one.head(reading)), *(_rank_cell(places.get(arm)) for arm in arms)))
    columns = (Column("reading", key=True), *map(Column, arms))
    tables = (Table("Place among all arms", columns, tuple(rows), (RANK_NOTE,)),) if rows else ()
    return ReportView("Ranks", tables)


RANK_NOTE = (
    "1 is the best, by the mean (of steps and limits the median) over the replicates in which all arms have a value; in"
    " brackets the 95% interval from these, resampled, where there are enough. Arms whose intervals overlap are not"
    " told apart by this."
)


def _rank_cell(rank: Rank | None) -> Cell:
    if rank is None:
        return Cell()
    low, high = rank_ends(rank)
    words = f"{rank.place:g}" if low is None else f"{rank.place:g} [{low:g}-{high:g}]"
    mark: Mark = "best" if high is not None and high <= 1 else ""
    return Cell(rank.place, low=low, high=high, n=rank.n, words=words, mark=mark)


def rank_ends(rank: Rank) -> tuple[float, float] | tuple[None, None]:
    """The interval of a place, where there is one."""
    return (None, None) if math.isnan(rank.low) else (rank.low, rank.high)


def decision_view(asked: Sequence[Asked], dossier: Dossier) -> ReportView:
    """How each verdict came about: its numbers, a sentence for each, and a figure per reading."""
    titles = ["verdict", "effect", "95% interval", "p", "adjusted", "n"]
    columns = (Column("arm", key=True), Column("against", key=True), *map(Column, titles))
    decided = list(_readings(asked, dossier))
    tables = [
        Table(head, columns, tuple(map(_decision_cells, rows)), tuple(map(sentence, rows))) for head, rows in decided
    ]
    return ReportView("How it was decided", tuple(tables), figures=Drawn(lambda: _drawn(decided)))


def _drawn(decided: Sequence[tuple[str, Sequence[Row]]]) -> dict[str, Figure | str]:
    from bnbench.comparison.forests import forests

    return forests(decided, OUTCOMES)


def _readings(asked: Sequence[Asked], dossier: Dossier) -> Iterator[tuple[str, Sequence[Row]]]:
    """Each reading that was decided: its question with what it is called, and its rows."""
    for one in asked:
        for reading, rows in by_reading(one, dossier):
            yield f"{one.head(reading)}: {reading.asks}", rows


def _decision_cells(row: Row) -> tuple[Cell, ...]:
    decision = row.decision
    return (
        *map(Cell, row.claim.compare),
        Cell(OUTCOMES[decision.verdict], mark=MARKS[decision.verdict]),
        Cell(row.effect, low=row.low, high=row.high, n=decision.n, words=effect(row)),
        Cell(low=row.low, high=row.high, words=interval(row)),
        Cell(decision.raw_p, words=f"{decision.raw_p:.2g}"),
        Cell(decision.p, words=f"{decision.p:.2g}"),
        Cell(decision.n),
    )


def untested_view(asked: Sequence[Asked]) -> ReportView:
    """Each thing that a question leaves open on purpose; of a question on several tasks once."""
    questions = {one.question.name: one.question for one in asked}
    readings = {one.question.name: "; ".join(reading.short for reading in one.readings) for one in asked}
    columns = (Column("readings", key=True), Column("not tested", prose=True))
    rows = tuple((Cell(readings[name]), Cell(text)) for name, one in questions.items() for text in one.not_tested)
    return ReportView("Not tested", (Table("Left open on purpose", columns, rows),) if rows else ())


def outcome_counts(rows: Sequence[Row]) -> Counter[str]:
    """How many verdicts there are of each kind."""
    return Counter(OUTCOMES[row.decision.verdict] for row in rows)
