"""A batch of trials in parts: the brackets in which they halve, and what of a plan is trained in a rung."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bnbench import session, store
from bnbench.search.bracket import Bracket
from bnbench.search.decisions import Runs
from bnbench.search.effort import Effort
from bnbench.search.halving import Rung, rungs
from bnbench.search.rung_table import digest_of, read_verdicts
from bnbench.search.settings import SearchSettings


def brackets_of(folder: Path, settings: SearchSettings, runs: Runs, epochs: int) -> Iterator[Bracket]:
    """The brackets of trials, with what was decided on them earlier; without halving a single one.

    Args:
        folder: of the sweep; may be missing.
        runs: of the trials; each arm has the same numbers of them.
        epochs: of each run.

    Raises:
        Damaged: the table of decisions is not as it was written.
    """
    arms, numbers = [*dict.fromkeys(arm for arm, _ in runs)], sorted({number for _, number in runs})
    if settings.halving is None:
        yield Bracket(dict.fromkeys(arms, numbers), [Rung(len(numbers), epochs)])
        return
    known, digests = read_verdicts(folder), {trial: digest_of(its) for trial, its in runs.items()}
    for count in settings.parts(len(numbers)):
        there, numbers = numbers[:count], numbers[count:]
        bracket = Bracket(dict.fromkeys(arms, there), rungs(count, epochs, settings.halving))
        bracket.replay(known, digests)
        yield bracket


def part_of_rung(plan: session.Plan, bracket: Bracket, runs: Runs) -> session.Plan:
    """The part of a plan that is trained in the rung in which a bracket is."""
    rows = store.checked_rows(plan.folder)
    its: set[str] = set()
    for arm, numbers in bracket.undecided.items():
        its = its.union(*(runs[arm, number] for number in numbers))
    its -= {identity for identity, row in rows.items() if store.is_over(row, bracket.until)}
    its -= plan.impossible.keys()
    pending = {identity: spec for identity, spec in plan.specs.items() if identity in its}
    known = {identity: row["status"] for identity, row in rows.items()}
    return replace(plan, known=known, pending=pending, until=bracket.until)


def effort_of(settings: SearchSettings, runs: Runs, unchosen: int, epochs: int) -> Effort | None:
    """The epochs of all trials, those included that are not chosen yet; None without halving."""
    if settings.halving is None:
        return None
    most = dict[str, int]()  # an impossible trial may have none
    for (arm, _), its in runs.items():
        most[arm] = max(most.get(arm, 0), len(its))
    parts = settings.parts((len(runs) + unchosen) // len(most))
    return Effort([rungs(part, epochs, settings.halving) for part in parts], sum(most.values()))
