"""bnbench report: comparison tables over the runs of one or more sweeps."""

from __future__ import annotations

from functools import cache, partial

import typer

from bnbench.cli.options import (
    Baseline,
    FigureFolder,
    FigureFormats,
    Format,
    Open,
    Out,
    Rates,
    Sweeps,
    Targets,
    Versions,
    Views,
    Watch,
)
from bnbench.cli.settings import STANDARD_OUTPUT, Settings


def report(
    context: typer.Context,
    sweeps: Sweeps,
    views: Views = None,
    baseline: Baseline = None,
    targets: Targets = None,
    lr: Rates = "best",
    versions: Versions = False,
    format: Format = None,
    out: Out = None,
    open: Open = False,
    watch: Watch = False,
    figures: FigureFolder = None,
    figure_format: FigureFormats = "svg,pdf",
) -> None:
    """Compare the runs of sweeps: convergence, learning rates, small batches.

    Example:
    bnbench report small --baseline norm=none --view convergence --target 95%
    """
    from bnbench import reports
    from bnbench.cli.figures import check_folder, read_kinds, write_figures
    from bnbench.cli.output import format_of, put
    from bnbench.cli.page import PageRequest, page_format

    settings: Settings = context.obj
    to_file = None if out == STANDARD_OUTPUT else out
    form = page_format(format, out, open, watch) or (format_of(to_file) if format is None else format)
    reports.check_format(form)
    kinds = read_kinds(figure_format)
    check_folder(figures)
    folders = [settings.sweep_folder(name) for name in sweeps]
    computed = partial(reports.report_sweeps, folders, views or [*reports.VIEWS], baseline, targets or (), lr, versions)
    shown = computed if watch else cache(computed)
    if figures is not None:
        write_figures(figures, kinds, shown())
    if form == "html":
        PageRequest(settings, folders, shown, out, open, watch).fulfil()
    else:
        put(shown(), form, to_file)
