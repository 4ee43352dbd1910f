"""The time without news from the runs that train."""

from __future__ import annotations

import time
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.store.columns import IDENTITY
from bnbench.store.files import read_rows
from bnbench.store.segment import FOLDER, ROWS


def silences(folder: Path) -> dict[str, float]:
    """By run_id, the seconds since a worker wrote a record of a running run or, in a stack, of one beside it."""
    silent: dict[str, float] = {}
    ended: set[str] = set()
    for path in (folder / FOLDER).glob(f"*{ROWS}"):
        try:
            statuses = {row["run_id"]: row["status"] for row in read_rows(path, IDENTITY)}
            beside = path.parent.glob(f"{path.name.removesuffix(ROWS)}.*")
            seconds = time.time() - max(file.stat().st_mtime for file in beside)
        except (OSError, ValueError, Damaged):
            continue  # joined meanwhile, or nothing that can be told from
        for identity, status in statuses.items():
            if status == "running":
                silent[identity] = min(seconds, silent.get(identity, seconds))
            else:
                ended.add(identity)
    return {identity: seconds for identity, seconds in silent.items() if identity not in ended}
