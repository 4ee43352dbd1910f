"""The settings of a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from bnbench.errors import nearest
from bnbench.search.methods import METHODS

MOST_TRIALS = 100_000


@dataclass(frozen=True)
class SearchSettings:
    """The way in which points of a search space are chosen.

    Attributes:
        method: in :data:`METHODS`.
        trials: of each search.
        seed: of the points: the same seed, the same trials.
        per: a factor with a search of its own for each of its values; None has one search for all.
    """

    method: str
    trials: int
    seed: int = 0
    per: str | None = None

    def problems(self) -> Iterator[str]:
        """All that is wrong with them, whatever the space is."""
        if self.method not in METHODS:
            yield f"--search {self.method}: unknown; {nearest(self.method, list(METHODS))}"
        if not 1 <= self.trials <= MOST_TRIALS:
            yield f"--trials {self.trials}: must be from 1 to {MOST_TRIALS:,}"
        if not 0 <= self.seed < 2**63:
            yield f"--search-seed {self.seed}: must be a whole number, at least 0"
        if self.method == "tpe" and find_spec("optuna") is None:
            yield "--search tpe: needs optuna, which is not installed; install it with: pip install 'bnbench[search]'"

    def facts(self) -> list[str]:
        """The settings as sweep.yaml has them, but for the number of trials, which may grow."""
        return [f"method={self.method}", f"seed={self.seed}", *([f"per={self.per}"] if self.per else [])]
