"""Run ids: text to whoever reads them, and those of results of before are still read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from bnbench.spec import run_id, stack_key
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program, make_spec

OLD = ("012345678901", "3625e7123456", "1e5000000000")
"""As they were up to schema version 3."""


def test_no_identity_reads_as_a_number_or_a_date():
    spec = make_spec("model=mlp")
    identities = [run_id(replace(spec, seed=seed)) for seed in range(5000)]
    identities += [stack_key(replace(spec, batch_size=size)) for size in range(1, 5000)]
    assert {len(identity) for identity in identities} == {12}
    table = pd.DataFrame({"run_id": identities})
    assert pd.read_csv(io.StringIO(table.to_csv(index=False)))["run_id"].tolist() == identities
    assert yaml.safe_load("\n".join(f"- {identity}" for identity in identities)) == identities
    assert pd.to_datetime(table["run_id"], errors="coerce", format="mixed").isna().all()
    for identity in identities:
        assert re.fullmatch(r"[a-z][0-9a-z]+", identity)
        with pytest.raises(ValueError):
            float(identity)


@pytest.fixture
def old(program: Program) -> Iterator[Path]:
    """A sweep as a program of before has left it."""
    assert program("sweep", "--name", "s", "--launcher", "inline", *SMALL, "seed=0,1,2").code == 0
    folder = Path("results/s")
    for new, before in zip([row["run_id"] for row in rows("results/s/runs.csv")], OLD, strict=True):
        for name in ("runs.csv", "metrics.csv"):
            path = folder / name
            path.write_text(path.read_text().replace(new, before))
        (folder / "specs" / f"{new}.yaml").rename(folder / "specs" / f"{before}.yaml")
    yield folder


def test_results_of_before_are_read(program: Program, old: Path):
    assert "3 completed" in program("ls").out
    for identity in OLD:
        shown = program("show", identity)
        assert shown.code == 0 and re.search(rf"run_id +{identity} ", shown.out)
    assert "3/3" in program("report", "s", "--view", "convergence", "--target", "1%").out
    again = program("run", "--name", "t", "--from", f"results/s/specs/{OLD[0]}.yaml")
    assert again.code == 0
    assert f"the file is named for run {OLD[0]}; what it holds now is run {run_id(make_spec(*SMALL))}" in again.out


def test_an_extended_sweep_of_before_trains_again_and_counts_once(program: Program, old: Path):
    extended = program("sweep", "--name", "s", "--launcher", "inline", *SMALL, "seed=0,1")
    assert extended.code == 0 and "trained 2 in" in extended.out
    assert [row["run_id"] for row in rows("results/s/runs.csv")][:3] == list(OLD)
    report = program("report", "s", "--view", "convergence", "--target", "1%").out
    assert "3/3" in report and "2 of 5 runs are not counted: 2 trained again by a later version." in report


def test_a_sweep_goes_by_its_name_whatever_it_looks_like(program: Program):
    names = ("nan", "NA", "null", "1e5", "007", "7", "true")
    for seed, name in enumerate(names):
        assert program("sweep", "--name", name, "--launcher", "inline", *SMALL, f"seed={seed}").code == 0
    report = program("report", *names, "--view", "convergence", "--target", "1%", "--baseline", "sweep=007")
    assert report.code == 0, report.err
    listed = [line.split()[0] for line in report.out.splitlines() if " 1/1 " in line]
    assert sorted(listed) == sorted(names)
