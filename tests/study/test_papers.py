"""Studies that repeat a paper's experiment: they can be carried out, and stand beside what the paper says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bnbench.stats import ALPHA, fewest_replicates
from bnbench.study import Place, forecast_study, load, merged
from bnbench.study.catalog import family_size

ROOT = Path(__file__).resolve().parents[2]
PAPERS = sorted((ROOT / "conf" / "paper").glob("*.yaml"))
DRAWN = {
    "mnist": ["dataset=synthetic", "dataset.channels=1", "dataset.size=28", "dataset.examples=20000"],
    "imagefolder": ["dataset=synthetic", "dataset.examples=5000"],
}
"""Drawn images of the same shape, which need no files."""


@pytest.mark.parametrize("path", PAPERS, ids=[path.stem for path in PAPERS])
def test_a_paper_can_be_repeated(path: Path, tmp_path: Path):
    (study,) = load([str(path)])
    assert study.not_tested and all(claim.published for claim in study.claims)
    assert study.scales["cpu"].seeds >= fewest_replicates(ALPHA / family_size(study))
    (dataset,) = (word.partition("=")[2] for word in study.fixed if word.startswith("dataset="))
    fixed = tuple(merged(study.fixed, DRAWN[dataset]))
    for scale in ("smoke", "cpu"):
        forecast = forecast_study(replace(study, fixed=fixed), scale, Place(tmp_path, tmp_path))
        assert not forecast.plan.impossible and forecast.reporting


@pytest.mark.parametrize("path", PAPERS, ids=[path.stem for path in PAPERS])
def test_a_paper_has_its_section(path: Path):
    assert f"conf/paper/{path.name}" in (ROOT / "results" / "reference" / "papers.md").read_text()
