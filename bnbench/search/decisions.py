"""Decisions at the end of a rung: which trials go on, by what the folder of the sweep holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bnbench import store
from bnbench.search.bracket import Bracket
from bnbench.search.halving import best_of, standing_of
from bnbench.search.rung_table import Verdict, digest_of, write_verdicts

Runs = Mapping[tuple[str, int], Sequence[str]]
"""The run_ids of each trial, by arm and number."""


def decide(folder: Path, bracket: Bracket, runs: Runs, impossible: Mapping[str, str]) -> None:
    """Decide which trials go on, keep that in the folder, and remove the checkpoints from which nothing goes on.

    Args:
        impossible: by run_id, why a run cannot be trained; its trial does not go on.

    Raises:
        BnbenchError: another program holds the sweep.
    """
    with store.locked(folder):
        rows, accuracies = store.checked_rows(folder), _Accuracies(folder, bracket.rungs[bracket.place].epochs)
        room, decided = bracket.rungs[bracket.place + 1].trials, dict[str, list[Verdict]]()
        for arm, numbers in bracket.undecided.items():
            standings = {
                number: standing_of(
                    [rows[identity] for identity in runs[arm, number] if identity not in impossible],
                    accuracies.epochs,
                    accuracies.of,
                )
                for number in numbers
                if runs[arm, number] and impossible.keys().isdisjoint(runs[arm, number])
            }
            going = best_of(standings, room)
            decided[arm] = [
                Verdict(
                    arm,
                    number,
                    accuracies.epochs,
                    standings[number].value if number in standings else None,
                    number in going,
                    digest_of(runs[arm, number]),
                )
                for number in numbers
            ]
        _forget_checkpoints(folder, runs, [verdict for its in decided.values() for verdict in its])
        write_verdicts(folder, [verdict for its in decided.values() for verdict in its])
    for arm, verdicts in decided.items():
        bracket.settle(arm, verdicts)


def forget_ended(folder: Path, runs: Runs) -> None:
    """Remove the checkpoints of runs that have all ended: one that trained elsewhere leaves that of its last rung."""
    its = {identity for identities in runs.values() for identity in identities}
    found = [one for _, one in store.list_checkpoints(folder) if one is not None and not its.isdisjoint(one.runs)]
    if not found:
        return
    with store.locked(folder):
        over = {name for name, status in store.statuses(folder).items() if status in {*store.RESULTS, store.STOPPED}}
        for checkpoint in found:
            if over.issuperset(checkpoint.runs):
                store.remove_checkpoint(folder, checkpoint.name)


def _forget_checkpoints(folder: Path, runs: Runs, verdicts: Sequence[Verdict]) -> None:
    """Remove the checkpoints of runs that stay stopped, unless others go on from them."""
    going = {identity for one in verdicts if one.goes_on for identity in runs[one.arm, one.trial]}
    ended = {identity for one in verdicts for identity in runs[one.arm, one.trial]} - going
    for name, checkpoint in list(store.list_checkpoints(folder)):
        if checkpoint is not None and not ended.isdisjoint(checkpoint.runs) and going.isdisjoint(checkpoint.runs):
            store.remove_checkpoint(folder, name)


class _Accuracies:
    """The validation accuracies of runs after so many epochs, read when one is asked for."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.epochs = epochs
        self._folder = folder
        self._known: dict[str, float] | None = None

    def of(self, identity: str) -> float | None:
        """That of a run; None if it was not evaluated then."""
        if self._known is None:
            metrics = store.load_metrics(self._folder)
            then = metrics[metrics["epoch"] == self.epochs]
            self._known = dict(zip(map(str, then["run_id"]), map(float, then["val_accuracy"]), strict=True))
        return self._known.get(identity)
