"""The trash of a folder of results: sweeps and runs that were removed, each a sweep of its own until it is emptied.

It is the folder ``.trash`` beside the sweeps. What it holds is called as the sweep that it comes from, with the time
behind, and ``-runs`` for some runs of a sweep.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bnbench.environment import timestamp
from bnbench.errors import InvalidRequest, nearest
from bnbench.store.checkpoints import forget_checkpoints
from bnbench.store.checks import checked_rows
from bnbench.store.excerpts import UNFINISHED, copy_runs, part_of, remove_unfinished
from bnbench.store.folder import join, write_runs, write_series
from bnbench.store.history import read_history, write_history
from bnbench.store.lease import LEASE
from bnbench.store.lock import locked, nobody_writing
from bnbench.store.merge_plan import Merging
from bnbench.store.merging import merge_sweeps
from bnbench.store.segment import files_of_run
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.sharing import make_folder
from bnbench.store.state import read_state, series_lines
from bnbench.store.tables import check_sweep

TRASH = ".trash"
REMEDY = (
    "nothing was put back; to have these results instead, move those of the sweep to the trash (bnbench rm SWEEP/RUN)"
)
_NAME = re.compile(r"(?P<sweep>.+)-\d{8}-\d{6}(-\d+)?(?P<runs>-runs)?")


def remove_sweep(folder: Path) -> Path:
    """Move a sweep to the trash, at once, and return where it is now; a damaged one as well.

    Raises:
        InvalidRequest: there is no sweep, or only a link to one.
        BnbenchError: a program adds to it, or has taken it over meanwhile.
    """
    check_sweep(folder)
    if folder.is_symlink():
        raise InvalidRequest(
            [f"{folder} is a link to {folder.readlink()}; remove the link with rm, or name its target"]
        )
    with locked(folder) as check_there, nobody_writing(folder):
        place = _new_place(folder)
        check_there()
        folder.rename(place)
        (place / LEASE).unlink(missing_ok=True)
    return place


def remove_runs(folder: Path, identities: Collection[str]) -> Path:
    """Move runs of a sweep to the trash, and return where they are now.

    They are all in the trash before the sweep lets go of them. A crash in between leaves a sweep that reads as with
    them, or as without them.

    Raises:
        InvalidRequest: the sweep has no such run.
        BnbenchError: a program adds to it, or has taken it over meanwhile.
        Damaged: it is not as it was written; nothing is changed then.
    """
    check_sweep(folder)
    with locked(folder) as check_there:
        join(folder, check_there)
        with nobody_writing(folder):
            rows = checked_rows(folder, alive=False)
            if unknown := [identity for identity in identities if identity not in rows]:
                raise InvalidRequest([f"{folder.name} has no run {', '.join(unknown)}"])
            state = read_state(folder, alive=False)
            place = _new_place(folder, "-runs")
            copy_runs(folder, state, identities, place, {"removed_from": folder.name})
            now = timestamp("seconds")
            entry = {"removed": [identity for identity in rows if identity in identities], "time": now}
            write_history(folder, [*read_history(folder), entry], check_there)
            kept = part_of(state, rows.keys() - set(identities))
            lines = {series: list(series_lines(kept, series)) for series in (METRIC_SERIES, PROBE_SERIES)}
            write_runs(folder, kept, check_there)
            for series, its in lines.items():
                write_series(folder / series.file, series, its, check_there)
            check_there()
            for path in _files(folder, identities):
                path.unlink(missing_ok=True)
            forget_checkpoints(folder, identities)
    return place


def restore(place: Path) -> Path:
    """Put back what is in the trash, and return the sweep.

    Raises:
        InvalidRequest: its name is taken, or the sweep has other results of the same runs by now.
        BnbenchError: a program adds to the sweep.
    """
    match = _NAME.fullmatch(place.name)
    assert match is not None
    folder = place.parent.parent / match["sweep"]
    if match["runs"] and os.path.lexists(folder):
        merge_sweeps([place], folder, {"restored": place.name}, Merging(with_history=False, remedy=REMEDY))
        shutil.rmtree(place)
        return folder
    if os.path.lexists(folder):
        remedy = f"give it another name first: bnbench rename {folder.name} NEW"
        raise InvalidRequest([f"{folder} is there already; {remedy}"])
    place.rename(folder)
    return folder


def trashed(results: Path) -> list[Path]:
    """All that is in the trash, by name; files and links there are somebody else's."""
    folder = results / TRASH
    if not folder.is_dir():
        return []
    named = (path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return sorted(path for path in named if path.is_dir() and not path.is_symlink())


def find_trashed(results: Path, name: str) -> Path:
    """What is called so in the trash, or is all that comes from a sweep of this name.

    Raises:
        InvalidRequest: there is none, or more than one.
    """
    places = trashed(results)
    if exact := [place for place in places if place.name == name]:
        return exact[0]
    of_sweep = [place for place in places if _NAME.sub(r"\g<sweep>", place.name) == name]
    if len(of_sweep) == 1:
        return of_sweep[0]
    if of_sweep:
        raise InvalidRequest([f"{name!r:.80}: could be {', '.join(place.name for place in of_sweep)}"])
    there = nearest(name, [place.name for place in places]) if places else "it is empty"
    raise InvalidRequest([f"{name!r:.80} is not in the trash {results / TRASH}; {there}"])


def empty_trash(results: Path, places: Iterable[Path]) -> None:
    """Delete some of the places in the trash for good, and what a program that died has left there.

    Each goes out of sight at once, so that nobody puts back a half of it; what somebody else has taken away is gone.
    """
    for place in places:
        with suppress(FileNotFoundError):
            place.rename(place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}"))
    remove_unfinished(results / TRASH)


def _new_place(folder: Path, ending: str = "") -> Path:
    """A free place in the trash of a sweep's folder of results."""
    trash = folder.parent / TRASH
    make_folder(trash)
    name = f"{folder.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(place for one in names if not os.path.lexists(place := trash / f"{one}{ending}"))


def _files(folder: Path, identities: Collection[str]) -> list[Path]:
    """The places of the files that belong to single runs."""
    return [path for identity in identities for path in files_of_run(folder, identity)]
