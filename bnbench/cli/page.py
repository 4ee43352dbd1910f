"""The page of ``bnbench report``: written to a file, opened in a browser, and kept up to date while runs train."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bnbench.cli.failure import again
from bnbench.cli.output import write_text
from bnbench.cli.settings import STANDARD_OUTPUT, Settings
from bnbench.console import echo
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.reports import Report
from bnbench.reports.page import MOST_RUNS, PageOptions, render_html
from bnbench.reports.tidy import safe_csv

REFRESH = 30
"""Seconds between two pages of a report that is watched."""
LOOK = 2.0
"""Seconds between two looks at the files of the sweeps."""


def page_format(format: str | None, out: Path | None, open: bool, watch: bool) -> str | None:
    """The format where a page is to be opened or watched; None where neither is asked for.

    Raises:
        InvalidRequest: it is asked for with another format, or with no file.
    """
    asked = [option for option, given in {"--open": open, "--watch": watch}.items() if given]
    if not asked:
        return None
    options = " and ".join(asked)
    if format not in (None, "html"):
        raise InvalidRequest([f"{options}: only a page can be, and --format {format} is none; write --format html"])
    if out == STANDARD_OUTPUT:
        raise InvalidRequest([f"{options}: must have a file; --out - is standard output"])
    if format is None and out is not None and out.suffix.lower() != ".html":
        raise InvalidRequest([f"{options}: only a page can be; end the name of --out in .html, not {out.suffix!r}"])
    return "html"


@dataclass(frozen=True)
class PageRequest:
    """A page that is asked for.

    Attributes:
        settings: the global options.
        folders: of the sweeps.
        report: computes the report from what the folders hold now.
        out: the file; standard output; or None for a name made of the first sweep's.
        open: whether to open the page in a browser.
        watch: whether to write it anew while the sweeps change, until the user stops it.
    """

    settings: Settings
    folders: Sequence[Path]
    report: Callable[[], Report]
    out: Path | None
    open: bool
    watch: bool

    def fulfil(self) -> None:
        """Write the page, and open and renew it as asked.

        Raises:
            InvalidRequest: it cannot be written, or there is no browser to open it in.
        """
        if self.out == STANDARD_OUTPUT:
            echo(render_html(self.report(), self._options()).removesuffix("\n"))
            return
        path = self.out or Path(f"{self.folders[0].name}-report.html")
        if self.open:
            _check_browser(path)
        options = replace(self._options(), refresh=REFRESH if self.watch else 0)
        seen = fingerprint(self.folders) if self.watch else ()
        self._write(path, options)
        if self.open:
            webbrowser.open(path.absolute().as_uri())
        if self.watch:
            self._keep(path, options, seen)

    def _options(self) -> PageOptions:
        commands = cache(lambda folder: again(self.settings, folder))
        return PageOptions(command=lambda sweep, run_id, plugged: commands(self._place(sweep, run_id))(run_id, plugged))

    def _place(self, sweep: str, run_id: str) -> Path:
        """The folder of a run; where several have the sweep's name, the first that holds what the run is."""
        named = [folder for folder in self.folders if folder.name == sweep]
        has = (folder for folder in named if len(named) == 1 or (folder / "specs" / f"{run_id}.yaml").is_file())
        return next(has, named[0])

    def _write(self, path: Path, options: PageOptions, quiet: bool = False) -> None:
        """Write the page, and beside it a table of all runs where they are too many to be listed."""
        report = self.report()
        many = report.runs is not None and len(report.runs) > MOST_RUNS
        beside = path.with_name(f"{path.stem}-runs.csv")
        write_text(path, render_html(report, replace(options, runs_file=beside.name if many else "")), quiet)
        if many and report.runs is not None:
            write_text(beside, safe_csv(report.runs)[0], quiet)

    def _keep(self, path: Path, options: PageOptions, seen: object) -> None:
        """Write the page anew when the sweeps have changed, until Ctrl-C; the last one does not load itself again."""
        echo(f"watching {', '.join(folder.name for folder in self.folders)}; Ctrl-C ends it", error=True)
        written = time.monotonic()
        try:
            while True:
                time.sleep(LOOK)
                now = fingerprint(self.folders)
                if now != seen and time.monotonic() - written >= REFRESH:
                    seen, written = now, time.monotonic()
                    self._renew(path, options)
        except KeyboardInterrupt:
            self._renew(path, replace(options, refresh=0))

    def _renew(self, path: Path, options: PageOptions) -> None:
        """Write the page anew; what is wrong just now is said, and the page stays as it was."""
        try:
            self._write(path, options, quiet=True)
        except BnbenchError as error:
            echo(f"{path} stays as it was: {error}", error=True)


def _check_browser(path: Path) -> None:
    """Refuse to open a page where there is nothing to open it with.

    Raises:
        InvalidRequest: there is no browser.
    """
    try:
        webbrowser.get()
    except webbrowser.Error as error:
        remedy = f"write the page without it, and open {path.absolute()} on a machine that has one"
        raise InvalidRequest([f"--open: this machine has no browser that can be started; {remedy}"]) from error


def fingerprint(folders: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of all files of some folders that hold results: another one means that they changed."""
    found = []
    for folder in folders:
        for path in sorted([*folder.glob("*.csv"), *folder.glob("segments/**/*.csv")]):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            found.append((str(path), facts.st_size, facts.st_mtime_ns))
    return tuple(found)
