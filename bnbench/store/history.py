"""sweep.yaml: an entry for each call that added to a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bnbench.errors import Damaged
from bnbench.store.files import content, replacing
from bnbench.store.lease import NO_LEASE, Hold

INVOCATIONS = "sweep.yaml"


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The entries of sweep.yaml; none without such a file, or in one that was emptied.

    Raises:
        Damaged: it is not a list of entries in YAML, or an entry's ``runs`` or ``lanes`` are none.
    """
    path = folder / INVOCATIONS
    try:
        history = yaml.safe_load(content(path).decode())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise Damaged(path, f"it is not YAML that can be read ({' '.join(str(error).split())})") from error
    if not isinstance(history, list | None):
        raise Damaged(path, f"it must hold a list, one entry per call, not {type(history).__name__}")
    for number, entry in enumerate(history or [], 1):
        if fault := _fault(entry):
            raise Damaged(path, f"entry {number}: {fault}")
    return history or []


def _fault(entry: Any) -> str | None:
    """The fault of an entry, as far as anything depends on it; None for one that is right."""
    if not isinstance(entry, dict):
        return f"must hold keys and values, not {type(entry).__name__}"
    if not _is_count(entry.get("runs", 0), 0):
        return f"runs={entry['runs']!r:.60}: must be a whole number, at least 0"
    removed = entry.get("removed", [])
    if not isinstance(removed, list) or not all(isinstance(identity, str) for identity in removed):
        return f"removed={removed!r:.60}: must be a list of run ids"
    lanes = entry.get("lanes", {})
    if not isinstance(lanes, dict):
        return f"lanes={lanes!r:.60}: must hold a number of runs for each kind of stack"
    wrong = next((key for key, most in lanes.items() if not isinstance(key, str) or not _is_count(most, 1)), None)
    return None if wrong is None else f"lanes.{wrong}={lanes[wrong]!r:.60}: must be a whole number, at least 1"


def entered(history: Sequence[Mapping[str, Any]]) -> int:
    """The number of runs that a sweep must have at least, by its calls, less those that were removed since."""
    count = 0
    for entry in history:
        count = max(count - len(entry.get("removed", ())), entry.get("runs", 0), 0)
    return count


def removed(history: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of runs that were removed at some time: a crash may have left parts of them."""
    return {identity for entry in history for identity in entry.get("removed", ())}


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def write_history(folder: Path, history: Sequence[Mapping[str, Any]], hold: Hold = NO_LEASE) -> None:
    """Write all entries. The caller holds the sweep."""
    with replacing(folder / INVOCATIONS, check=hold) as stream:
        yaml.safe_dump([dict(entry) for entry in history], stream, sort_keys=False)


def update_last_entry(folder: Path, facts: Mapping[str, Any]) -> None:
    """Add facts to the newest entry of sweep.yaml. The caller holds the sweep.

    Raises:
        Damaged: it has no entry.
    """
    history = read_history(folder)
    if not history:
        raise Damaged(folder / INVOCATIONS, "the entry of the call that is at work is missing")
    write_history(folder, [*history[:-1], {**history[-1], **facts}])
