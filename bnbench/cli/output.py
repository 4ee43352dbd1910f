"""The output of a command, to a file or to standard output."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bnbench.cli.settings import STANDARD_OUTPUT
from bnbench.console import echo, plain_console
from bnbench.errors import InvalidRequest
from bnbench.reports import Report, print_report, render
from bnbench.store import belongs_to_sweep
from bnbench.store.files import replacing


def show_report(report: Report) -> None:
    """Print a report: in colour and as wide as the terminal, or as plain text."""
    console = plain_console()
    if console.is_terminal:
        print_report(report, console)
    else:
        echo(render(report).removesuffix("\n"))


def put(report: Report, format: str, path: Path | None) -> None:
    """Write a report in a format to a file, or print it.

    Raises:
        InvalidRequest: as :func:`write_text`.
    """
    if path is not None:
        write_text(path, render(report, format))
    elif format == "terminal":
        show_report(report)
    else:
        echo(render(report, format).removesuffix("\n"))


FORMAT_OF = {
    ".md": "markdown", ".txt": "terminal", ".csv": "csv", ".tex": "latex", ".html": "html", "": "terminal",
}  # fmt: skip
"""By the ending of a file's name, the format in which it is written."""


def format_of(path: Path | None) -> str:
    """The format that the name of a file asks for; for the terminal without one.

    Raises:
        InvalidRequest: no format has this ending.
    """
    ending = path.suffix.lower() if path is not None else ""
    if ending not in FORMAT_OF and path is not None and not belongs_to_sweep(path.absolute()):
        known = ", ".join(f"{known} ({format})" for known, format in FORMAT_OF.items() if known)
        other = "; with another ending say which with --format"
        raise InvalidRequest([f"--out {path}: there is no format for {ending!r}. Endings: {known}{other}"])
    return FORMAT_OF.get(ending, "terminal")


def checked_output(path: Path | None) -> Path | None:
    """The file that ``--out`` names, None for standard output: what cannot be written is refused before work begins.

    Raises:
        InvalidRequest: no format has its ending, there is no such folder, it is a folder, it cannot be written to, or
            it belongs to a sweep's results.
    """
    if path is None or path == STANDARD_OUTPUT:
        return None
    format_of(path)
    try:
        target = _place(path)
        is_open = os.access(target if _is_there(target) else target.parent, os.W_OK)
    except OSError as error:
        raise InvalidRequest([f"--out {path}: cannot be written: {error.strerror}"]) from error
    if not is_open:
        raise InvalidRequest([f"--out {path}: is not open to this user; choose another place"])
    return path


def _place(path: Path) -> Path:
    """Where a file is written to.

    Raises:
        InvalidRequest: there is no such folder, it is a folder, or it belongs to a sweep's results.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InvalidRequest([f"--out {path}: is a folder; name a file, as in {path / 'report.html'}"])
    if belongs_to_sweep(target):
        raise InvalidRequest([f"--out {path}: is a file of a sweep's results; choose another name"])
    if not target.parent.is_dir():
        raise InvalidRequest([f"--out {path}: there is no folder {target.parent}; make it, or choose another one"])
    return target


def write_text(path: Path, text: str, quiet: bool = False) -> None:
    """Write a file and, unless quiet, say so. A reader sees a file as it was or as it is now, never a part of it.

    A link stays one, and pipes and devices are written to. Where a file can only be written into, it is.

    Raises:
        InvalidRequest: the file cannot be written, or belongs to a sweep's results.
    """
    try:
        target = _place(path)
        in_place = _is_there(path) and not _is_replaceable(path)
        if in_place or not _is_replaced(target, text):
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InvalidRequest([f"--out {path}: cannot be written: {error.strerror}"]) from error
    if quiet:
        return
    echo(f"wrote {path}", error=True)  # standard output may be what was written to


def _is_replaceable(path: Path) -> bool:
    """True for a file of one name that this user may write to, and that no shell has opened for this program."""
    facts = path.stat()
    return (
        stat.S_ISREG(facts.st_mode)
        and facts.st_nlink == 1
        and os.access(path, os.W_OK)
        and not any(os.path.samestat(facts, handed) for handed in _handed_down())
    )


def _handed_down() -> Iterator[os.stat_result]:
    """The files that a shell opens for a program, such as those that take its standard output."""
    for descriptor in range(10):
        with contextlib.suppress(OSError):
            yield os.fstat(descriptor)


def _is_replaced(target: Path, text: str) -> bool:
    """Put a file in place at once, with the owner and the rights of the old one; False where that is not allowed.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    try:
        before = target.stat() if target.exists() else None
        with replacing(target) as stream:
            if before is not None:
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
                os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
            stream.write(text)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENAMETOOLONG):
            raise
        return False
    return True


def _is_there(path: Path) -> bool:
    """True if something is where a path leads.

    Raises:
        OSError: it leads nowhere, as a link to itself does.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True
