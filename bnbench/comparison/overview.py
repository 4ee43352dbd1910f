"""Many arms against one: the place and the verdict of each, and for each reading who is better, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnbench.comparison.course import Dossier, by_reading
from bnbench.comparison.design import Asked
from bnbench.comparison.ranks import Rank
from bnbench.comparison.views import MARKS, OUTCOMES, SIGNS, rank_ends
from bnbench.reports import Cell, Column, ReportView, Table
from bnbench.stats import Verdict
from bnbench.study import Row
from bnbench.study.questions import Reading
from bnbench.text import listing

OVERVIEW = "Overview"
FEWEST_ARMS = 3
"""Arms of which a view of all says more than a table of each."""
NOTE = (
    "The place of each arm among all, 1 for the best, and the verdict on it against {rival}: > better, < worse,"
    " = no difference worth the name, ? inconclusive. n/a: it cannot be asked this, or failed at it."
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading that was decided: the verdict and the place of each arm."""

    asked: Asked
    reading: Reading
    verdicts: dict[str, Verdict]
    places: dict[str, Rank]


def overview(asked: Sequence[Asked], dossier: Dossier) -> ReportView:
    """A table of arms and readings, and a sentence for each reading; empty of few arms, or against several others."""
    pairs = list(dict.fromkeys(pair for one in asked for pair in one.pairs))
    arms, rivals = [arm for arm, _ in pairs], {rival for _, rival in pairs}
    readings = list(_decided(asked, dossier))
    if len(rivals) != 1 or len(arms) < FEWEST_ARMS or not readings:
        return ReportView(OVERVIEW)
    (rival,) = rivals
    columns = (Column("arm", key=True), *(Column(one.asked.head(one.reading)) for one in readings))
    rows = tuple((Cell(arm), *(_cell(one, arm) for one in readings)) for arm in (rival, *arms))
    sentences = (_sentence(one, rival) for one in readings)
    table = Table(f"All arms, against {rival}", columns, rows, (NOTE.format(rival=rival),), (1,))
    return ReportView(OVERVIEW, (table,), tuple(sentences))


def _decided(asked: Sequence[Asked], dossier: Dossier) -> Iterator[_Reading]:
    for one in asked:
        for reading, rows in by_reading(one, dossier):
            places = dict(dossier.ranks.get((one.name, reading.name), {}))
            yield _Reading(one, reading, _verdicts(rows), places)


def _verdicts(rows: Sequence[Row]) -> dict[str, Verdict]:
    return {row.claim.compare[0]: row.decision.verdict for row in rows}


def _cell(one: _Reading, arm: str) -> Cell:
    rank, verdict = one.places.get(arm), one.verdicts.get(arm)
    if rank is None:
        return Cell(words="n/a" if one.places or verdict is None else f"n/a {SIGNS[verdict]}")
    words = f"{rank.place:g}" if verdict is None else f"{rank.place:g} {SIGNS[verdict]}"
    low, high = rank_ends(rank)
    return Cell(rank.place, low=low, high=high, n=rank.n, words=words, mark=MARKS[verdict] if verdict else "baseline")


def _sentence(one: _Reading, rival: str) -> str:
    """``accuracy: better than batch: group and rms; worse: none; no difference: ws; without a value: instance.``"""
    arms = sorted(one.verdicts, key=lambda arm: one.places[arm].place if arm in one.places else math.inf)
    placed = [arm for arm in arms if arm in one.places] or arms
    parts = []
    for verdict, word in OUTCOMES.items():
        alike = [arm for arm in placed if one.verdicts[arm] == verdict]
        than = f" than {rival}" if verdict == "supported" else ""
        told = _listed(alike) or "no arm"
        parts += [f"{word}{than}: {told}"] if alike or verdict in ("supported", "contradicted") else []
    if without := [arm for arm in arms if arm not in placed]:
        parts.append(f"without a value: {_listed(without)}")
    return f"{one.asked.head(one.reading)}: {'; '.join(parts)}."


def _listed(arms: Sequence[str]) -> str:
    """Arms in a sentence; quotes hold one of several words together."""
    return listing([f"'{arm}'" if " " in arm else arm for arm in arms])
