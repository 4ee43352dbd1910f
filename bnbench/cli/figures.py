"""The figures of a report as files in a folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from bnbench.console import echo
from bnbench.errors import InvalidRequest, nearest
from bnbench.figures import Figure, reasons
from bnbench.figures.files import KINDS
from bnbench.reports import Report
from bnbench.reports.tidy import safe_csv
from bnbench.store import belongs_to_sweep
from bnbench.store.files import naming
from bnbench.text import harmless, listing


def read_kinds(text: str) -> list[str]:
    """Read ``svg,pdf``.

    Raises:
        InvalidRequest: naming each kind that there is not.
    """
    kinds = list(dict.fromkeys(word.strip() for word in text.split(",")))
    problems = [
        f"--figure-format {word!r}: there is no such format; {nearest(word, list(KINDS))}"
        for word in kinds
        if word not in KINDS
    ]
    if problems:
        raise InvalidRequest(problems)
    return kinds


def check_folder(folder: Path | None) -> None:
    """Refuse what cannot be a folder of figures, before anything is read or drawn; None is no folder.

    Raises:
        InvalidRequest: it is a file, cannot be written to, or holds a part of a sweep's results.
    """
    if folder is None:
        return
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not existing.is_dir():
            raise InvalidRequest([f"--figures {folder}: {existing} is a file; choose another folder"])
        if not os.access(existing, os.W_OK | os.X_OK):
            raise InvalidRequest([f"--figures {folder}: {existing} is not writable; choose another folder"])
        if belongs_to_sweep(folder.absolute() / "figure"):
            raise InvalidRequest([f"--figures {folder}: is a part of a sweep's results; choose another folder"])
    except OSError as error:
        raise InvalidRequest([f"--figures {folder}: {error.strerror}; choose another folder"]) from error


def write_figures(folder: Path, kinds: Sequence[str], report: Report) -> None:
    """Write each panel of each figure in each format, and the numbers of each figure; say so, and why others are not.

    Raises:
        InvalidRequest: a file cannot be written.
    """
    for view in report.views:
        for figure in view.figures:
            for name, content in _files(figure, kinds):
                _write(folder, name, content)
            names = listing([f"{figure.name}-{panel.name}" for panel in figure.panels])
            echo(f"wrote {folder / figure.name}.csv, and as {listing(list(kinds))} {names}", error=True)
        for reason in reasons(view.figures):
            echo(reason, error=True)
    if not any(len(view.figures) for view in report.views):
        echo(f"wrote no figures to {folder}: {_notes(report)}", error=True)


def _notes(report: Report) -> str:
    notes = [note for view in report.views if not view.tables for note in view.notes]
    return harmless(" ".join(dict.fromkeys(notes))) or "there is nothing to draw"


def _files(figure: Figure, kinds: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    yield f"{figure.name}.csv", safe_csv(figure.data)[0].encode(errors="backslashreplace")
    for panel in figure.panels:
        for kind in kinds:
            yield f"{figure.name}-{panel.name}.{kind}", KINDS[kind](panel)


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a whole file, or replace one that is no part of a sweep's results."""
    path = folder / name
    target = Path(os.path.realpath(path))
    if belongs_to_sweep(target):
        raise InvalidRequest([f"--figures {folder}: {name} is a file of a sweep's results; choose another folder"])
    temporary = target.with_name(f".{name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with naming(path):
            temporary.write_bytes(content)
            temporary.replace(target)
    except OSError as error:
        raise InvalidRequest([f"--figures {folder}: {name} cannot be written: {error.strerror}"]) from error
    finally:
        temporary.unlink(missing_ok=True)
