"""Many arms against one: the place and the verdict of each, and for each reading who is better, in sentences."""

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
from bnbench.text import listing, plural

OVERVIEW = "Overview"
FEWEST_ARMS = 3
"""Arms of which a view of all says more than a table of each."""
NAMED = 5
"""Arms that a sentence of the summary names, at most."""
NOTE = (
    "The place of each arm among all, 1 for the best, and the verdict on it against {rival}: > better, < worse,"
    " = no difference worth the name, ? inconclusive. n/a: it cannot be asked this, or failed at it."
    " Under Ranks are the 95% intervals of places, where there are enough replicates; those of differences are in the"
    " table and the figure of each reading, under How it was decided. --out writes both."
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading that was decided: the verdict and the place of each arm."""

    asked: Asked
    reading: Reading
    verdicts: dict[str, Verdict]
    places: dict[str, Rank]


def overview(asked: Sequence[Asked], dossier: Dossier) -> ReportView:
    """A table of arms and readings; empty of few arms, or against several others.

    For each reading there is a sentence that says who is better, and a note that tells of all.
    """
    pairs = list(dict.fromkeys(pair for one in asked for pair in one.pairs))
    arms, rivals = [arm for arm, _ in pairs], {rival for _, rival in pairs}
    readings = list(_decided(asked, dossier))
    if len(rivals) != 1 or len(arms) < FEWEST_ARMS or not readings:
        return ReportView(OVERVIEW)
    (rival,) = rivals
    columns = (Column("arm", key=True), *(Column(one.asked.head(one.reading)) for one in readings))
    rows = tuple((Cell(arm), *(_cell(one, arm) for one in readings)) for arm in (rival, *arms))
    table = Table(f"All arms, against {rival}", columns, rows, (NOTE.format(rival=rival),), (1,))
    notes, sentences = ([tell(one, rival) for one in readings] for tell in (_note, _sentence))
    return ReportView(OVERVIEW, (table,), tuple(notes), sentences=tuple(sentences))


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
    """``accuracy: better than batch are group and rms; 1 arm is worse.``"""
    arms = _by_place(one)
    better, worse = ([arm for arm in arms if one.verdicts[arm] == verdict] for verdict in ("supported", "contradicted"))
    if len(better) > NAMED:
        told = f"better than {rival} are {', '.join(map(_quoted, better[:NAMED]))} and {len(better) - NAMED} more"
    elif better:
        told = f"better than {rival} {'is' if len(better) == 1 else 'are'} {_listed(better)}"
    else:
        told = f"no arm is better than {rival}"
    rest = f"{plural(len(worse), 'arm')} {'is' if len(worse) == 1 else 'are'} worse" if worse else "none is worse"
    return f"{one.asked.head(one.reading)}: {told}; {rest}."


def _note(one: _Reading, rival: str) -> str:
    """``accuracy: better than batch: group and rms; worse: none; no difference: ws; without a value: instance.``"""
    arms = _by_place(one)
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


def _by_place(one: _Reading) -> list[str]:
    """The arms, the best first; those without a place last."""
    return sorted(one.verdicts, key=lambda arm: one.places[arm].place if arm in one.places else math.inf)


def _listed(arms: Sequence[str]) -> str:
    """Arms in a sentence."""
    return listing([*map(_quoted, arms)])


def _quoted(arm: str) -> str:
    """Quotes hold an arm of several words together."""
    return f"'{arm}'" if " " in arm else arm
