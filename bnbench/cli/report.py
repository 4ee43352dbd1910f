"""bnbench report: comparison tables over the runs of one or more sweeps."""

from __future__ import annotations

import typer

from bnbench.cli.options import Baseline, Format, Out, Rates, Sweeps, Targets, Versions, Views
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
) -> None:
    """Compare the runs of sweeps: convergence, learning rates, small batches.

    Example:
    bnbench report small --baseline norm=none --view convergence --target 95%
    """
    from bnbench import reports
    from bnbench.cli.output import format_of, show_report, write_text
    from bnbench.console import echo

    settings: Settings = context.obj
    out = None if out == STANDARD_OUTPUT else out
    form = format or format_of(out)
    reports.check_format(form)
    folders = [settings.sweep_folder(name) for name in sweeps]
    shown = reports.report_sweeps(folders, views or list(reports.VIEWS), baseline, targets or (), lr, versions)
    if out is not None:
        write_text(out, reports.render(shown, form))
    elif form == "terminal":
        show_report(shown)
    else:
        echo(reports.render(shown, form).removesuffix("\n"))
