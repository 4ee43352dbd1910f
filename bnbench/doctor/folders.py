"""Folders that are written to, and the datasets that are there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding, State
from bnbench.errors import DataMissing
from bnbench.notices import heard
from bnbench.user_cache import kept_folder

ROOM = 2**26
"""Bytes that a folder must have left."""
TRIED = 2**16
"""Bytes that are written to try a folder."""
SHOWN = 5


def folders(results: Path) -> Iterator[Finding]:
    """The results folder and the cache, with the room that is left there."""
    remedy = "choose another folder with --results DIR (or BNBENCH_RESULTS), or make room"
    yield _written("results", results, remedy)
    notices: list[str] = []
    with heard(notices.append):
        cache = kept_folder("native")
    advice = "set XDG_CACHE_HOME to a folder that is yours alone; until then compiled code is kept where it may be lost"
    if cache is None:
        yield Finding("folders", "cache", WRONG, "; ".join(notices) or "there is no home folder", advice)
        return
    finding = _written("cache", cache.parent, advice)
    said = "; ".join([finding.said, *notices])
    yield Finding("folders", "cache", WRONG if notices else finding.state, said, advice if notices else finding.remedy)


def _written(name: str, folder: Path, remedy: str) -> Finding:
    """A folder, or the one in which it would be made, tried by writing a file that goes again."""
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(TRIED))
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("folders", name, WRONG, f"{folder} cannot be written to: {error.strerror or error}", remedy)
    said = f"{folder}, {free / 2**30:,.1f} GiB free" + ("" if place == folder.absolute() else "; not made yet")
    return Finding("folders", name, OK, said) if free >= ROOM else Finding("folders", name, WRONG, said, remedy)


def data_sets(data: Path) -> Iterator[Finding]:
    """The folder of the data, which is written to for downloads only, and the datasets that are there.

    Nothing is downloaded.
    """
    from bnbench.data import DATASETS
    from bnbench.data.fingerprint import downloaded_files

    folder = _written("data", data, "choose another with --data DIR, or make room, before anything is downloaded")
    yield replace(folder, part="data", name="folder", state=OK if folder.state == OK else ABSENT)
    for name in DATASETS:
        if files := downloaded_files(name):
            missing = [file for file in files if not (data / file).is_file()]
            state: State = ABSENT if missing else OK
            many = f"{len(missing)} of {len(files)} files are missing" if len(missing) < len(files) else "not there"
            said = f"not in {data}: {many}" if missing else f"in {data}"
            yield Finding("data", name, state, said, "downloaded on first use" if missing else "")
    for name in ("npz", "csv"):
        files = sorted(path.name for path in data.glob(f"*.{name}")) if data.is_dir() else []
        listing = ", ".join(files[:SHOWN]) + (f", ... ({len(files)} in all)" if len(files) > SHOWN else "")
        yield Finding("data", name, OK if files else ABSENT, listing or f"no .{name} file in {data}")
    try:
        import sklearn  # noqa: F401 - it brings these datasets
    except ImportError as error:
        raise DataMissing(
            f"digits, wine and breast_cancer come with scikit-learn, which cannot be imported: {error}"
        ) from error
    yield Finding("data", "digits, wine, breast_cancer, text, synthetic", OK, "always there")
