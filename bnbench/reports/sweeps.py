"""The report of sweeps, read from their folders, with what only they know: Python's versions, and the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pandas as pd

from bnbench.analysis import LearningRates, Options
from bnbench.analysis.baseline import parse_baseline
from bnbench.analysis.versions import select_versions
from bnbench.reports.probes import probe_view
from bnbench.reports.view import Report, ReportView
from bnbench.reports.views import VIEWS, report
from bnbench.store import load_sweep_probes, load_sweeps, read_history
from bnbench.text import listing

RESULTS = Path("results")


def report_sweeps(
    folders: Sequence[Path],
    views: Sequence[str] = tuple(VIEWS),
    baseline: str | None = None,
    targets: Iterable[str | float] = (),
    lr: str = "best",
    versions: bool = False,
) -> Report:
    """Compute views of the runs in the folders of sweeps; see :func:`bnbench.reports.views.report`.

    Raises:
        InvalidRequest: one of them is not there, or the request is wrong; all problems are listed.
        Damaged: a file of one is not as it was written.
    """
    targets = tuple(targets)
    runs, metrics = load_sweeps(folders)
    computed = report(runs, metrics, views, baseline, targets, lr, versions)
    if tuple(views) == tuple(VIEWS):
        computed = replace(computed, views=(*computed.views, *_probes(folders, computed, baseline, lr, versions)))
    options = [
        *(word for view in views if tuple(views) != tuple(VIEWS) for word in ("--view", view)),
        *(["--baseline", baseline] if baseline is not None else []),
        *(word for target in targets for word in ("--target", str(target))),
        *(["--lr", lr] if lr != "best" else []),
        *(["--versions"] if versions else []),
    ]
    command = shlex.join(["bnbench", "report", *map(_word, folders), *options])
    facts = (("Python", _pythons(folders)), ("command", command))
    return replace(computed, provenance=(*computed.provenance, *((name, text) for name, text in facts if text)))


def _probes(
    folders: Sequence[Path], computed: Report, baseline: str | None, lr: str, versions: bool
) -> list[ReportView]:
    """The view of what probes measured, where they measured anything."""
    shown = select_versions(cast(pd.DataFrame, computed.runs), baseline, versions)
    options = Options(parse_baseline(shown.baseline, shown.runs), lr=cast(LearningRates, lr))
    view = probe_view(shown.runs, lambda: load_sweep_probes(folders), options)
    return [] if view is None else [view]


def _word(folder: Path) -> str:
    """A folder as the command names it."""
    return folder.name if folder.parent == RESULTS else str(folder)


def _pythons(folders: Sequence[Path]) -> str:
    entries = [entry for folder in folders for entry in read_history(folder)]
    return listing(list(dict.fromkeys(str(entry["python"]) for entry in entries if "python" in entry)))
