"""A file store of MLflow: an experiment per sweep, a run per run."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from bnbench.exports.values import missing, points, results, seconds, settings
from bnbench.store import RESULTS, STOPPED, SingleRun

MOST_AT_ONCE = 1000
"""Numbers that MLflow takes in one call."""

_FORBIDDEN = re.compile(r"[^\w./: -]")
"""Characters that no name of MLflow has."""


ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
"""A variable without which newer versions of MLflow refuse stores of files."""


def write_mlflow(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    """Add the runs to the store in a folder."""
    before = os.environ.get(ALLOWED)
    os.environ[ALLOWED] = "true"
    try:
        return _write(runs, folder)
    finally:
        if before is None:
            del os.environ[ALLOWED]
        else:
            os.environ[ALLOWED] = before


def _write(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    try:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise missing("mlflow", error) from error
    uri = folder.absolute().as_uri()
    client = MlflowClient(tracking_uri=uri)
    experiments = {}
    for run in runs:
        sweep = run.folder.name
        if sweep not in experiments:
            known = client.get_experiment_by_name(sweep)
            experiments[sweep] = known.experiment_id if known else client.create_experiment(sweep)
        began, ended = (int(1000 * (seconds(run.row.get(name, "")) or 0)) for name in ("started_at", "finished_at"))
        target = client.create_run(experiments[sweep], start_time=began, run_name=run.identity).info.run_id
        last = int(float(run.row.get("steps_done") or 0))
        outcome = {f"result/{name}": number for name, number in results(run).items()}
        numbers = [
            Metric(_FORBIDDEN.sub("_", name), number, ended, step)
            for step, found in (*points(run), (last, outcome))
            for name, number in found.items()
        ]
        params = [Param(name, str(value)) for name, value in settings(run).items()]
        tags = [RunTag("status", run.status), RunTag("tags", ", ".join(run.tags))]
        client.log_batch(target, params=params, tags=tags)
        for start in range(0, len(numbers), MOST_AT_ONCE):
            client.log_batch(target, metrics=numbers[start : start + MOST_AT_ONCE])
        others = {"planned": "SCHEDULED", STOPPED: "KILLED"}
        status = "FINISHED" if run.status in RESULTS else others.get(run.status, "FAILED")
        client.set_terminated(target, status=status, end_time=ended)
    return [f"look at it with: {ALLOWED}=true mlflow ui --backend-store-uri {uri}"]
