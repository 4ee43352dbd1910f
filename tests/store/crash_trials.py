"""A writer that trains, joins and plans in a loop is killed at random instants, while this program reads all the time.

Imports once and forks the writers, so that a kill costs a fraction of a second.
Usage: python crash_trials.py FOLDER KILLS SEED
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import uuid
from itertools import count
from pathlib import Path

import pandas as pd

from bnbench.spec import run_id
from bnbench.store import RESULTS, enter_runs, join, load_metrics, load_probes, load_runs, locked, statuses
from tests.store.sweeps import expected_metrics, expected_probes, final, make_spec, train

BATCH = 6
SPECS = [make_spec(seed) for seed in range(4000)]
BY_ID = {run_id(spec): spec for spec in SPECS}


def write(folder: Path, told: int) -> None:
    """Do what a session does, again and again, and tell of each finished run through a pipe."""
    for size in count(BATCH, BATCH):
        with locked(folder):
            join(folder)
            specs = SPECS[:size]
            enter_runs(folder, specs, {}, {"runs": size})
            known, session = statuses(folder), uuid.uuid4().hex
            for index, spec in enumerate(spec for spec in specs if known[run_id(spec)] not in RESULTS):
                status = random.choice(["completed", "completed", "failed", "running"])
                train(folder, spec, f"{session}-{index % 2}", status)
                if status == "completed":
                    os.write(told, f"{run_id(spec)}\n".encode())
            join(folder)


def check(folder: Path, promised: set[str]) -> set[str]:
    """Read everything, hold it against what must be there, and return the finished runs."""
    runs, metrics, probes = load_runs(folder), load_metrics(folder), load_probes(folder)
    assert runs["run_id"].is_unique
    assert set(runs["run_id"]) <= BY_ID.keys()
    done = runs[runs["status"] == "completed"]
    finished = set(done["run_id"])
    assert promised <= finished, f"lost: {promised - finished}"
    for identity, row in done.set_index("run_id").iterrows():
        spec = BY_ID[str(identity)]
        assert (row["test_accuracy"], row["norm"], row["seed"]) == (final(spec)["test_accuracy"], "none", spec.seed)
    assert not metrics.duplicated(["run_id", "step"]).any(), "doubled"
    of_finished = metrics[metrics["run_id"].isin(finished)].sort_values(["run_id", "step"], ignore_index=True)
    expected = expected_metrics([BY_ID[identity] for identity in finished])
    pd.testing.assert_frame_equal(of_finished, expected.astype(of_finished.dtypes))
    measured = probes[probes["run_id"].isin(finished)].sort_values(["run_id", "step"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(
        measured, expected_probes([BY_ID[identity] for identity in finished]).astype(measured.dtypes)
    )
    return finished


def cpu_seconds(process: int) -> float:
    """The CPU time of a process: the instants are spread over its work, however busy the machine is."""
    return time.clock_gettime((~process << 3) | 2)


def main(folder: Path, kills: int, seed: int) -> None:
    instants = random.Random(seed)
    finished: set[str] = set()
    reads, most_segments = 0, 0
    enter_runs(folder, [], {}, {})
    for kill in range(kills):
        news, told = os.pipe()
        writer = os.fork()
        if writer == 0:
            random.seed(seed + kill)
            os.close(news)
            try:
                write(folder, told)
            finally:
                os._exit(1)
        os.close(told)
        heard = b""
        instant, deadline = instants.uniform(0.0, 0.3), time.monotonic() + 5.0
        while cpu_seconds(writer) < instant and time.monotonic() < deadline:
            while select.select([news], [], [], 0)[0]:
                heard += os.read(news, 65536)
            finished = check(folder, finished | set(heard.decode().split("\n")[:-1]))
            reads += 1
            time.sleep(0.001)
        os.kill(writer, signal.SIGKILL)
        _, status = os.waitpid(writer, 0)
        assert os.WIFSIGNALED(status), "the writer itself went wrong"
        while part := os.read(news, 65536):
            heard += part
        os.close(news)
        finished = check(folder, finished | set(heard.decode().split("\n")[:-1]))
        most_segments = max(most_segments, len(list((folder / "segments").glob("*"))))
    with locked(folder):
        join(folder)
    assert check(folder, finished) == finished
    leftovers = [path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name == "segments"]
    assert not leftovers, leftovers
    assert not set(statuses(folder).values()) & {"running"}
    print(f"{len(finished)} runs finished, {reads} reads, {most_segments} files in segments")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
