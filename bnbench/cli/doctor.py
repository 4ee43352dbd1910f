"""bnbench doctor: the state of the installation, and what to do where something is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer

from bnbench.cli.settings import Settings
from bnbench.cli.tables import table_of
from bnbench.console import echo
from bnbench.text import plural


def doctor(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Examine the installation, and train a few steps by each engine; the exit code is 1 if something is wrong.

    Versions, memory, folders, data, launchers, devices, the C compiler, and the engines, whose results must agree.

    Example:
    bnbench doctor
    """
    from bnbench.console import plain_console
    from bnbench.doctor import WRONG, findings

    settings: Settings = context.obj
    every = []
    for part, group in groupby(findings(settings.results, settings.data), lambda finding: finding.part):
        these = [*group]
        every += these
        if not as_json:
            table = table_of(part, "", "", "")
            for finding in these:
                table.add_row(finding.name, finding.state, finding.said, finding.remedy)
            plain_console().print(table)
            echo("")
    wrong = [finding for finding in every if finding.state == WRONG]
    if as_json:
        echo(json.dumps([asdict(finding) for finding in every], indent=2))
    else:
        echo(
            f"wrong: {plural(len(wrong), 'thing')}: {', '.join(one.name for one in wrong)}" if wrong else "all is well"
        )
    raise typer.Exit(1 if wrong else 0)
