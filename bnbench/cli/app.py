"""The bnbench program: its commands, its global options, and how errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.text import Text

from bnbench.cli import (
    compare,
    diff,
    doctor,
    export,
    listing,
    merge,
    rename,
    report,
    run,
    shell_script,
    show,
    study,
    sweep,
    tag,
    trash,
)
from bnbench.cli.commands import Command, Group, check_dashes, hoist_global_options
from bnbench.cli.settings import Settings, path_of
from bnbench.cli.stdout import lasting_stdout
from bnbench.console import echo, plain_console
from bnbench.errors import BnbenchError, Gone
from bnbench.memory import data_memory
from bnbench.notices import heard
from bnbench.text import shortened

FAILED, WRONG_COMMAND = 1, 2

app = typer.Typer(
    name="bnbench",
    cls=Group,
    help="Ablation studies of normalization layers: train a grid of runs, then compare them.",
    epilog="The options above may stand before or behind the command. Start with: bnbench run norm=group",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=Command)(run.run)
app.command("sweep", cls=Command)(sweep.sweep)
app.add_typer(study.app, name="study", no_args_is_help=True)
app.command("compare", cls=Command)(compare.compare)
app.command("report", cls=Command)(report.report)
app.command("ls", cls=Command)(listing.ls)
app.command("show", cls=Command)(show.show)
app.command("diff", cls=Command)(diff.diff)
app.command("rm", cls=Command)(trash.rm)
app.command("restore", cls=Command)(trash.restore)
app.command("rename", cls=Command)(rename.rename)
app.command("merge", cls=Command)(merge.merge)
app.command("export", cls=Command)(export.export)
app.command("tag", cls=Command)(tag.tag)
app.command("list", cls=Command)(listing.list_components)
app.command("doctor", cls=Command)(doctor.doctor)
app.command("completion", cls=Command)(shell_script.completion)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"bnbench {version('bnbench')}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    results: Annotated[
        Path,
        typer.Option(
            envvar="BNBENCH_RESULTS", parser=path_of("--results"), metavar="DIR", help="Where sweeps are kept."
        ),
    ] = Path("results"),
    data: Annotated[
        Path,
        typer.Option(envvar="BNBENCH_DATA", parser=path_of("--data"), metavar="DIR", help="Where datasets are kept."),
    ] = Path("data"),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the global options for the command."""
    data_memory()
    context.obj = Settings(results, data)


def main() -> None:
    """Run the program on the command line's words and exit with its code. Raises KeyboardInterrupt on Ctrl-C."""
    words = hoist_global_options(sys.argv[1:])
    try:
        program = cast(Group, typer.main.get_command(app))
        check_dashes(words, program)
        with lasting_stdout(), heard(lambda text: echo(f"note: {text}", error=True)):
            if "_BNBENCH_COMPLETE" in os.environ:  # a shell asks
                from bnbench.cli.completion import answering_shells

                answering_shells(partial(program, words))
            else:
                program(words)
    except Exception as error:
        if "--debug" in words:
            traceback.print_exception(error)
        sys.exit(_tell(error))


def _tell(error: Exception) -> int:
    """Say in one message what went wrong; the exit code."""
    match error:
        case Gone():
            code, message = FAILED, f"error: {error}"
        case BnbenchError():
            code, message = WRONG_COMMAND, f"error: {error}"
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            code = WRONG_COMMAND if error.errno == errno.ENAMETOOLONG else FAILED  # nobody but the user gives names
            message = f"error: {place}{error.strerror or error}"
        case _:
            remedy = "This is a bug in bnbench; --debug shows the traceback"
            code, message = FAILED, f"unexpected {type(error).__name__}: {error}. {remedy}"
    plain_console(stderr=True, whole=True).print(Text(shortened(message), style="red"))
    return code
