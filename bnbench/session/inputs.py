"""The parts of a request that come from outside: paths, a grid as it is typed, and when workers may begin to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnbench.paths import expanded


@dataclass(frozen=True)
class Paths:
    """The paths of a command.

    Attributes:
        results: the folder of all sweeps.
        data: the folder of the datasets.
        plugin: a file with a user's components.
    """

    results: Path
    data: Path
    plugin: Path | None = None

    def absolute(self) -> Paths:
        """The same paths, whatever folder a plugin makes the current one.

        Raises:
            InvalidRequest: one begins with ``~`` for a home there is not.
        """
        results, data = expanded(self.results, "--results").absolute(), expanded(self.data, "--data").absolute()
        return Paths(results, data, self.plugin and expanded(self.plugin, "--plugin").absolute())


@dataclass(frozen=True)
class Grid:
    """A grid as it is typed.

    Attributes:
        overrides: settings in Hydra's grammar.
        zips: factors that advance together.
        excludes: cells that are left out.
    """

    overrides: Sequence[str]
    zips: Sequence[str] = ()
    excludes: Sequence[str] = ()


@dataclass(frozen=True)
class Prestart:
    """Lets the imports of workers begin while planning goes on.

    Attributes:
        begin: begins them.
        to_train: call it as soon as it is clear that there is something to train; else, for an estimate, only where
            networks must be tried: where these are remembered, their steps mostly are as well.
    """

    begin: Callable[[], None]
    to_train: bool = True
