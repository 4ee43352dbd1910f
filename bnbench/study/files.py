"""Scorecards as files: one pair for each set of studies that were decided together, never replaced by less."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import get_args

import pandas as pd

from bnbench.environment import environment
from bnbench.errors import Damaged, InvalidRequest
from bnbench.notices import notice
from bnbench.paths import irregular
from bnbench.reports import render
from bnbench.stats import Verdict
from bnbench.store.files import content, replacing
from bnbench.study.catalog import names_of_all
from bnbench.study.definition import ScaleName
from bnbench.study.overrides import READABLE, suffix
from bnbench.study.row import Row
from bnbench.study.views import as_table, report
from bnbench.text import plural

LONGEST = 100
"""Bytes of the names of studies that a file's name has room for."""
UNDECIDED = "inconclusive"


def scorecard_files(
    studies: Sequence[str], scale: ScaleName, results: Path, changes: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Paths of the scorecard of some studies: as CSV, and as Markdown.

    Each set of studies has files of its own, in whatever order it is named; those of ``--all`` name none.
    """
    which = "" if set(studies) == set(names_of_all()) else "-" + "+".join(sorted(set(studies)))
    if len(which.encode()) > LONGEST:
        which = f"{which[:READABLE]}-{hashlib.sha256(which.encode()).hexdigest()[:8]}"
    name = f"study-scorecard-{scale}{which}{suffix(changes)}"
    return results / f"{name}.csv", results / f"{name}.md"


def check_files(paths: Sequence[Path]) -> None:
    """Refuse what cannot be replaced by a scorecard, before anything is trained.

    Raises:
        InvalidRequest: naming all that is no file.
    """
    kinds = {path: irregular(path.stat().st_mode) for path in paths if path.exists()}
    problems = [f"{path}: must be a file, and is a {kind}; move it away" for path, kind in kinds.items() if kind]
    if problems:
        raise InvalidRequest(problems)


def write(
    rows: Sequence[Row], scale: ScaleName, results: Path, command: str, changes: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Write the scorecard as CSV and as Markdown, the latter with command, versions and machine; where they are.

    What is there and says more than this one, or cannot be read, is kept under another name, and a notice says so.
    """
    table, text = paths = scorecard_files([row.study for row in rows], scale, results, changes)
    verdicts = as_table(rows)
    if reason := _left_out(table, text, verdicts):
        _set_aside(paths, reason)
    with replacing(table) as stream:
        verdicts.to_csv(stream, index=False, lineterminator="\n")
    with replacing(text) as stream:
        stream.write(render(report(rows, scale, changes), "markdown"))
        stream.write(f"\n`{command}`: {', '.join(f'{key} {value}' for key, value in environment().items())}\n")
    return paths


def _left_out(table: Path, text: Path, new: pd.DataFrame) -> str:
    """The reason why the files that exist must not be replaced by a new table; empty if nothing would be lost."""
    try:
        whole = content(table)
        old = pd.read_csv(io.BytesIO(whole), dtype=str, keep_default_na=False)
    except FileNotFoundError:
        return "has no table beside it" if text.exists() else ""
    except (Damaged, ValueError) as error:
        return f"is damaged ({' '.join(str(error).split())})"
    if not whole.endswith(b"\n"):
        return "is damaged (its end is missing)"
    if list(old.columns) != list(new.columns):
        return "has other columns, as another version writes"
    seeds = pd.to_numeric(old["n"], errors="coerce")
    if not seeds.between(0, 1e9).all() or not set(old["verdict"]) <= set(get_args(Verdict)):
        return "is damaged (a verdict or a number of seeds is none)"
    now = {(row["study"], row["claim"]): row for row in new.to_dict("records")}
    for known, n in zip(old.to_dict("records"), seeds, strict=True):
        row = now.get((known["study"], known["claim"]))
        decided = f"decides {known['study']}, {known['claim']} ({known['verdict']}, {plural(int(n), 'seed')})"
        if known["verdict"] == UNDECIDED:
            continue
        if row is None:
            return f"{decided}, which is not asked now"
        if row["verdict"] == UNDECIDED or row["n"] < n:
            return f"{decided}, which is {row['verdict']} with {plural(int(row['n']), 'seed')} now"
    return ""


def _set_aside(paths: Sequence[Path], reason: str) -> None:
    """Move a pair of files to the first names that are free."""
    for number in count(1):
        moves = {path: path.with_name(f"{path.stem}-earlier-{number}{path.suffix}") for path in paths}
        if not any(os.path.lexists(target) for target in moves.values()):
            break
    there = [path for path in reversed(paths) if os.path.lexists(path)]
    for path in there:
        path.rename(moves[path])
    notice(f"{there[-1]} {reason}; it is kept as {moves[there[-1]]}")
