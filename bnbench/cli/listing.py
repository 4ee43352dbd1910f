"""bnbench ls and list: the sweeps there are, and the settings and components to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bnbench.cli.options import KIND_NAMES, Kind, Plugin
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.errors import Damaged, InvalidRequest, nearest

if TYPE_CHECKING:
    from bnbench.config import Composer

KINDS = {"norms": "norm", "models": "model", "datasets": "dataset", "optims": "optim", "schedules": "schedule"}
ROWS_FROM = 110
"""Columns of a terminal from which four columns of a table can be read."""


def ls(context: typer.Context) -> None:
    """List the sweeps under --results and how their runs ended; the exit code is 1 if one is damaged."""
    from collections import Counter

    from bnbench import store
    from bnbench.console import plain_console

    settings: Settings = context.obj
    if settings.results.exists() and not settings.results.is_dir():
        raise InvalidRequest([f"--results {settings.results}: is not a folder"])
    folders, damaged = store.sweep_folders(settings.results), list[str]()
    others = [f"left alone: {folder}: {reason}" for folder, reason in store.foreign_folders(settings.results).items()]
    if not folders:
        start = "start one with: bnbench sweep --name first norm=none,batch"
        for line in (f"no sweeps in {settings.results}; {start}", *others):
            echo(line)
        return
    table = table_of("sweep", "runs", "statuses", "last")
    for folder in folders:
        try:
            counts = Counter(store.statuses(folder).values())
        except (Damaged, OSError) as error:
            reason = not_read(error)
            table.add_row(folder.name, "", reason.partition(":")[0], _changed(folder))
            damaged.append(f"{folder.name}: {reason}")
            continue
        text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        table.add_row(folder.name, str(counts.total()), text, _changed(folder))
    plain_console(whole=True).print(table)
    for line in (*damaged, *others):
        echo(line)
    raise typer.Exit(1 if damaged else 0)


def not_read(error: Damaged | OSError) -> str:
    """Why a sweep's folder cannot be read."""
    if isinstance(error, Damaged):
        return f"damaged: {error.what} ({error.path})"
    return f"cannot be read: {error.strerror or error} ({error.filename})"


def list_components(
    kind: Kind = "",
    plugin: Plugin = None,
) -> None:
    """List all settings, what a run can be built from, what can be measured inside it, and studies."""
    if not kind:
        raise InvalidRequest([f"list: name a kind, as in bnbench list norms: {', '.join(KIND_NAMES)}"])
    if kind not in KIND_NAMES:
        raise InvalidRequest([f"list {kind}: {nearest(kind, KIND_NAMES)}"])
    from bnbench.console import plain_console

    console = plain_console()
    if kind in ("probes", "studies"):
        console.print(_probes() if kind == "probes" else studies())
        return
    composer = _composer(plugin)
    from bnbench.cli.norm_list import shown

    if kind == "norms":
        _list_norms(composer)
        return
    if kind == "settings":
        _list_settings(composer)
        return
    group = KINDS[kind]
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


def table_of(*columns: str) -> Any:
    """An empty table with plain columns."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _changed(folder: Any) -> str:
    from datetime import datetime

    try:
        return datetime.fromtimestamp((folder / "runs.csv").stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    except OSError:
        return ""
