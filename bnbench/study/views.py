"""The scorecard as a report, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bnbench.figures import Drawn, Figure
from bnbench.reports import Cell, Column, Report, ReportView, Table
from bnbench.reports.view import Mark
from bnbench.study.definition import ScaleName
from bnbench.study.design import Group
from bnbench.study.forecasts import TRIAL
from bnbench.study.row import Row
from bnbench.study.wording import VERDICTS, chosen, effect, interval, reason, sentence
from bnbench.text import listing, plural

MARKS: dict[str, Mark] = {"supported": "best", "contradicted": "bad", "no difference": "", "inconclusive": "baseline"}
RULE_NOTE = (
    "supported or contradicted: p <= 5% and the 95% interval is beyond no effect, and the effect is at least the"
    " smallest that the claim calls one; no difference: the effect is shown to be smaller than that."
)
FAMILY_NOTE = (
    "p: of the claim alone, and adjusted for the claims of its family, those that were declared together (Holm 1979);"
    " verdicts rest on the latter, intervals are for each claim alone."
)
SIGN_NOTE = (
    "effect: the first arm of a claim less the second one, or (x) the first over the second; the interval likewise."
)
TRIAL_NOTE = f"The scale {TRIAL} shows that a study runs; it has too few replicates to decide anything."


def report(rows: Sequence[Row], scale: ScaleName, changes: Sequence[str] = ()) -> Report:
    """The scorecard as a report of one view: see :func:`_view`; its summary says which claims ended in which way."""
    view = _view(rows, scale, changes)
    return Report(view.title, tuple(_summary(rows, scale)), (view,))


def _summary(rows: Sequence[Row], scale: ScaleName) -> Iterator[str]:
    """How many claims there are of each verdict, then which they are: few in their words, many by name."""
    if not rows:
        return
    if scale == TRIAL:
        yield TRIAL_NOTE
    decided = {verdict: [row for row in rows if row.decision.verdict == verdict] for verdict in VERDICTS}
    if len(rows) > 1:
        counts = [f"{len(some):,} {ENDED[verdict]}" for verdict, some in decided.items() if some]
        yield f"Of {plural(len(rows), 'claim')}, {listing(counts)}."
    for verdict, some in decided.items():
        if len(some) <= FEW:
            yield from (f"{verdict.capitalize()}: {_in_words(row)}" for row in some)
        else:
            yield f"{verdict.capitalize()}: {_by_name(some)}."


def _in_words(row: Row) -> str:
    return f"{row.claim.says} {effect(row)} ({row.study}, {row.claim.name})."


def _by_name(rows: Sequence[Row]) -> str:
    studies: dict[str, list[str]] = {}
    for row in rows:
        studies.setdefault(row.study, []).append(row.claim.name)
    return "; ".join(f"{name} ({listing(claims)})" for name, claims in studies.items())


FEW = 4
"""Claims with one verdict that a summary has in their words."""
ENDED = {
    "supported": "supported",
    "contradicted": "contradicted",
    "no difference": "without a difference worth the name",
    "inconclusive": "inconclusive",
}


def _view(rows: Sequence[Row], scale: ScaleName, changes: Sequence[str] = ()) -> ReportView:
    """A row per claim, then each verdict in plain words; ``changes`` are those of all its studies."""
    titles = ["verdict", "effect", "95% interval", "p", "adjusted", "n"]
    columns = (Column("study", key=True), Column("claim", key=True), *(Column(title) for title in titles))
    notes = [RULE_NOTE, FAMILY_NOTE, SIGN_NOTE, *(_note(row) for row in rows)]
    title = ", ".join(["Scorecard", scale, *([f"with {' '.join(changes)}"] if changes else [])])
    table = Table("Verdicts", columns, tuple(map(_cells, rows)), tuple(notes))
    return ReportView(title, (table,), figures=Drawn(lambda: _figures(rows)))


def _figures(rows: Sequence[Row]) -> dict[str, Figure | str]:
    """The forest plot."""
    from bnbench.figures.scorecard import scorecard

    return {"scorecard": scorecard(with_units(rows)) if rows else "there is no claim"}


def with_units(rows: Sequence[Row]) -> pd.DataFrame:
    """The scorecard with a column ``unit``: of shares ``points``, of others the words of what was measured."""
    phrases = [row.claim.measure.phrase.strip(", ") for row in rows]
    units = ["points" if row.claim.measure.percent else text for row, text in zip(rows, phrases, strict=True)]
    return as_table(rows).assign(unit=units)


def _cells(row: Row) -> tuple[Cell, ...]:
    verdict = row.decision.verdict
    return (
        Cell(row.study),
        Cell(row.claim.name),
        Cell(verdict, mark=MARKS[verdict]),
        Cell(row.effect, low=row.low, high=row.high, n=row.decision.n, words=effect(row)),
        Cell(low=row.low, high=row.high, words=interval(row)),
        Cell(row.decision.raw_p, words=f"{row.decision.raw_p:.2g}"),
        Cell(row.decision.p, words=f"{row.decision.p:.2g}"),
        Cell(row.decision.n),
    )


def _note(row: Row) -> str:
    published = f" Published: {row.claim.published}." if row.claim.published else ""
    load = f" {row.load}" if row.load else ""
    return f"{row.study}, {row.claim.name}: {row.claim.says} {sentence(row)}{published}{load}"


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
                "raw_p": row.decision.raw_p,
                "p": row.decision.p,
                "raw_equivalence_p": row.decision.raw_equivalence_p,
                "equivalence_p": row.decision.equivalence_p,
                "estimand": row.decision.estimand,
                "missed": _by_group({group: str(count) for group, count in row.missed.items() if count}),
                "trained": _trained(row),
                "published": row.claim.published,
                "sentence": sentence(row),
                "reason": reason(row),
                "learning_rates": _by_group({group: chosen(rates) for group, rates in row.lr.items()}),
                "values": _by_group({group: f"{value:.6g}" for group, value in row.centres.items()}),
            }
            for row in rows
        ]
    )


def _trained(row: Row) -> str:
    """How many runs of each arm trained, where some diverged."""
    if (divergence := row.decision.divergence) is None:
        return ""
    arm, baseline = row.claim.compare
    return f"{arm}={divergence.arm_trained} {baseline}={divergence.baseline_trained}"


def _by_group(texts: dict[Group, str]) -> str:
    return " ".join(f"{arm}@{cell}={text}" for (arm, cell), text in texts.items())
