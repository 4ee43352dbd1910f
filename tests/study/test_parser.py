"""Studies are read strictly: what is there is valid, and what is wrong is named, all of it at once."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench.errors import InvalidRequest
from bnbench.stats import ALPHA, detectable_effect, fewest_replicates
from bnbench.study import SCALES, Place, forecast_study, load, merged, names, names_of_all, read_study
from bnbench.study.catalog import family_size
from tests.products import long
from tests.study.files import TREE, study_file

SCIENCE = (
    "convergence", "covariate_shift", "gradient_flow", "learning_rate", "memory", "non_stationary",
    "non_stationary_batches", "overhead", "placement", "regularization", "scale_and_shift", "small_batch",
)  # fmt: skip
BY_NAME = (
    "transformer_batch", "transformer_few", "transformer_gradients", "transformer_placement", "transformer_tanh",
    "transformer_warmup",
)  # fmt: skip
SHIPPED = (*SCIENCE, *BY_NAME)


def test_there_is_a_study_for_each_claim():
    assert tuple(names()) == SHIPPED


def test_all_studies_are_those_that_need_not_be_named():
    assert tuple(names_of_all()) == SCIENCE


@pytest.mark.parametrize("name", SHIPPED)
def test_a_study_is_complete_and_can_be_planned(name: str, tmp_path: Path):
    (study,) = load([name])
    assert set(study.scales) == set(SCALES) and study.not_tested
    alpha = ALPHA / family_size(study)
    assert detectable_effect(study.scales["cpu"].seeds, alpha) < 1
    assert study.scales["gpu"].seeds >= fewest_replicates(alpha)
    for scale in ("smoke", "cpu"):
        found = forecast_study(study, scale, Place(tmp_path, tmp_path))
        assert not found.plan.impossible and found.reporting
        tuned = any(not claim.measure.every_lr for claim in study.claims) and len(study.scales[scale].lr) > 1
        assert bool(found.tuning) == tuned


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("memory", "small_batch") else long) for name in SHIPPED]
)
def test_the_gpu_scale_fits_images_of_its_size(name: str, tmp_path: Path):
    """On drawn images of CIFAR-10's shape, which need no files."""
    (study,) = load([name])
    scale = study.scales["gpu"]
    assert "dataset=cifar10" in scale.overrides
    drawn = ["dataset=synthetic", "dataset.examples=8000"]
    overrides = tuple(merged(scale.overrides, drawn))
    found = forecast_study(
        replace(study, scales={"gpu": replace(scale, overrides=overrides)}), "gpu", Place(tmp_path, tmp_path)
    )
    assert not found.plan.impossible and found.reporting >= 20


SPOILED = [
    (("arms", "batch"), "norm=batch", ["arms.batch=norm=batch: must be a list"]),
    (("claims", "accuracy", "expects"), "higher", ["claims.accuracy.expects: unknown; did you mean 'expect'?"]),
    (("claims", "accuracy", "expect"), "more", ["claims.accuracy.expect=more: not allowed; ", "higher, lower"]),
    (("claims", "accuracy", "measure"), "test_acuracy", ["unknown measure; did you mean 'test_accuracy'?"]),
    (("claims", "accuracy", "measure"), {"steps_to_target": {}}, ["measure.steps_to_target.target: is missing"]),
    (("claims", "accuracy", "measure"), {"test_accuracy": {"of": 1}}, ["measure.test_accuracy.of: unknown"]),
    (("claims", "accuracy", "compare"), ["batch", "nome"], ["compare=nome: did you mean 'none'?"]),
    (("claims", "accuracy", "compare"), ["batch"], ["claims.accuracy.compare=[batch]: must be two arms"]),
    (("claims", "accuracy", "cells"), ["all", "all"], ["claims.accuracy.cells=[all,all]: must be one cell, or two"]),
    (("claims", "accuracy", "cells"), ["small"], ["cells=small: ", "Allowed: all"]),
    (("claims", "accuracy", "smallest_effect"), 0, ["smallest_effect=0: must be above 0 for a difference"]),
    (("scales", "large"), {}, ["scales.large=large: not allowed", "smoke, cpu, gpu", "scales.large.lr: is missing"]),
    (("scales", "cpu", "lr"), [0.1, 0.01], ["scales.cpu.lr=[0.1,0.01]: must be learning rates above zero, ascending"]),
    (("scales", "cpu", "seeds"), 0, ["scales.cpu.seeds=0: must be a whole number from 1 to 1000"]),
    (
        ("fixed",),
        ["lr=0.1", "batch"],
        ["lr is set by the study itself; leave it out", "'batch' must be a setting such as"],
    ),
    (("not_testd",), [], ["not_testd: unknown; did you mean 'not_tested'?"]),
    (("claims",), {}, ["claims: must be names with their content"]),
]


@pytest.mark.parametrize(("keys", "value", "says"), SPOILED)
def test_a_slip_is_named(tmp_path: Path, keys: tuple[str, ...], value: object, says: list[str]):
    tree = copy.deepcopy(TREE)
    part = tree
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    with pytest.raises(InvalidRequest) as error:
        read_study(study_file(tmp_path, tree))
    for text in says:
        assert text in str(error.value)


def test_all_slips_are_named_at_once(tmp_path: Path):
    tree = {**TREE, "pared": True, "alone": "yes", "source": 3}
    with pytest.raises(InvalidRequest) as error:
        read_study(study_file(tmp_path, tree))
    assert len(error.value.problems) == 3, error.value.problems


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "source: x"])
def test_a_file_that_is_no_study(tmp_path: Path, text: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=re.escape(str(path))):
        read_study(path)


def test_unknown_studies_are_refused_together(tmp_path: Path):
    with pytest.raises(InvalidRequest, match=r"(?s)did you mean 'placement'.*absent\.yaml: cannot be read"):
        load(["placment", str(tmp_path / "absent.yaml")])
    study_file(tmp_path, TREE, "placement")
    with pytest.raises(InvalidRequest, match="two files have this name"):
        load(["placement", str(tmp_path / "placement.yaml")])


def test_settings_are_checked_as_a_sweep_s_are(tmp_path: Path):
    tree = {**TREE, "arms": {"batch": ["norm=bath"], "none": ["norm=none", "norm.epps=1"]}}
    study = read_study(study_file(tmp_path, tree))
    with pytest.raises(InvalidRequest, match=r"(?s)study mine: norm=bath: unknown norm.*did you mean 'batch'.*epps"):
        forecast_study(study, "cpu", Place(tmp_path, tmp_path))
