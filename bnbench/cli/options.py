"""The options of the commands, with their help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.settings import output_path, path_of, process_count, seconds_of

GRID, SEARCH, TRAINING, TABLES, OUTPUT = "Grid", "Search", "Training", "Tables", "Output"
"""Panels of --help; options of none are on the first one."""


def _completed(incomplete: str) -> list[str]:
    from bnbench.cli.completion import settings

    return settings(incomplete)


def completed_studies(incomplete: str) -> list[str]:
    """See :func:`bnbench.cli.completion.studies`."""
    from bnbench.cli.completion import studies

    return studies(incomplete)


def completed_arms(incomplete: str) -> list[str]:
    """The norms that a text may become, and the settings."""
    from bnbench.cli.completion import settings
    from bnbench.schema import built_in

    return [name for name in built_in().names("norm") if name.startswith(incomplete)] + settings(incomplete)


def _completed_tasks(incomplete: str) -> list[str]:
    from bnbench.paths import conf_dir

    names = sorted(path.stem for path in (conf_dir() / "task").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]


def completed_sweeps(incomplete: str) -> list[str]:
    """See :func:`bnbench.cli.completed_results.sweeps`."""
    from bnbench.cli.completed_results import sweeps, typed_settings

    return sweeps(typed_settings(), incomplete)


def _completed_runs(incomplete: str) -> list[str]:
    from bnbench.cli.completed_results import runs, typed_settings

    return runs(typed_settings(), incomplete)


def completed_runs_and_sweeps(incomplete: str) -> list[str]:
    """The sweeps, then the runs, that a text may become."""
    return [*completed_sweeps(incomplete), *_completed_runs(incomplete)]


def completed_runs_and_tags(incomplete: str) -> list[str]:
    """The sweeps and runs, then the tags, that a text may become."""
    from bnbench.cli.completed_results import tags, typed_settings

    return [*completed_runs_and_sweeps(incomplete), *tags(typed_settings(), incomplete)]


def completed_sweeps_and_conditions(incomplete: str) -> list[str]:
    """The sweeps, then the conditions on runs, that a text may become."""
    from bnbench.cli.completed_results import conditions, typed_settings

    return [*completed_sweeps(incomplete), *conditions(typed_settings(), incomplete)]


def _completed_baselines(incomplete: str) -> list[str]:
    from bnbench.cli.completed_results import baselines, typed_settings

    return baselines(typed_settings(), incomplete)


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Completion of one of some words."""

    def completed(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return completed


VIEW_NAMES = ("convergence", "learning-rate", "small-batch")
FORMAT_NAMES = ("terminal", "markdown", "csv", "latex", "html")
EXPORT_NAMES = ("spec", "csv", "tensorboard", "mlflow", "wandb")
SCALE_NAMES = ("smoke", "cpu", "gpu")
LAUNCHER_NAMES = ("local", "inline", "ray", "slurm")
METHOD_NAMES = ("random", "tpe", "grid")
SHELL_NAMES = ("bash", "zsh", "fish")
KINDS = {
    "settings": "all settings, with their defaults and what they can be",
    "norms": "normalization layers: what each does, and its options",
    "models": "networks, and their options",
    "datasets": "data, and their options",
    "optims": "optimizers, and their options",
    "schedules": "how the learning rate changes during training",
    "probes": "what can be measured inside training",
    "launchers": "where runs train, and the settings of each",
    "studies": "claims that can be decided, by bnbench study run",
    "tasks": "data and networks to ask questions on: bnbench compare --on",
}
"""What can be listed, and what it is."""
KIND_NAMES = tuple(KINDS)
"""Names that are offered before the modules that have them are imported."""

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SETTING...]",
        autocompletion=_completed,
        help="Settings in Hydra's grammar: norm=group lr=0.1 model.depth=5; bnbench list settings shows all.",
    ),
]
Plugin = Annotated[
    Path | None,
    typer.Option(
        "--plugin",
        parser=path_of("--plugin"),
        metavar="FILE",
        help="A Python file with your own NORMS, MODELS or DATASETS.",
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar="SCALE",
        autocompletion=one_of(*SCALE_NAMES),
        help="smoke (seconds), cpu (minutes) or gpu.",
    ),
]
SweepName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        autocompletion=completed_sweeps,
        help="The sweep's folder under --results. Default: model-dataset-date.",
    ),
]
Extend = Annotated[bool, typer.Option("--extend", help="Add this grid to a sweep that was begun with another one.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be trained, and how long.")]
Zips = Annotated[
    list[str] | None,
    typer.Option("--zip", metavar="TEXT", rich_help_panel=GRID, help="Factors that advance together: 'a=1,2 b=3,4'."),
]
Excludes = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="TEXT", rich_help_panel=GRID, help="Leave out: 'norm=none batch_size=2'."),
]
SearchMethod = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="METHOD",
        autocompletion=one_of(*METHOD_NAMES),
        rich_help_panel=SEARCH,
        help="random, tpe or grid: trials at points of 'lr=tag(log,interval(0.001,1))', instead of a grid.",
    ),
]
SearchTrials = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", rich_help_panel=SEARCH, help="How many points of the space to try."),
]
SearchPer = Annotated[
    str | None,
    typer.Option(
        "--per",
        metavar="FACTOR",
        rich_help_panel=SEARCH,
        help="Search separately for each value of this factor, as norm, with --trials points each.",
    ),
]
SearchHalving = Annotated[
    int | None,
    typer.Option(
        "--halving",
        metavar="N",
        rich_help_panel=SEARCH,
        help="Successive halving: at each rung one of N trials goes on, the others stop; 3 is usual.",
    ),
]
SearchSeed = Annotated[
    int | None,
    typer.Option(
        "--search-seed",
        metavar="N",
        rich_help_panel=SEARCH,
        help="Seed of the search; the same seed tries the same points.  \\[default: 0]",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=process_count,
        metavar="N",
        rich_help_panel=TRAINING,
        help="Worker processes.  \\[default: one per core or GPU]",
    ),
]
Launcher = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=TRAINING,
        autocompletion=one_of(*LAUNCHER_NAMES),
        help="Where runs train: local, inline, ray or slurm, with launcher.KEY=VALUE as settings.",
    ),
]
Lanes = Annotated[
    str,
    typer.Option(
        metavar="N",
        rich_help_panel=TRAINING,
        autocompletion=one_of("auto", "off"),
        help="Runs trained as one network: auto, off or a number.",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", rich_help_panel=TRAINING, help="Try failed runs again.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", rich_help_panel=TRAINING, help="Stop at the first failure.")]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every",
        parser=seconds_of("--checkpoint-every", may_be_off=True),
        metavar="TIME",
        rich_help_panel=TRAINING,
        help="Training that is killed goes on from the last checkpoint: 90s, 10m, 1h or off.  \\[default: 5m]",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=seconds_of("--timeout"),
        metavar="TIME",
        rich_help_panel=TRAINING,
        help="End runs that train for longer, or hang: 90s, 30m or 2h.",
    ),
]
SaveWeights = Annotated[
    bool,
    typer.Option("--save-weights", rich_help_panel=TRAINING, help="Keep the weights of trained networks, in weights/."),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        rich_help_panel=TRAINING,
        help="Leave the runs to Slurm once they are submitted; the same command collects them.",
    ),
]
Views = Annotated[
    list[str] | None,
    typer.Option(
        "--view",
        metavar="VIEW",
        autocompletion=one_of(*VIEW_NAMES),
        rich_help_panel=TABLES,
        help="convergence, learning-rate or small-batch; repeatable.",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="KEY=VALUE",
        rich_help_panel=TABLES,
        autocompletion=_completed_baselines,
        help="What rows are compared with: norm=none.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="SHARE",
        rich_help_panel=TABLES,
        help="Validation accuracy to reach: 0.9 or 90%; repeatable.",
    ),
]
Rates = Annotated[
    str,
    typer.Option(
        metavar="WHICH",
        autocompletion=one_of("best", "all"),
        rich_help_panel=TABLES,
        help="best: each row at its own best learning rate; all: a row for each.",
    ),
]
Versions = Annotated[
    bool,
    typer.Option(
        "--versions",
        rich_help_panel=TABLES,
        help="Show older versions of a plugin's components as well: mine@1, mine@2.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        autocompletion=one_of(*FORMAT_NAMES),
        rich_help_panel=OUTPUT,
        help="terminal, markdown, csv, latex or html.  \\[default: by the ending of --out]",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=output_path,
        metavar="PATH",
        rich_help_panel=OUTPUT,
        help="Write to a file: .txt, .md, .csv, .tex or .html; - is standard output.",
    ),
]
Open = Annotated[
    bool, typer.Option("--open", rich_help_panel=OUTPUT, help="Write a page (html) and open it in a browser.")
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch", rich_help_panel=OUTPUT, help="Write a page (html), and anew while runs train, until Ctrl-C."
    ),
]
FigureFolder = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        parser=path_of("--figures"),
        metavar="FOLDER",
        rich_help_panel=OUTPUT,
        help="Draw figures into a folder, each with its numbers as CSV.",
    ),
]
FigureFormats = Annotated[
    str,
    typer.Option(
        "--figure-format",
        metavar="FORMATS",
        autocompletion=one_of("svg", "pdf", "png", "svg,pdf"),
        rich_help_panel=OUTPUT,
        help="svg, pdf or png, or several: svg,pdf.",
    ),
]
Sweeps = Annotated[
    list[str],
    typer.Argument(metavar="SWEEP...", autocompletion=completed_sweeps, help="Names of sweeps, or their folders."),
]
RunName = Annotated[
    str,
    typer.Option("--name", metavar="NAME", autocompletion=completed_sweeps, help="The sweep that the run belongs to."),
]
RunId = Annotated[
    str,
    typer.Argument(metavar="RUN", autocompletion=_completed_runs, help="A run id, or the beginning of one."),
]
Kind = Annotated[
    str,
    typer.Argument(
        metavar="[KIND]",
        autocompletion=one_of(*KIND_NAMES),
        help=f"{', '.join(KIND_NAMES[:-1])} or {KIND_NAMES[-1]}; without one, what each of them is.",
    ),
]
StudyWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME [SETTING...]",
        autocompletion=completed_studies,
        help="A study, or a YAML file that holds one; settings in place of its own.",
    ),
]
StudiesWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...] [SETTING...]",
        autocompletion=completed_studies,
        help="Studies, or YAML files that hold one; and settings in place of their own.",
    ),
]
ArmWords = Annotated[
    list[str],
    typer.Argument(
        metavar="ARM... [SETTING...]",
        autocompletion=completed_arms,
        help="Norms, with options in one word: 'group groups=8'; and settings of all runs: seeds=40.",
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="ARM",
        autocompletion=completed_arms,
        help="What each is compared with; repeatable.  \\[default: batch, group, layer, rms, none]",
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--on",
        metavar="TASK",
        autocompletion=_completed_tasks,
        help="A task to ask on: data and network, by a name of bnbench list tasks or a YAML file; repeatable."
        "  \\[default: the data and network of each question]",
    ),
]
AllPairs = Annotated[
    bool,
    typer.Option(
        "--all-pairs",
        help="Compare all of them with each other: the arms and those of --against; without it, the arms alone where"
        " there are several.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        parser=seconds_of("--budget"),
        metavar="TIME",
        help="Stop after this time and print what is decided: 90s, 10m, 1h; the same command goes on.",
    ),
]
AllStudies = Annotated[
    bool, typer.Option("--all", help="All studies that come with bnbench, but for those that are run by name only.")
]
