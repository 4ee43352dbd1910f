"""The settings of a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from bnbench.errors import InvalidRequest, nearest
from bnbench.search.methods import METHODS
from bnbench.search.tree_parzen import BATCH
from bnbench.text import listing

MOST_TRIALS = 100_000


@dataclass(frozen=True)
class SearchSettings:
    """The way in which points of a search space are chosen.

    Attributes:
        method: in :data:`METHODS`.
        trials: of each search.
        seed: of the points: the same seed, the same trials.
        per: a factor with a search of its own for each of its values; None has one search for all.
        halving: one of so many trials goes on to the next rung of successive halving; None trains all to the end.
    """

    method: str
    trials: int
    seed: int = 0
    per: str | None = None
    halving: int | None = None

    def parts(self, count: int) -> list[int]:
        """The numbers of trials that begin together, of so many in all: each part halves by itself."""
        if self.method != "tpe":
            return [count]
        return [min(BATCH, count - start) for start in range(0, count, BATCH)]

    def problems(self) -> Iterator[str]:
        """All that is wrong with them, whatever the space is."""
        if self.method not in METHODS:
            yield f"--search {self.method}: unknown; {nearest(self.method, list(METHODS))}"
        if not 1 <= self.trials <= MOST_TRIALS:
            yield f"--trials {self.trials}: must be from 1 to {MOST_TRIALS:,}"
        if not 0 <= self.seed < 2**63:
            yield f"--search-seed {self.seed}: must be a whole number, at least 0"
        yield from self._problems_of_halving()
        if self.method == "tpe" and find_spec("optuna") is None:
            yield "--search tpe: needs optuna, which is not installed; install it with: pip install 'bnbench[search]'"

    def facts(self) -> list[str]:
        """The settings as sweep.yaml has them, but for a number of trials that may grow."""
        per = [f"per={self.per}"] if self.per else []
        halving = [f"halving={self.halving}", f"trials={self.trials}"] if self.halving is not None else []
        return [f"method={self.method}", f"seed={self.seed}", *per, *halving]

    def _problems_of_halving(self) -> Iterator[str]:
        if self.halving is None:
            return
        if self.halving < 2:
            yield f"--halving {self.halving}: must be at least 2: one of so many trials goes on to the next rung"
        elif self.method == "tpe" and self.halving > BATCH:
            yield f"--halving {self.halving}: must be at most {BATCH}, the trials that --search tpe chooses at a time"
        elif self.method != "grid" and 1 <= self.trials < self.halving:
            yield f"--trials {self.trials}: must be at least {self.halving}, of which --halving lets one go on"


def read_settings(
    method: str | None,
    trials: int | None = None,
    seed: int | None = None,
    per: str | None = None,
    halving: int | None = None,
) -> SearchSettings | None:
    """The settings of a search as options give them; None where none is asked for.

    Raises:
        InvalidRequest: an option of a search is there without --search, or without the number of trials.
    """
    options = {"--trials": trials, "--search-seed": seed, "--per": per, "--halving": halving}
    if method is None:
        if beside := [name for name, value in options.items() if value is not None]:
            raise InvalidRequest([f"{listing(beside)}: only beside --search random, tpe or grid"])
        return None
    if trials is None:
        raise InvalidRequest([f"--search {method}: say how many trials, as in --trials 20"])
    settings = SearchSettings(method, trials, seed or 0, per, halving)
    if problems := [*settings.problems()]:
        raise InvalidRequest(problems)
    return settings
