"""A figure for notebooks and scripts: it shows itself, hands out its numbers, and is saved as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from bnbench.errors import InvalidRequest, nearest
from bnbench.figures import Figure, Panel, reasons
from bnbench.figures.files import KINDS
from bnbench.paths import expanded
from bnbench.reports.page import render_figure
from bnbench.reports.view import Report
from bnbench.store import belongs_to_sweep
from bnbench.text import harmless, listing

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, repr=False)
class FigureDisplay:
    """A figure that shows itself in a notebook.

    Attributes:
        figure: all its panels and numbers.
    """

    figure: Figure

    def __repr__(self) -> str:
        panels = listing([panel.title for panel in self.figure.panels if panel.title])
        title = harmless(f"{self.figure.title} ({panels})" if panels else self.figure.title)
        return f"<figure {self.figure.name}: {title}>"

    def _repr_html_(self) -> str:
        """The figure as a part of a notebook."""
        return render_figure(self.figure)

    def to_frame(self) -> pd.DataFrame:
        """The numbers that are drawn, a line per mark."""
        return self.figure.data.copy()

    def save(self, path: Path | str) -> list[Path]:
        """Draw the figure into a file: ``.svg``, ``.pdf`` or ``.png``.

        Of several panels each has a file, with the panel's name behind the file's: ``rates-batch-4.svg``.

        Returns:
            the files.

        Raises:
            InvalidRequest: there is no such format, or the file cannot be written.
        """
        target = expanded(path, "path")
        kind = target.suffix.lower().removeprefix(".")
        if kind not in KINDS:
            raise InvalidRequest([f"path {str(path)!r}: its ending is no format; {nearest(kind, list(KINDS))}"])
        if not target.parent.is_dir():
            raise InvalidRequest([f"path {str(path)!r}: there is no folder {target.parent}; make it first"])
        files = dict(self._files(target))
        for file, panel in files.items():
            _write(file, KINDS[kind](panel))
        return list(files)

    def _files(self, path: Path) -> Iterator[tuple[Path, Panel]]:
        several = len(self.figure.panels) > 1
        for panel in self.figure.panels:
            yield (path.with_stem(f"{path.stem}-{panel.name}") if several else path), panel


def _write(path: Path, content: bytes) -> None:
    try:
        if belongs_to_sweep(path.resolve()):
            raise InvalidRequest([f"path {str(path)!r}: is a file of a sweep's results; choose another name"])
        path.write_bytes(content)
    except OSError as error:
        raise InvalidRequest([f"path {str(path)!r}: cannot be written: {error.strerror}"]) from error


def figures_of(report: Report) -> dict[str, FigureDisplay]:
    """The figures of a report by name."""
    return {figure.name: FigureDisplay(figure) for view in report.views for figure in view.figures}


def figure_of(report: Report, name: str) -> FigureDisplay:
    """One figure of a report.

    Raises:
        InvalidRequest: the report has none of this name; the message says why, or which it has.
    """
    figures = figures_of(report)
    if name in figures:
        return figures[name]
    for view in report.views:
        for reason in reasons(view.figures):
            if reason.startswith(f"No figure {name}:"):
                raise InvalidRequest([reason])
    told = nearest(name, list(figures)) if figures else "this report has none"
    raise InvalidRequest([f"figure {name!r}: there is no such figure; {told}"])
