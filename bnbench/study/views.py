"""The scorecard as a report, and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnbench.reports import Cell, Column, ReportView, Table
from bnbench.reports.view import Mark
from bnbench.study.definition import ScaleName
from bnbench.study.design import Group
from bnbench.study.row import Row
from bnbench.study.wording import chosen, effect, interval, reason, sentence
from bnbench.text import plural

MARKS: dict[str, Mark] = {"supported": "best", "contradicted": "bad", "no difference": "", "inconclusive": "baseline"}
RULE_NOTE = (
    "supported or contradicted: p <= 5% and the 95% interval is beyond no effect, and the effect is at least the"
    " smallest that the claim calls one; no difference: the effect is shown to be smaller than that."
)
HOLM_NOTE = "p-values are adjusted for the {claims} of this scorecard (Holm 1979); intervals are for each claim alone."
SIGN_NOTE = (
    "effect: the first arm of a claim less the second one, or (x) the first over the second; the interval likewise."
)


def view(rows: Sequence[Row], scale: ScaleName, changes: Sequence[str] = ()) -> ReportView:
    """A row per claim, then each verdict in plain words; ``changes`` are those of all its studies."""
    titles = ["verdict", "effect", "95% interval", "n"]
    columns = (Column("study", key=True), Column("claim", key=True), *(Column(title) for title in titles))
    notes = [RULE_NOTE, HOLM_NOTE.format(claims=plural(len(rows), "claim")), SIGN_NOTE, *(_note(row) for row in rows)]
    title = ", ".join(["Scorecard", scale, *([f"with {' '.join(changes)}"] if changes else [])])
    return ReportView(title, (Table("Verdicts", columns, tuple(map(_cells, rows)), tuple(notes)),))


def _cells(row: Row) -> tuple[Cell, ...]:
    verdict = row.decision.verdict
    return (
        Cell(row.study),
        Cell(row.claim.name),
        Cell(verdict, mark=MARKS[verdict]),
        Cell(row.effect, low=row.low, high=row.high, n=row.decision.n, words=effect(row)),
        Cell(low=row.low, high=row.high, words=interval(row)),
        Cell(row.decision.n),
    )


def _note(row: Row) -> str:
    published = f" Published: {row.claim.published}." if row.claim.published else ""
    return f"{row.study}, {row.claim.name}: {row.claim.says} {sentence(row)}{published}"


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """The scorecard as a tidy table, a line per claim."""
    return pd.DataFrame(
        [
            {
                "study": row.study,
                "claim": row.claim.name,
                "says": row.claim.says,
                "verdict": row.decision.verdict,
                "effect": row.effect,
                "low": row.low,
                "high": row.high,
                "contrast": row.claim.contrast,
                "smallest_effect": row.claim.smallest_effect,
                "n": row.decision.n,
                "p": row.decision.p,
                "equivalence_p": row.decision.equivalence_p,
                "published": row.claim.published,
                "sentence": sentence(row),
                "reason": reason(row),
                "learning_rates": _by_group({group: chosen(rates) for group, rates in row.lr.items()}),
                "values": _by_group({group: f"{value:.6g}" for group, value in row.centres.items()}),
            }
            for row in rows
        ]
    )


def _by_group(texts: dict[Group, str]) -> str:
    return " ".join(f"{arm}@{cell}={text}" for (arm, cell), text in texts.items())
