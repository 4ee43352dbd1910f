"""Offline runs of Weights & Biases, which nobody sends anywhere until wandb sync is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnbench.exports.values import missing, points, results, settings
from bnbench.store import SingleRun


def write_wandb(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    """Write an offline run for each run, by its id, in the project of its sweep."""
    try:
        import wandb
    except ImportError as error:
        raise missing("wandb", error) from error
    for run in runs:
        target = wandb.init(
            mode="offline",
            dir=str(folder),
            project=run.folder.name,
            id=run.identity,
            config=settings(run),
            tags=[run.status, *run.tags],
        )
        by_step: dict[int, dict[str, float]] = {}
        for step, numbers in points(run):
            by_step.setdefault(step, {}).update(numbers)
        for step in sorted(by_step):
            target.log(by_step[step], step=step)
        target.summary.update({f"result/{name}": number for name, number in results(run).items()})
        target.finish()
    wandb.teardown()  # until then some of it is on its way to the disk
    return [f"send it with: wandb sync {folder}/wandb/offline-run-*"]
