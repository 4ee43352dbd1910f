"""Runs that were trained in another sweep, written into one as a worker writes its own: by a segment."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bnbench.store.excerpts import part_of
from bnbench.store.files import line, replacing, replacing_bytes
from bnbench.store.folder import run_lines
from bnbench.store.ownership import owned_name
from bnbench.store.segment import FOLDER, ROWS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.sharing import make_part
from bnbench.store.state import Row, State, series_lines


def write_copies(
    folder: Path, kind: str, token: str, rows: Sequence[Row], lines: Mapping[Series, Iterable[bytes]]
) -> None:
    """Write a segment at once: what the runs measured first, then the rows that vouch for it. Nobody else may write.

    Args:
        kind: begins the segment's name.
        token: of the lease under which it is written.
        rows: of runs that have begun; without any nothing is written.
        lines: the lines of these runs by series.
    """
    if not rows:
        return
    name = owned_name(f"{kind}-{uuid.uuid4().hex[:8]}", token)
    place = make_part(folder, FOLDER)
    for series in (METRIC_SERIES, PROBE_SERIES):
        with replacing(place / f"{name}.{series.file}") as stream:
            stream.write(line(series.columns))
            stream.writelines(whole_line.decode() for whole_line in lines[series])
    with replacing(place / f"{name}{ROWS}") as stream:
        stream.writelines(run_lines(rows))


def lines_of(state: State, identities: Iterable[str], series: Series) -> Iterator[bytes]:
    """The lines of some runs of a state. Raises as :func:`series_lines`."""
    return series_lines(part_of(state, set(identities)), series)


def copy_files(folder: Path, paths: Iterable[Path]) -> None:
    """Copy files of runs of other sweeps, such as ``logs/<run_id>.log``, where the sweep has none."""
    for path in paths:
        part, name = path.parent.name, path.name
        if path.is_file() and not (folder / part / name).exists():
            with replacing_bytes(make_part(folder, part) / name) as stream:
                stream.write(path.read_bytes())
