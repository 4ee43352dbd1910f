"""The page: the templates with what a report holds, as text that is never read as markup."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bnbench.figures import Figure, reasons
from bnbench.reports.page.downloads import downloads
from bnbench.reports.page.pictures import is_wide, panel_pictures, pictures
from bnbench.reports.page.run_table import TEXTS, Command, RunTable, run_table
from bnbench.reports.plain import plain_text
from bnbench.reports.view import Report
from bnbench.text import general, harmless, plural

if TYPE_CHECKING:  # slow to import
    import pandas as pd
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageOptions:
    """Facts that the page tells, and that a report does not hold.

    Attributes:
        command: trains a run again; None where it is not known in which folder the sweeps are.
        runs_file: the name of a file beside the page that lists all runs; empty if there is none.
        refresh: seconds after which the page loads itself again; 0 for never.
    """

    command: Command | None = None
    runs_file: str = ""
    refresh: int = 0


def render_html(report: Report, options: PageOptions | None = None) -> str:
    """Write a report as one HTML page that needs nothing else and asks for nothing."""
    options = options or PageOptions()
    script, style = _file("page.js"), _file("report.css") + _file("page.css")
    runs = _runs(report, options)
    data = {"files": downloads(report), "constants": dict(runs.constants) if runs else {}, "texts": TEXTS}
    return (
        _environment()
        .get_template("page.html")
        .render(
            _content(report, runs),
            options=options,
            policy=_policy(script, style),
            script=_markup(script),
            style=_markup(style),
            data=_markup(_json(data)),
        )
    )


def render_fragment(report: Report) -> str:
    """Write a report as a part of a notebook: tables, figures and notes, without the list of runs."""
    style = _markup(_file("report.css"))
    return _environment().get_template("fragment.html").render(_content(report, None), style=style)


def render_figure(figure: Figure) -> str:
    """Write one figure as a part of a notebook: its panels, its caption, and its numbers."""
    style = _markup(_file("report.css"))
    drawn = panel_pictures(figure, figure.name)
    return _environment().get_template("figure.html").render(figure=figure, pictures=drawn, style=style)


def _content(report: Report, runs: RunTable | None) -> dict[str, Any]:
    return {"report": report, "runs": runs, "pictures": pictures(report)}


def _runs(report: Report, options: PageOptions) -> RunTable | None:
    if report.runs is None or report.runs.empty:
        return None
    return run_table(report.runs, options.command)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        finalize=_shown,
        loader=FileSystemLoader(TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"plain": plain_text, "plural": plural, "where": _where, "rows": _rows, "reasons": reasons}
    environment.tests["wide"] = is_wide
    return environment


def _shown(value: object) -> object:
    """Text with its control characters made visible; markup of the templates as it is."""
    return harmless(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _where(settings: Mapping[str, str]) -> str:
    return urlencode(settings)


def _rows(data: pd.DataFrame, most: int) -> list[list[str]]:
    """The first lines of a table as texts; a missing value is an empty one."""
    first = data.head(most)
    lines = zip(first.itertuples(index=False), first.isna().itertuples(index=False), strict=True)
    return [["" if gone else _text(value) for value, gone in zip(*line, strict=True)] for line in lines]


def _text(value: object) -> str:
    return general(value) if isinstance(value, float) else str(value)


def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _markup(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)


def _json(data: object) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _policy(script: str, style: str) -> str:
    """All that the page may load or run: its one script, its one style, and pictures that it draws itself."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
