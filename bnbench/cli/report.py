"""bnbench report: comparison tables over the runs of one or more sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.settings import Settings, path_of


def report(
    context: typer.Context,
    sweeps: Annotated[list[str], typer.Argument(metavar="SWEEP...", help="Names of sweeps, or their folders.")],
    views: Annotated[
        list[str] | None, typer.Option("--view", help="convergence, learning-rate or small-batch; repeatable.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="What rows are compared with: norm=none.")] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="Validation accuracy to reach: 0.9 or 90%; repeatable.")
    ] = None,
    lr: Annotated[
        str, typer.Option(help="best: each row at its own best learning rate; all: a row for each.")
    ] = "best",
    versions: Annotated[
        bool, typer.Option("--versions", help="Show older versions of a plugin's components as well: mine@1, mine@2.")
    ] = False,
    format: Annotated[str | None, typer.Option(help="terminal or markdown.  [default: by the name of --out]")] = None,
    out: Annotated[Path | None, typer.Option(parser=path_of("--out"), metavar="PATH", help="Write to a file.")] = None,
) -> None:
    """Compare the runs of sweeps: convergence, learning rates, small batches.

    Example: bnbench report small --baseline norm=none --view convergence --target 95%
    """
    from bnbench import reports
    from bnbench.cli.output import show_views, write_text
    from bnbench.console import echo
    from bnbench.store import load_sweeps

    settings: Settings = context.obj
    runs, metrics = load_sweeps([settings.sweep_folder(name) for name in sweeps])
    views_shown = reports.report(runs, metrics, views or list(reports.VIEWS), baseline, targets or (), lr, versions)
    chosen = format or ("markdown" if out is not None and out.suffix == ".md" else "terminal")
    if out is not None:
        write_text(out, reports.render(views_shown, chosen))
    elif chosen == "terminal":
        show_views(views_shown)
    else:
        echo(reports.render(views_shown, chosen).removesuffix("\n"))
