"""bnbench ls and list: the sweeps there are, and the settings and components to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnbench.cli.options import KIND_NAMES, KINDS, Kind, Plugin, completed_sweeps_and_conditions
from bnbench.cli.settings import Settings
from bnbench.cli.sweep_list import list_sweeps
from bnbench.cli.tables import table_of
from bnbench.console import echo
from bnbench.errors import InvalidRequest, nearest

if TYPE_CHECKING:
    from bnbench.config import Composer

GROUPS = {"norms": "norm", "models": "model", "datasets": "dataset", "optims": "optim", "schedules": "schedule"}
ROWS_FROM = 110
"""Columns of a terminal from which four columns of a table can be read."""


def ls(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SWEEP...] [CONDITION...]",
            autocompletion=completed_sweeps_and_conditions,
            help="Runs of these sweeps that meet all conditions: norm=none,batch 'val_accuracy>0.9' status!=failed.",
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Runs by columns: norm,-val_accuracy; - turns round.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="COLUMN,...", help="The columns of runs to show, or all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """List the sweeps under --results, or the runs of some; the exit code is 1 if a sweep is damaged.

    Example:
    bnbench ls small norm=batch 'val_accuracy>0.9' --sort=-val_accuracy
    """
    settings: Settings = context.obj
    if settings.results.exists() and not settings.results.is_dir():
        raise InvalidRequest([f"--results {settings.results}: is not a folder"])
    if as_json and as_csv:
        raise InvalidRequest(["--json and --csv: give one of them"])
    form = "json" if as_json else "csv" if as_csv else ""
    if not words and sort is None and columns is None:
        raise typer.Exit(list_sweeps(settings.results, form))
    from bnbench.cli.run_list import list_runs

    told, notes = list_runs(settings, words or (), sort, columns, form)
    for text in (*told, *notes):
        echo(text, error=True)
    raise typer.Exit(1 if told else 0)


def list_components(
    kind: Kind = "",
    plugin: Plugin = None,
) -> None:
    """List all settings, what a run can be built from, what can be measured inside it, launchers, studies and tasks.

    Without a kind, list the kinds.

    Examples:
    bnbench list
    bnbench list norms
    """
    if kind and kind not in KIND_NAMES:
        raise InvalidRequest([f"list {kind}: {nearest(kind, KIND_NAMES)}"])
    from bnbench.console import plain_console

    console = plain_console()
    tables = {"": _kinds, "probes": _probes, "studies": studies, "launchers": _launchers, "tasks": _tasks}
    if kind in tables:
        console.print(tables[kind]())
        if kind == "tasks":
            _tell_questions()
        return
    composer = _composer(plugin)
    from bnbench.cli.norm_list import shown

    if kind == "norms":
        _list_norms(composer)
        return
    if kind == "settings":
        _list_settings(composer)
        return
    group = GROUPS[kind]
    table = table_of(group, "what it is", "options")
    for name in composer.names(group) or []:
        options = composer.options(group, name)
        text = " ".join(f"{key}={shown(value)}" for key, value in options.items())
        table.add_row(name, composer.summary(group, name), text)
    console.print(table)


def _composer(plugin: Path | None) -> Composer:
    """The composer of all components, with those of a plugin."""
    if plugin is None:
        from bnbench.config import Composer
        from bnbench.schema import Known

        return Composer(Known())
    from bnbench.launch import prestart

    if plugin.is_file():
        prestart("bnbench.plugins", "bnbench.components")
    from bnbench.config import Composer
    from bnbench.plugins import known_components

    return Composer(known_components(plugin.absolute()))


def _kinds() -> Any:
    """What can be listed."""
    table = table_of("kind", "what bnbench list KIND shows")
    for name, meaning in KINDS.items():
        table.add_row(name, meaning)
    return table


def _tasks() -> Any:
    """The tasks that come with bnbench."""
    from bnbench.comparison import load_tasks, task_names
    from bnbench.schema import Known

    table = table_of("task", "dataset", "model", "what it is")
    for task in load_tasks(task_names(), Known()):
        table.add_row(task.name, task.value("dataset"), task.value("model"), task.about)
    return table


def _tell_questions() -> None:
    """Say which questions can be asked on a task."""
    from bnbench.study.questions import load_questions, question_names
    from bnbench.text import listing

    spread = [question.name for question in load_questions(question_names()) if question.on_tasks]
    echo(f"\nasked on tasks: {listing(spread)}; the other questions have data and networks of their own")


def _launchers() -> Any:
    """The launchers, with their settings."""
    from bnbench.cli.norm_list import shown
    from bnbench.launch import LAUNCHERS, described_settings
    from bnbench.launch.settings import PREFIX

    table = table_of("launcher", "where runs train", "settings")
    for name, launcher in LAUNCHERS.items():
        settings = described_settings(name).items()
        table.add_row(name, launcher.summary, " ".join(f"{PREFIX}{key}={shown(value)}" for key, value in settings))
    return table


def studies() -> Any:
    """The studies that come with bnbench, a row per claim."""
    from bnbench import study

    table = table_of("study", "claim", "what it says")
    for one in study.load(study.names()):
        for claim in one.claims:
            table.add_row(one.name if claim is one.claims[0] else "", claim.name, claim.says)
    return table


def _probes() -> Any:
    """The probes with the first sentence of what each says of itself."""
    from bnbench.schema import built_in

    table = table_of("probe", "what it measures")
    for name, summary in built_in().probes.items():
        table.add_row(name, summary)
    return table


def _list_settings(composer: Composer) -> None:
    """Every setting: a row each, or a block where rows would be too narrow to read."""
    from bnbench.config import entries
    from bnbench.console import plain_console

    console = plain_console()
    table = table_of("setting", "default", "can be", "what it is")
    for entry in entries(composer):
        some = f" ({', '.join(entry.choices)})" if entry.choices else ""
        meaning = f"{entry.meaning}{some}".strip()
        if console.width < ROWS_FROM:
            _print_block(entry.key, {"default": entry.default, "can be": entry.allowed, "what it is": meaning})
        else:
            table.add_row(entry.key, entry.default, entry.allowed, meaning)
    if table.row_count:
        console.print(table)


def _list_norms(composer: Composer) -> None:
    """A norm has too much to say for a row."""
    from bnbench.cli.norm_list import entries

    for name, lines in entries(composer):
        _print_block(name, lines)


def _print_block(name: str, lines: Mapping[str, str]) -> None:
    """A name, and below it what is said of it, by label."""
    from bnbench.console import plain_console

    console = plain_console()
    console.print(name, style="bold")
    table = table_of("", "")
    table.show_header = False
    for label, line in lines.items():
        table.add_row(f"  {label}", line)
    console.print(table)
