"""The global options, handed to every command, and paths as they are typed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import InvalidRequest
from bnbench.paths import expanded


@dataclass(frozen=True)
class Settings:
    """The global options.

    Attributes:
        results: where sweeps are kept.
        data: where datasets are kept.
    """

    results: Path
    data: Path

    def sweep_folder(self, name: str) -> Path:
        """The folder of a sweep that is named, or given as a folder (``.``, ``./small``, ``elsewhere/small``).

        Raises:
            InvalidRequest: it is empty.
        """
        if not name:
            raise InvalidRequest(["sweep '': must be the name of a sweep, or its folder"])
        from bnbench.store import foreign, is_sweep

        given = Path(name)
        is_path = "/" in name or name in (".", "..")
        return given.resolve() if is_path and (is_sweep(given) or foreign(given)) else self.results / name


def path_of(option: str) -> Callable[[str | Path], Path]:
    """A parser of the path that an option names.

    Raises:
        InvalidRequest: it is empty, as from a variable that is not set, or begins with ``~`` for a home there is not.
    """

    def read(given: str | Path) -> Path:
        if not str(given):
            raise InvalidRequest([f"{option} must name a folder or file, not ''; '.' is the current folder"])
        return expanded(given, option)

    return read


def process_count(given: str | int) -> int:
    """Read the number of ``--jobs``.

    Raises:
        InvalidRequest: it is no whole number.
    """
    try:
        return int(given)
    except ValueError as error:
        raise InvalidRequest([f"--jobs {given}: must be a whole number, at least 1, as in --jobs 2"]) from error


UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(option: str, *, may_be_off: bool = False) -> Callable[[str | float], float]:
    """A parser of the time that an option takes: ``90s``, ``10m``, ``1.5h``; a number alone is minutes.

    Args:
        may_be_off: ``off`` is a time that never comes.

    Raises:
        InvalidRequest: it is no time above zero.
    """

    def read(given: str | float) -> float:
        if isinstance(given, float):
            return given
        if may_be_off and given == "off":
            return math.inf
        number, unit = (given[:-1], given[-1]) if given[-1:] in UNITS else (given, "m")
        try:
            seconds = float(number) * UNITS[unit]
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < math.inf:
            off = ", or off" if may_be_off else ""
            raise InvalidRequest([f"{option} {given}: must be a time above zero, such as 90s, 10m or 1h{off}"])
        return seconds

    return read


STANDARD_OUTPUT = Path("-")
"""The path of ``--out -``."""


def output_path(given: str | Path) -> Path:
    """Read the path of ``--out``, or :data:`STANDARD_OUTPUT`; a file called ``-`` is ``./-``.

    Raises:
        InvalidRequest: as :func:`path_of`.
    """
    path = path_of("--out")(given)
    return path.absolute() if path == STANDARD_OUTPUT and str(given) != "-" else path
