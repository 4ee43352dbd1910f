"""bnbench report: comparison tables over the runs of one or more sweeps."""

from __future__ import annotations

from functools import partial

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
    from bnbench.cli.output import format_of, show_report, write_text
    from bnbench.cli.page import PageRequest, page_format
    from bnbench.console import echo

    settings: Settings = context.obj
    to_file = None if out == STANDARD_OUTPUT else out
    form = page_format(format, out, open, watch) or format or format_of(to_file)
    reports.check_format(form)
    kinds = read_kinds(figure_format)
    if figures is not None:
        check_folder(figures)
    folders = [settings.sweep_folder(name) for name in sweeps]
    names = views or list(reports.VIEWS)
    shown = partial(reports.report_sweeps, folders, names, baseline, targets or (), lr, versions)
    if form == "html":
        PageRequest(settings, folders, shown, out, open, watch).fulfil()
    elif to_file is not None:
        write_text(to_file, reports.render(shown(), form))
    elif form == "terminal":
        show_report(shown())
    else:
        echo(reports.render(shown(), form).removesuffix("\n"))
    if figures is not None:
        write_figures(figures, kinds, shown())
