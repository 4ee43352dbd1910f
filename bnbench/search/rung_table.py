"""rungs.csv in a sweep's folder: what each trial came to at each rung of successive halving, and whether it went on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.store.files import RowAppender, read_rows

RUNGS_TABLE = "rungs.csv"
COLUMNS = ("arm", "trial", "epochs", "value", "goes_on", "runs")


@dataclass(frozen=True)
class Verdict:
    """The decision on a trial at the end of a rung.

    Attributes:
        arm: the value of the factor that has a search for each of its values; empty for one search.
        trial: its number.
        epochs: of the rung.
        value: see :class:`Standing`.
        goes_on: True if it trains in the next rung.
        runs: a digest of its runs: a plugin may have changed since.
    """

    arm: str
    trial: int
    epochs: int
    value: float | None
    goes_on: bool
    runs: str


def digest_of(identities: Sequence[str]) -> str:
    """A digest of the runs of a trial."""
    return hashlib.sha256(" ".join(identities).encode()).hexdigest()[:12]


def read_verdicts(folder: Path) -> dict[tuple[str, int, int, str], Verdict]:
    """All decisions by arm, trial, epochs and runs; none without a table.

    Raises:
        Damaged: it is not as it was written.
    """
    path = folder / RUNGS_TABLE
    found: dict[tuple[str, int, int, str], Verdict] = {}
    try:
        for row in read_rows(path, COLUMNS):
            value = float(row["value"]) if row["value"] else None
            goes_on = {"true": True, "false": False}[row["goes_on"]]
            one = Verdict(row["arm"], int(row["trial"]), int(row["epochs"]), value, goes_on, row["runs"])
            found.setdefault((one.arm, one.trial, one.epochs, one.runs), one)
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError) as error:
        raise Damaged(path, f"a row is no decision ({error})") from error
    return found


def write_verdicts(folder: Path, verdicts: Iterable[Verdict]) -> None:
    """Add decisions, all of them or none; when this returns, nothing can lose them. The caller holds the sweep."""
    with closing(RowAppender(folder / RUNGS_TABLE, COLUMNS)) as table:
        table.append(({name: getattr(one, name) for name in COLUMNS} for one in verdicts), sync=True)
