"""Runs that differ in the seed of their split are planned as one kind, and a split that cannot be had is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bnbench.components import DataFolder, components
from bnbench.data import Data
from bnbench.notices import heard
from bnbench.plan import Resources, examine
from bnbench.plan.choice import division
from bnbench.spec import Choice, RunSpec, run_id
from tests.conftest import Program, make_spec


def specs_of(*settings: str, splits: int = 40) -> dict[str, RunSpec]:
    specs = [make_spec(*settings, f"split.seed={seed}") for seed in range(splits)]
    return {run_id(spec): spec for spec in specs}


class Counted(DataFolder):
    """Counts the splits that are loaded."""

    def __call__(self, spec: RunSpec) -> Data:
        loaded.add(spec.split.seed)
        return super().__call__(spec)


loaded: set[int] = set()


def test_forty_splits_are_one_case():
    specs, parts, told = specs_of("model=mlp", "norm=batch"), components(), list[str]()
    loaded.clear()
    with heard(told.append):
        found = examine(specs, parts, Counted(parts, Path("data")))
        assert loaded == {0}
        divided = division(specs, parts, Counted(parts, Path("data")), Resources(1, lanes=8))
    assert loaded == {0} and not (found.problems or found.impossible or told)
    assert set(found.steps) == set(specs) and len({*found.steps.values()}) == 1
    assert len(divided.executions) == 1


COUNTING = """
from torch import nn
built = []
class Counting(nn.Module):
    def __init__(self, channels):
        super().__init__()
        built.append(channels)
    def forward(self, x):
        return x + 0.0
NORMS = {"counting": Counting}
"""


def test_networks_are_tried_once_where_each_split_has_an_order_of_its_own(tmp_path: Path):
    (tmp_path / "counting.py").write_text(COUNTING)
    parts, builds = components(tmp_path / "counting.py"), []
    for splits in (1, 5):
        specs = specs_of("model=mlp", "batches=single_class", splits=splits)
        specs = {name: replace(spec, norm=Choice("counting"), plugin="counting.py") for name, spec in specs.items()}
        built = vars(sys.modules[parts.registries["norm"]["counting"].__module__])["built"]
        built.clear()
        found = examine(specs, parts, DataFolder(parts, Path("data")))
        builds.append(len(built))
        assert set(found.steps) == set(specs)
    assert builds[0] == builds[1] > 0


def test_a_split_that_lacks_a_class_is_refused_before_training(program: Program):
    """The last example of the rare class is tied with one of the other: the draw decides which is for training."""
    x = np.zeros((10, 4), np.float32)
    np.savez("mine.npz", x=x[:8], y=[0] * 6 + [1] * 2, x_test=x[8:], y_test=[0, 1])
    words = ("model=mlp", "norm=none", "batch_size=1", "dataset=npz", f"dataset.path={Path('mine.npz').absolute()}")
    codes = {}
    for seeds in (*map(str, range(6)), "range(6)"):
        found = program("sweep", *words, "split.validation=0.75", f"split.seed={seeds}", "--dry-run")
        refusals = found.err.count(
            "split.validation=0.75: every class needs an example in every part; of 8 examples, 2"
        )
        codes[seeds] = found.code, refusals
    assert {*codes.values()} == {(0, 0), (2, 1)} and codes["range(6)"] == (2, 1)
    assert not Path("results").exists()
