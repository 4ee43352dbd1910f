import sys
from pathlib import Path

import pytest
from torch import nn

from bnbench.components import Components, components
from bnbench.config import compose_request
from bnbench.native import c_compiler
from bnbench.plan import ALONE, Execution, Resources, stacks
from bnbench.plan.case import Case, activations
from bnbench.plan.choice import division
from bnbench.plan.size import step_alone
from bnbench.spec import run_id, stack_key
from bnbench.user_cache import keep, kept_text
from tests.conftest import load_data

SMALL = ("model=mlp", "epochs=1")


def _division(specs, workers: int, lanes: int | None, parts: Components | None = None) -> dict[str, Execution]:
    return division(specs, parts or components(), load_data, Resources(workers, lanes)).executions


def executions(*overrides: str, workers: int = 2, lanes: int | None = None, parts: Components | None = None):
    specs = compose_request([*SMALL, *overrides], components()).specs
    return list(_division({run_id(spec): spec for spec in specs}, workers, lanes, parts).values())


def planned(*overrides: str, workers: int = 2, lanes: int | None = None, parts: Components | None = None):
    request = compose_request([*SMALL, *overrides], components())
    assert not request.problems
    specs = {run_id(spec): spec for spec in request.specs}
    found = stacks(specs, _division(specs, workers, lanes, parts), workers, spread=lanes is None)
    assert sorted(identity for stack in found for identity in stack) == sorted(specs)
    assert all(len({stack_key(specs[identity]) for identity in stack}) == 1 for stack in found)
    return [[specs[identity] for identity in stack] for stack in found]


def test_runs_that_differ_in_numbers_share_a_stack():
    owned = ("lr=0.1,0.2", "seed=range(5)", "optim.momentum=0,0.9", "optim.weight_decay=0,0.1")
    found = planned(*owned, "batch_size=8", workers=1)
    assert [len(stack) for stack in found] == [40]


def test_other_differences_do_not():
    found = planned("norm=none,batch", "batch_size=8,16", "seed=range(3)", workers=1)
    assert sorted(len(stack) for stack in found) == [3, 3, 3, 3]


def test_every_worker_gets_something():
    assert [len(stack) for stack in planned("seed=range(60)", workers=2)] == [30, 30]
    assert len(planned("seed=range(60)", workers=4)) == 4


@pytest.mark.parametrize(("lanes", "sizes"), [(1, [1] * 10), (4, [4, 3, 3]), (10, [10]), (99, [10])])
def test_a_given_number_of_lanes_is_kept(lanes, sizes):
    assert sorted((len(stack) for stack in planned("seed=range(10)", lanes=lanes)), reverse=True) == sizes


def test_a_run_that_is_left_is_trained_by_the_engine_of_its_stack():
    """Its numbers are those that it would have had in the stack that it is left of."""
    assert [len(stack) for stack in planned("seed=range(7)", "grad_clip=1", lanes=2)] == [2, 2, 2, 1]
    assert [one.engine for one in executions("seed=range(7)", "grad_clip=1", lanes=2)] == ["stacked"]
    assert executions("seed=0", lanes=4) == [ALONE]


def test_why_runs_are_not_trained_by_a_faster_engine_is_known():
    reasons = {
        "seed=range(3)": (),
        "seed=range(3) grad_clip=1": ("not compiled: it knows neither bf16 nor clipped gradients",),
        "seed=range(3) norm=frn": (),
        "seed=0": (),
    }
    if c_compiler() is None:
        reasons |= dict.fromkeys(list(reasons)[::2], ("not compiled: there is no C compiler",))
    for words, expected in reasons.items():
        assert [one.reasons for one in executions(*words.split())] == [expected], words
    (clipped,) = executions("seed=range(3)", "precision=bf16")
    assert clipped.engine == "stacked" and clipped.reasons


def test_limits_that_are_known_are_not_looked_for():
    request = compose_request([*SMALL, "seed=range(4)"], components())
    specs = {run_id(spec): spec for spec in request.specs}
    known = {stack_key(request.specs[0]): 3}
    found = division(specs, components(), load_data, Resources(2, known=known)).executions
    assert {key: one.lanes for key, one in found.items()} == known


def test_the_longest_to_train_comes_first():
    batches = [stack[0].batch_size for stack in planned("batch_size=128,2,32,8", "seed=range(2)", workers=1)]
    assert batches == [2, 8, 32, 128]


def test_large_activations_mean_few_lanes():
    wide = planned("model.width=2000", "batch_size=512", "grad_clip=1", "seed=range(10)", workers=1)
    assert max(len(stack) for stack in wide) == 1


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(("seconds", "lanes"), [(0.5, 4), (2.0, 1)])
def test_a_large_network_is_compiled_if_that_is_measured_to_be_quicker(
    monkeypatch: pytest.MonkeyPatch, seconds: float, lanes: int
):
    """Four lanes' weights, velocities and copies are what memory holds."""

    def measured(*asked, native: bool):
        return seconds if native else 1.0

    monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], "seconds_per_lane", measured)
    found = planned("model.width=1400", "batch_size=16", "seed=range(10)", workers=1)
    assert max(len(stack) for stack in found) == lanes


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(("quicker", "measured"), [(5.0, [2]), (3.0, [2, 1])])
def test_torch_is_measured_only_where_compiled_code_may_be_slower(
    monkeypatch: pytest.MonkeyPatch, quicker: float, measured: list[int]
):
    (spec,) = compose_request([*SMALL, "model.width=1400", "batch_size=16"], components()).specs
    thought = step_alone(Case(spec, components(), load_data(spec)))
    asked = []

    def measure(case: Case, lanes: int, native: bool) -> float:
        asked.append(lanes)
        return thought / quicker if native else thought

    monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], "seconds_per_lane", measure)
    found = planned("model.width=1400", "batch_size=16", "seed=range(10)", workers=1)
    assert max(len(stack) for stack in found) == 4 and asked == measured


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    ("seconds", "settings", "engine"),
    [
        (5.0, [], "reference"),
        (0.001, [], "native"),
        (0.001, ["grad_clip=1"], "reference"),
        (0.001, ["norm=renorm"], "reference"),
    ],
    ids=["little work", "much", "clipped", "not compiled"],
)
def test_a_run_without_companions_is_compiled_if_that_is_worth_the_proof(
    monkeypatch: pytest.MonkeyPatch, seconds: float, settings: list[str], engine: str
):
    monkeypatch.setattr(sys.modules["bnbench.plan.choice"], "WORTH_PROVING", seconds)
    assert [one.engine for one in executions(*settings)] == [engine]


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(("seconds", "engine"), [(0.5, "native"), (2.0, "reference")])
def test_a_large_run_without_companions_is_compiled_if_that_is_measured_to_be_quicker(
    monkeypatch: pytest.MonkeyPatch, seconds: float, engine: str
):
    def measured(*asked, native: bool):
        return seconds if native else 1.0

    monkeypatch.setattr(sys.modules["bnbench.plan.choice"], "WORTH_PROVING", 0.0)
    for name, value in (
        ("WORTH_MEASURING", 0),
        ("WORKING_SET", 0),
        ("seconds_per_lane", measured),
    ):
        monkeypatch.setattr(sys.modules["bnbench.plan.lanes"], name, value)
    assert [one.engine for one in executions()] == [engine]


def test_a_network_that_does_not_fold_is_trained_alone():
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return self.head(x.flatten(1).flip(0))

    registries = components().registries
    parts = Components({**registries, "model": {"mlp": lambda norm, shape, classes, **_: Mixing()}}, {})
    assert [len(stack) for stack in planned("seed=range(3)", parts=parts)] == [1, 1, 1]
    (one,) = executions("seed=range(3)", parts=parts)
    assert one.engine == "reference" and "output" in one.reasons[0]


def test_activations_are_counted_at_the_leaves():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
    assert activations(network, (1, 8, 8)) == 3 * 256 + 10


def test_a_proof_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert [len(stack) for stack in planned("seed=range(2)", workers=1)] == [2]
    kept = list((tmp_path / "bnbench" / "proofs").iterdir())
    assert kept and {kept_text(path) for path in kept} == {"proved"}
    for path in kept:
        keep(path, "training: output differs")
    assert [len(stack) for stack in planned("seed=range(2)", workers=1)] == [1, 1]
    for content in (b"", b"proved", b"training: output differs"):
        for path in kept:
            path.write_bytes(content)
        assert [len(stack) for stack in planned("seed=range(2)", workers=1)] == [2], "it is proved anew"
        assert {kept_text(path) for path in kept} == {"proved"}
    assert [len(stack) for stack in planned("seed=range(2)", "model.width=17", workers=1)] == [2]


def test_a_proof_that_cannot_be_kept_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert [len(stack) for stack in planned("seed=range(2)", workers=1)] == [2]


@pytest.mark.parametrize(("most", "sizes"), [(None, [18]), (2, [6, 6, 6]), (4, [12, 6]), (99, [18])])
def test_a_stack_has_no_more_splits_than_memory_holds(most: int | None, sizes: list[int]):
    request = compose_request([*SMALL, "seed=range(3)", "split.seed=range(6)"], components())
    specs = {run_id(spec): spec for spec in request.specs}
    way = Execution("stacked", 99, splits=most)
    found = stacks(specs, dict.fromkeys(map(stack_key, request.specs), way), workers=1, spread=False)
    assert [len(stack) for stack in found] == sizes
    assert all(
        len({specs[name].split for name in stack}) == size // 3 for stack, size in zip(found, sizes, strict=True)
    )


@pytest.mark.parametrize(("domains", "splits"), [("[]", None), ("[plain,contrast_0.4]", 282)])
def test_splits_have_images_of_their_own_in_domains(domains: str, splits: int | None):
    """1,797 images of 64 float32 with their labels are 474,408 bytes, in 2^27 bytes 282 times."""
    (found,) = {*executions(f"domains={domains}", "seed=range(20)")}
    assert found.splits == splits
