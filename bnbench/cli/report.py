"""bnbench report: comparison tables over the runs of one or more sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.settings import STANDARD_OUTPUT, Settings, output_path

TABLES, OUTPUT = "Tables", "Output"
"""Panels of --help."""


def report(
    context: typer.Context,
    sweeps: Annotated[list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps, or their folders.")],
    views: Annotated[
        list[str] | None,
        typer.Option(
            "--view",
            metavar="VIEW",
            rich_help_panel=TABLES,
            help="convergence, learning-rate or small-batch; repeatable.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="KEY=VALUE", rich_help_panel=TABLES, help="What rows are compared with: norm=none."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="SHARE",
            rich_help_panel=TABLES,
            help="Validation accuracy to reach: 0.9 or 90%; repeatable.",
        ),
    ] = None,
    lr: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            rich_help_panel=TABLES,
            help="best: each row at its own best learning rate; all: a row for each.",
        ),
    ] = "best",
    versions: Annotated[
        bool,
        typer.Option(
            "--versions",
            rich_help_panel=TABLES,
            help="Show older versions of a plugin's components as well: mine@1, mine@2.",
        ),
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            rich_help_panel=OUTPUT,
            help="terminal or markdown.  \\[default: by the ending of --out]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=output_path,
            metavar="PATH",
            rich_help_panel=OUTPUT,
            help="Write to a file, .md as Markdown, .txt as on a terminal; - is standard output.",
        ),
    ] = None,
) -> None:
    """Compare the runs of sweeps: convergence, learning rates, small batches.

    Example:
    bnbench report small --baseline norm=none --view convergence --target 95%
    """
    from bnbench import reports
    from bnbench.cli.output import format_of, show_views, write_text
    from bnbench.console import echo
    from bnbench.store import load_sweeps

    settings: Settings = context.obj
    out = None if out == STANDARD_OUTPUT else out
    chosen = format or format_of(out)
    runs, metrics = load_sweeps([settings.sweep_folder(name) for name in sweeps])
    views_shown = reports.report(runs, metrics, views or list(reports.VIEWS), baseline, targets or (), lr, versions)
    if out is not None:
        write_text(out, reports.render(views_shown, chosen))
    elif chosen == "terminal":
        show_views(views_shown)
    else:
        echo(reports.render(views_shown, chosen).removesuffix("\n"))
