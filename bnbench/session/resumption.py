"""Pending runs that go on from checkpoints: of an interrupted program, or of runs that stopped before their end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bnbench import store
from bnbench.notices import notice
from bnbench.store import Checkpoint
from bnbench.text import plural

UNUSED = "trained from the beginning, as a checkpoint is not used: {reason}"


@dataclass(frozen=True)
class Resumption:
    """What becomes of the checkpoints in a folder.

    Attributes:
        checkpoints: from which their runs go on, together as they were, or without those that have ended.
        unused: by run_id, why a run that had one begins anew.
    """

    checkpoints: Sequence[Checkpoint] = ()
    unused: Mapping[str, str] | None = None

    @property
    def runs(self) -> set[str]:
        """The run_ids that go on."""
        return {identity for checkpoint in self.checkpoints for identity in checkpoint.runs}

    def notes(self, identities: Collection[str]) -> tuple[str, ...]:
        """Lines for the logs of runs that begin."""
        reasons = dict.fromkeys(reason for identity, reason in (self.unused or {}).items() if identity in identities)
        return tuple(UNUSED.format(reason=reason) for reason in reasons)


def resumption(folder: Path, pending: Collection[str], device: str) -> Resumption:
    """Find the checkpoints from which pending runs go on; those that are of no use any more are removed.

    The caller holds the sweep.

    Args:
        pending: run_ids.
        device: the type of the device that will train them.
    """
    statuses = store.statuses(folder)
    found: list[Checkpoint] = []
    unused: dict[str, str] = {}
    free = set(pending)
    for name, checkpoint in store.list_checkpoints(folder):
        if checkpoint is None:
            unused[name] = "it is no checkpoint, or was damaged"
        elif free.isdisjoint(checkpoint.runs):
            if any(statuses.get(identity) not in store.RESULTS for identity in checkpoint.runs):
                continue  # of runs that are not asked for now
        elif reason := _reason(checkpoint, free, device, statuses):
            unused |= dict.fromkeys(checkpoint.runs, reason)
        else:
            found.append(replace(checkpoint, runs=tuple(identity for identity in checkpoint.runs if identity in free)))
            free -= set(checkpoint.runs)
            continue
        store.remove_checkpoint(folder, name)
    count = sum(statuses[identity] != store.STOPPED for checkpoint in found for identity in checkpoint.runs)
    if count:
        notice(f"{plural(count, 'run')} {'goes' if count == 1 else 'go'} on from where an interrupted program came to")
    return Resumption(found, unused)


def _reason(checkpoint: Checkpoint, free: Collection[str], device: str, statuses: Mapping[str, str]) -> str:
    """Why pending runs cannot go on from a checkpoint of some of them; empty if they can."""
    if reason := store.unfitness(checkpoint, device):
        return reason
    if checkpoint.engine not in ("reference", "stacked", "native"):
        return f"it is of engine {checkpoint.engine!r:.40}"
    others = {statuses.get(identity) for identity in checkpoint.runs if identity not in free}
    if not others <= {*store.RESULTS, store.STOPPED}:
        return "it is of a stack with other runs, which are not trained now"
    return ""
