"""A bracket: trials that are compared with each other, arm by arm, and the rungs that they train in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bnbench.search.halving import Rung
from bnbench.search.rung_table import Verdict


@dataclass
class Bracket:
    """Trials of all arms that begin together. Each arm halves by itself; all of them are in the same rung.

    Attributes:
        numbers: of its trials, by arm.
        rungs: in order; a single one has no halving.
        verdicts: by arm and number, the last decision on each trial.
    """

    numbers: Mapping[str, Sequence[int]]
    rungs: Sequence[Rung]
    verdicts: dict[tuple[str, int], Verdict] = field(default_factory=dict)
    _entrants: dict[str, list[list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._entrants = {arm: [[*its]] for arm, its in self.numbers.items()}

    @property
    def place(self) -> int:
        """The index of the rung in which it is: the first that is not decided for all arms."""
        return min(len(its) for its in self._entrants.values()) - 1

    @property
    def is_last(self) -> bool:
        """True in the last rung."""
        return self.place == len(self.rungs) - 1

    @property
    def until(self) -> int | None:
        """The epochs after which its rung ends; None for the last one."""
        return None if self.is_last else self.rungs[self.place].epochs

    @property
    def undecided(self) -> dict[str, list[int]]:
        """By arm, the trials that train in this rung, of the arms for which it is not decided who goes on."""
        return {arm: its[-1] for arm, its in self._entrants.items() if len(its) == self.place + 1}

    @property
    def is_over(self) -> bool:
        """True if no trial has gone on to this rung."""
        return not any(its[-1] for its in self._entrants.values())

    def latest(self, arm: str) -> list[Verdict]:
        """The last decisions on the trials of an arm."""
        return [one for (its, _), one in self.verdicts.items() if its == arm]

    def settle(self, arm: str, verdicts: Iterable[Verdict]) -> None:
        """Take over the decisions on all trials of an arm at the end of its rung."""
        its = [*verdicts]
        self.verdicts |= {(arm, one.trial): one for one in its}
        self._entrants[arm].append([one.trial for one in its if one.goes_on])

    def replay(
        self, known: Mapping[tuple[str, int, int, str], Verdict], digests: Mapping[tuple[str, int], str]
    ) -> None:
        """Take over all decisions that were made earlier on the same runs.

        Args:
            known: as :func:`bnbench.search.rung_table.read_verdicts` gives them.
            digests: of the runs of each trial, by arm and number.
        """
        for arm, its in self._entrants.items():
            while len(its) < len(self.rungs):
                epochs = self.rungs[len(its) - 1].epochs
                there = [known.get((arm, number, epochs, digests[arm, number])) for number in its[-1]]
                verdicts = [one for one in there if one is not None]
                if len(verdicts) < len(there):
                    break
                self.settle(arm, verdicts)
