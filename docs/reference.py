"""Write docs/reference.md, all commands, settings and columns, from what the program knows: ``make schema``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer

from bnbench.cli.app import app
from bnbench.config import Composer, entries
from bnbench.schema import Known
from bnbench.store.columns import IDENTITY, METRICS, OUTCOME, PROBES, TRIAL

HEAD = """# Reference

All commands with their options, all settings, and all columns of the tables. This file is written by `make schema`.
"""
COLUMNS = {
    "run_id": "the run: `r` and eleven hex digits",
    "status": "how it ended: `completed` or `diverged`, which are results; `stopped` at a rung of a search; `failed`,"
    " `out_of_memory`, `timed_out`, `interrupted` or"
    " `impossible`; `planned` or `running` before",
    "error": "why there is no result",
    "trial": "the number of the trial of a [search](search.md) that the run was trained for; empty for a run of a grid,"
    " and no column where all runs are",
    "engine": "what trained it ([which there are](engines.md))",
    "engine_reason": "why no faster engine did",
    "lanes": "runs that were trained together with it, itself included",
    "device": "`cpu`, `cuda:0`",
    "steps_done": "training steps that were made",
    "epochs_done": "passes over the training examples, with fraction",
    "examples_done": "training examples that were seen",
    "train_loss": "nats, of a text per character: the mean over the steps since the evaluation before",
    "train_accuracy": "a share from 0 to 1 of examples, of a text of characters, as `train_loss`",
    "val_loss": "on the validation set, at the end",
    "val_accuracy": "a share from 0 to 1, on the validation set, at the end",
    "data": "a fingerprint of [your own data](results.md#columns); empty for others",
    "plugin": "the source of [your own code](plugins.md), of the runs that use it",
    "best_val_accuracy": "the highest of all evaluations",
    "test_loss": "on the test set, once, at the end",
    "test_accuracy": "a share from 0 to 1, on the test set, once, at the end",
    "diverged_step": "the step at which it diverged; empty if it did not",
    "classes": "of the dataset",
    "parameters": "numbers that are trained",
    "seconds": "of training and evaluation ([how they count](results.md#columns))",
    "started_at": "a time with its zone",
    "finished_at": "a time with its zone",
    "host": "the machine's name",
    "version": "of bnbench",
    "torch": "its version",
    "git_commit": "of the folder in which the command was given",
    "step": "training steps so far",
    "epoch": "passes over the training examples so far, with fraction",
    "examples": "training examples so far",
    "lr": "the learning rate of the last step",
    "probe": "which [probe](probes.md) measured",
    "layer": "the path of a layer in the network, or `network`",
    "name": "what was measured",
    "value": "a number",
}
AT_EACH_EVALUATION = {
    "val_loss": "on the validation set, at this evaluation",
    "val_accuracy": "a share from 0 to 1, on the validation set, at this evaluation",
}
"""What columns of metrics.csv hold that those of runs.csv hold of the end."""
BESIDE_SETTINGS = "plugin", "data"
"""Columns that stand among those of the settings, and that nobody sets."""


def markdown() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_commands(), *_settings(), *_tables()]).rstrip("\n") + "\n"


def _commands() -> Iterator[str]:
    program = typer.main.get_command(app)
    yield "## Commands\n"
    yield from _parameters(program)
    for name, command in program.commands.items():
        for path, one in [(name, command), *((f"{name} {n}", c) for n, c in getattr(command, "commands", {}).items())]:
            if not getattr(one, "commands", {}):
                yield f"### bnbench {path}\n"
                about, *examples = re.split(r"Examples?:", one.help)
                yield f"{_text(about)}\n"
                lines = [line.strip() for line in "".join(examples).splitlines() if line.strip()]
                yield from (["```sh", *lines, "```", ""] if lines else [])
                yield from _parameters(one)


def _parameters(command: object) -> Iterator[str]:
    """A table of the options, each once; none where there are none."""
    if rows := dict.fromkeys(_rows(command)):
        yield from ("| option | what it does |", "|---|---|", *rows, "")


def _rows(command: object) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "help":
            continue
        metavar = parameter.metavar or ""
        names = " ".join([*(opt for opt in parameter.opts if opt.startswith("-")), metavar]).strip()
        variable = f" Also: the variable `{parameter.envvar}`." if getattr(parameter, "envvar", None) else ""
        told = _text(parameter.help)
        default = parameter.default if isinstance(parameter.default, str | int | Path) else None
        known = default in (None, "", True, False) or "default" in told.lower()
        yield f"| `{_text(names)}` | {told}{'' if known else f' Default: `{default}`.'}{variable} |"


def _text(words: str | None) -> str:
    """A help text in a cell of a table."""
    return re.sub(r"\s+", " ", words or "").replace("\\[", "[").replace("|", "\\|").strip()


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "Behind an option stand the choices that have it, in brackets. More: [the norms](norms.md).\n"
    yield "| key | default | can be | what it is |"
    yield "|---|---|---|---|"
    for entry in entries(Composer(Known())):
        some = f" ({', '.join(entry.choices)})" if entry.choices else ""
        yield f"| `{entry.key}` | `{entry.default}` | {_text(entry.allowed)} | {_text(f'{entry.meaning}{some}')} |"
    yield ""


def _tables() -> Iterator[str]:
    yield "## Columns\n"
    yield "`runs.csv` has a line per run; the settings stand between `error` and `trial`, options with their dots."
    yield "An empty cell is a missing value.\n"
    for title, columns in {
        "runs.csv": (*IDENTITY, *BESIDE_SETTINGS, TRIAL, *OUTCOME),
        "metrics.csv": METRICS,
        "probes.csv": PROBES,
    }.items():
        yield f"### {title}\n"
        yield "| column | what it holds |"
        yield "|---|---|"
        for column in columns:
            told = AT_EACH_EVALUATION if columns is METRICS else {}
            yield f"| `{column}` | {told.get(column) or COLUMNS[column]} |"
        yield ""


if __name__ == "__main__":
    (Path(__file__).parent / "reference.md").write_text(markdown(), encoding="utf-8")
