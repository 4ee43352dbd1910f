"""A report with everything a page can show, of made-up runs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from bnbench.figures import Figure, Panel
from bnbench.reports import Cell, Column, Listing, Report, ReportView, Table, report
from bnbench.text import harmless
from tests.reports.generator import make_sweep
from tests.reports.hostile import HOSTILE as SHARED

FACTORS = {"norm": ["none", "batch", "group"], "batch_size": [4, 32], "lr": [0.01, 0.123456789, 1.0], "seed": [0, 1, 2]}
HOSTILE = (
    *SHARED.values(),
    "<img src=x onerror=\"document.title='pwned'\">",
    "\"'><svg onload=document.title='pwned'>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:document.title='pwned'",
    "]]><!--",
)
"""Texts that a page may take for something else."""


def make_runs() -> tuple[pd.DataFrame, pd.DataFrame]:
    """54 runs and their evaluations; the last one failed."""
    runs, metrics = make_sweep(FACTORS, np.random.default_rng(3))
    runs = runs.assign(sweep="demo")
    runs.loc[runs.index[-1], ["status", "error"]] = "failed", "ValueError: a <b>text</b>"
    return runs, metrics


@cache
def make_report() -> Report:
    """A report of these runs, with a summary, a figure, and a table whose numbers say what runs are behind them."""
    runs, metrics = make_runs()
    whole = report(runs, metrics, baseline="norm=none")
    cells = [
        (Cell("batch"), Cell(0.972, "percent", 0.003, n=3, mark="best", where={"norm": "batch", "lr": "0.123456789"})),
        (Cell("none"), Cell(words="div 3/3", mark="bad", where={"norm": "none", "lr": "1", "model": "cnn"})),
    ]
    table = Table("Linked", (Column("norm", key=True), Column("val %")), tuple(cells), ("A note.",))
    linked = ReportView("Linked numbers", (table,), ("More.",), (make_figure(),))
    return replace(whole, summary=("Batch norm is best.", "One run failed."), views=(linked, *whole.views))


def make_figure(text: str = "batch") -> Figure:
    """A figure of two panels with one line each, named by a text, which a legend shows harmless."""
    data = pd.DataFrame(
        {"panel": "", "norm": harmless(text), "step": [1, 2, 3], "accuracy_percent": [10.0, 60.0, 90.5]}
    )
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": data.to_dict("records")},
        "mark": "line",
        "encoding": {
            "x": {"field": "step", "type": "quantitative"},
            "y": {"field": "accuracy_percent", "type": "quantitative"},
            "color": {"field": "norm", "type": "nominal"},
        },
    }
    panels = tuple(Panel(name, f"{name} {text}", chart, f"A line of {text}.") for name in ("first", "second"))
    return Figure("curves", f"Curves {text}", f"Accuracy in percent, n=3, {text}.", panels, data)


@cache
def make_hostile_report() -> Report:
    """A report with each hostile text in all places that hold text."""
    runs, _ = make_runs()
    texts = list(HOSTILE)
    names = pd.Series([texts[at % len(texts)] for at in range(len(runs))], index=runs.index)
    runs = runs.assign(norm=names, error=names, sweep=names, status=["failed", "completed"] * (len(runs) // 2))
    views = tuple(
        ReportView(
            text,
            (
                Table(
                    text,
                    (Column(text, key=True), Column(text), Column(text, prose=True)),
                    ((Cell(text), Cell(words=text, where={text: text, "norm": text}, remarks=(text,)), Cell(text)),),
                    (text,),
                ),
            ),
            (text,),
            (make_figure(text),),
            listings=(Listing(text, text),),
        )
        for text in texts
    )
    return Report(" ".join(texts), tuple(texts), views, tuple((text, text) for text in texts), runs)


def make_large_report(count: int = 10_000) -> Report:
    """A report over so many runs, each with another learning rate."""
    runs, _ = make_runs()
    many = pd.concat([runs] * (count // len(runs) + 1), ignore_index=True).iloc[:count].copy()
    many["run_id"] = [f"r{at:011x}" for at in range(count)]
    many["lr"] = [0.01 * (1 + at) for at in range(count)]
    many["status"] = ["completed"] * (count - 3) + ["failed"] * 3
    return replace(make_report(), runs=many)
