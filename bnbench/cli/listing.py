"""bnbench ls, show and list: what has been trained, and what can be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnbench.cli.settings import Plugin, Settings
from bnbench.console import echo
from bnbench.errors import Damaged, InvalidRequest, nearest
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.config import Composer

KINDS = {"norms": "norm", "models": "model", "datasets": "dataset", "optims": "optim", "schedules": "schedule"}
OTHERS = ("settings", "probes", "studies")
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
    folders, damaged = store.sweep_folders(settings.results), False
    others = [f"left alone: {folder}: {reason}" for folder, reason in store.foreign_folders(settings.results).items()]
    if not folders:
        start = "start one with: bnbench sweep --name first norm=none,batch"
        for line in (f"no sweeps in {settings.results}; {start}", *others):
            echo(line)
        return
    table = _table("sweep", "runs", "statuses", "last")
    for folder in folders:
        try:
            counts = Counter(store.statuses(folder).values())
        except (Damaged, OSError) as error:
            table.add_row(folder.name, "", _not_read(error), _changed(folder))
            damaged = True
            continue
        text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        table.add_row(folder.name, str(counts.total()), text, _changed(folder))
    plain_console(whole=True).print(table)
    for line in others:
        echo(line)
    raise typer.Exit(1 if damaged else 0)


def _not_read(error: Damaged | OSError) -> str:
    if isinstance(error, Damaged):
        return f"damaged: {error.what} ({error.path})"
    return f"cannot be read: {error.strerror or error} ({error.filename})"


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or the beginning of one.")],
) -> None:
    """Show everything that is known of one run."""
    import pandas as pd

    from bnbench import store
    from bnbench.console import plain_console
    from bnbench.text import listing

    settings: Settings = context.obj
    if not run:
        raise InvalidRequest(["run '': must be a run id, or the beginning of one"])
    found, damaged = [], []
    for folder in store.sweep_folders(settings.results):
        try:
            if any(identity.startswith(run) for identity in store.statuses(folder)):
                frame, metrics = store.load_sweeps([folder])
                tables = metrics, store.load_probes(folder)
                named = frame[frame["run_id"].str.startswith(run)].drop(columns="sweep")
                found += [(folder, row, *tables) for _, row in named.iterrows()]
        except (Damaged, OSError) as error:
            damaged.append(f"not looked into: {folder}: {_not_read(error)}")
    identities = list(dict.fromkeys(str(row["run_id"]) for _, row, *_ in found))
    if not identities:
        others = [
            f"not looked into: {folder}: {why}" for folder, why in store.foreign_folders(settings.results).items()
        ]
        raise InvalidRequest([f"no run starts with {run!r} in {settings.results}", *damaged, *others])
    if len(identities) > 1:
        raise InvalidRequest([f"run {run!r}: could be {', '.join(identities)}; give more of it"])
    counting = max(store.rank(str(row["status"])) for _, row, *_ in found)
    folder, row, metrics, probes = next(one for one in found if store.rank(str(one[1]["status"])) == counting)
    console = plain_console(whole=True)
    if len(found) > 1:
        every = listing([f"{place.name} ({entry['status']})" for place, entry, *_ in found])
        console.print(f"{row['run_id']} is in {plural(len(found), 'sweep')}: {every}; shown is that of {folder.name}")
    table = _table("sweep", folder.name)
    for name, value in row.items():
        if not pd.isna(value):
            table.add_row(str(name), f"{value:g}" if isinstance(value, float) else str(value))
    console.print(table)
    own = metrics[metrics["run_id"] == row["run_id"]].drop(columns="run_id")
    console.print()
    console.print(own.to_string(index=False) if len(own) else "no evaluations")
    readings = probes[probes["run_id"] == row["run_id"]]
    if len(readings):
        counts = readings.groupby("probe", sort=False).agg(steps=("step", "nunique"), values=("value", "size"))
        console.print()
        console.print(counts.reset_index().to_string(index=False))
        console.print(f"the values are in {folder / 'probes.csv'}, or bnbench.load_probes({folder.name!r})")
    if row["status"] in store.FAILURES:
        from bnbench.cli.failure import failure

        console.print()
        for line in failure(settings, folder, row):
            console.print(line)
    for text in damaged:
        echo(text, error=True)
    raise typer.Exit(1 if damaged else 0)


def list_components(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="settings, norms, models, datasets, optims, schedules, probes or studies"),
    ],
    plugin: Plugin = None,
) -> None:
    """List all settings, what a run can be built from, what can be measured inside it, and studies."""
    if kind not in (*KINDS, *OTHERS):
        raise InvalidRequest([f"list {kind}: {nearest(kind, [*KINDS, *OTHERS])}"])
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
    table = _table(group, "what it is", "options")
    for name in composer.names(group) or []:
        options = composer.options(group, name)
        text = " ".join(f"{key}={shown(value)}" for key, value in options.items())
        table.add_row(name, composer.summary(group, name), text)
    console.print(table)


def _composer(plugin: Path | None) -> Composer:
    """What there is, with what a plugin adds."""
    if plugin is None:
        from bnbench.config import Composer
        from bnbench.schema import Known

        return Composer(Known())
    from bnbench.launch import begin

    if plugin.is_file():
        begin("bnbench.plugins", "bnbench.components")
    from bnbench.config import Composer
    from bnbench.plugins import known_components

    return Composer(known_components(plugin.absolute()))


def studies() -> Any:
    """The studies that come with bnbench, a row per claim."""
    from bnbench import study

    table = _table("study", "claim", "what it says")
    for one in study.load(study.names()):
        for claim in one.claims:
            table.add_row(one.name if claim is one.claims[0] else "", claim.name, claim.says)
    return table


def _probes() -> Any:
    """The probes with the first sentence of what each says of itself."""
    from bnbench.schema import built_in

    table = _table("probe", "what it measures")
    for name, summary in built_in().probes.items():
        table.add_row(name, summary)
    return table


def _list_settings(composer: Composer) -> None:
    """Every setting: a row each, or a block where rows would be too narrow to read."""
    from bnbench.config import entries
    from bnbench.console import plain_console

    console = plain_console()
    table = _table("setting", "default", "can be", "what it is")
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
    table = _table("", "")
    table.show_header = False
    for label, line in lines.items():
        table.add_row(f"  {label}", line)
    console.print(table)


def _table(*columns: str) -> Any:
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
