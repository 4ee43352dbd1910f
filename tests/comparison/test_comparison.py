"""A whole comparison, small: what is found, what is not, and what an interruption or an arm that fails leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bnbench import comparison, store
from bnbench.comparison.views import lines_of
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.study import Place, Scale, sweep_name
from bnbench.study.forecasts import lacking_replicates
from bnbench.study.questions import load_questions, question_names

PLUGIN = """
from torch import nn

class Copy(nn.BatchNorm1d):
    "Batch normalization, written again."

class Blunt(nn.BatchNorm1d):
    "Batch normalization with a far too large eps."
    def __init__(self, num_features):
        super().__init__(num_features, eps=30.0)

class Picky(nn.Module):
    "Refuses batches of two."
    def __init__(self, num_features):
        super().__init__()
    def forward(self, x):
        if len(x) == 2:
            raise ValueError("two is too few for me")
        return x

NORMS = {"copy": Copy, "blunt": Blunt, "picky": Picky}
"""
REPLICATES = 12


def _place(folder: Path) -> Place:
    (folder / "mine.py").write_text(PLUGIN)
    return Place(folder / "results", folder / "data", folder / "mine.py")


def _asked(place: Place, arm: str, question: str, *, against: str = "batch", lr: tuple[float, ...] = (1.0,)):
    """One question of an arm, with few replicates at one learning rate."""
    (whole,) = load_questions([question])
    scale = Scale(lr, REPLICATES, overrides=("epochs=6", "model.width=32"))
    small = replace(whole, scales={"cpu": scale})
    arms = comparison.read_arms([arm, against], place.components)
    return comparison.ask([small], arms, [(arm, against)], "cpu")


def _compared(asked: Sequence[comparison.Asked], place: Place, jobs: int = 1, budget: float = math.inf):
    """The dossier of questions, asked one after the other in this process or, with more jobs, side by side."""
    sizes, _ = comparison.sizes(asked, "cpu", place)
    family = sum(len(one.study.claims) for one in asked)
    return comparison.compare(sizes, comparison.Terms("cpu", place, family, jobs), budget)


def _outcomes(place: Place, arm: str, question: str, **options: object) -> Mapping[str, str]:
    asked = _asked(place, arm, question, **options)
    dossier = _compared(asked, place)
    lines = lines_of(asked, dossier, arm)
    return {line.reading.name: line.rows[0].decision.verdict for line in lines}


def test_a_copy_is_told_from_nothing_and_a_blunt_one_is_found(tmp_path: Path):
    place = _place(tmp_path)
    copy = _outcomes(place, "copy", "convergence")
    assert copy == {"steps": "no difference", "accuracy": "no difference"}
    blunt = _outcomes(place, "blunt", "convergence")
    assert blunt["accuracy"] == "contradicted" or blunt["steps"] == "contradicted", blunt


def test_the_runs_are_those_of_the_study_of_the_same_name(tmp_path: Path):
    place = _place(tmp_path)
    (one,) = _asked(place, "layer", "convergence")
    _compared([one], place)
    runs = store.load_runs(place.results / sweep_name(one.study, "cpu"))
    assert set(runs["norm"]) == {"layer", "batch"} and set(runs["status"]) == {"completed"}
    (again,) = _asked(place, "layer", "convergence")
    (size,), _ = comparison.sizes([again], "cpu", place)
    assert size.runs == 0 and size.finished == len(runs)


def test_side_by_side_they_come_to_the_same(tmp_path: Path):
    """The rows, numbers and ranks of each question, in the order of the questions, and the runs themselves."""
    dossiers, tables = [], []
    for jobs in (1, 2):
        (folder := tmp_path / str(jobs)).mkdir()
        place = _place(folder)
        asked = [*_asked(place, "blunt", "convergence"), *_asked(place, "blunt", "regularization")]
        dossiers.append(_compared(asked, place, jobs))
        tables.append([store.load_runs(place.results / sweep_name(one.study, "cpu")) for one in asked])
    alone, beside = dossiers
    assert list(beside.rows) == list(alone.rows) == ["convergence", "regularization"]
    for name, rows in alone.rows.items():
        decisions = [[repr(row.decision) for row in some] for some in (rows, beside.rows[name])]
        assert decisions[0] == decisions[1]
    assert beside.ranks == alone.ranks and set(beside.values) == set(alone.values)
    for one, other in zip(*tables, strict=True):
        results = [table.set_index("run_id").sort_index()[["test_loss", "test_accuracy"]] for table in (one, other)]
        pd.testing.assert_frame_equal(*results)


def test_an_error_of_a_question_that_is_asked_beside_others_is_that_of_the_question(tmp_path: Path):
    place = _place(tmp_path)
    asked = [*_asked(place, "layer", "convergence"), *_asked(place, "layer", "regularization")]
    damaged = place.results / sweep_name(asked[0].study, "cpu") / "runs.csv"
    sizes, _ = comparison.sizes(asked, "cpu", place)
    damaged.parent.mkdir(parents=True)
    damaged.write_text("no table\n")
    with pytest.raises(BnbenchError, match="is somebody else's"):
        comparison.compare(sizes, comparison.Terms("cpu", place, 2, 2))


def test_a_verdict_can_be_recomputed_from_runs_csv(tmp_path: Path):
    place = _place(tmp_path)
    asked = _asked(place, "layer", "convergence")
    dossier = _compared(asked, place)
    runs = pd.read_csv(place.results / "study-convergence-cpu" / "runs.csv")
    by_norm = runs.pivot(index="seed", columns="norm", values="test_accuracy")
    accuracy = next(row for row in dossier.rows["convergence"] if row.claim.measure.phrase == "test accuracy")
    assert accuracy.effect == pytest.approx((by_norm["layer"] - by_norm["batch"]).mean())


@pytest.mark.parametrize("jobs", [1, 2])
def test_time_that_is_up_leaves_the_rest_and_the_next_call_goes_on(tmp_path: Path, jobs: int):
    place = _place(tmp_path)
    asked = [*_asked(place, "layer", "convergence"), *_asked(place, "layer", "small_batch")]
    none = _compared(asked, place, jobs, budget=0.05)
    assert not none.rows and set(none.unasked) == {"convergence", "small_batch"}
    whole = _compared(asked, place, jobs)
    assert set(whole.rows) == {"convergence", "small_batch"} and not whole.unasked


def test_an_arm_that_fails_for_some_batches_loses_that_question_alone(tmp_path: Path):
    place = _place(tmp_path)
    asked = [*_asked(place, "picky", "convergence"), *_asked(place, "picky", "small_batch")]
    dossier = _compared(asked, place)
    (lost,) = dossier.rows["small_batch"]
    assert lost.decision.verdict == "inconclusive"
    assert any("two is too few for me" in text for text in dossier.remarks["small_batch"])
    assert all(row.decision.n == REPLICATES for row in dossier.rows["convergence"])


@pytest.mark.parametrize(
    ("words", "against", "says"),
    [
        (["seeds=10"], [], "name the norm that is to be compared"),
        (["layer", "seeds=3"], ["batch"], "seeds=3: 17 claims that are adjusted for each other cannot be decided"),
        (["layer", "lr=0.1"], [], "lr is tuned over the grid of the scale"),
        (["layer", "nrom=3"], [], "nrom: unknown key"),
        (["layer batch_size=8"], [], "arm 'layer batch_size=8': batch_size is varied by the question small_batch"),
        (["layer"], ["rms batches=shuffled"], "batches is varied by the question non_stationary_batches; leave it out"),
    ],
)
def test_a_wrong_comparison_is_refused(tmp_path: Path, words: list[str], against: list[str], says: str):
    place = _place(tmp_path)
    with pytest.raises(InvalidRequest) as error:
        comparison.read_comparison(words, against, [], "cpu", place)
    assert says in str(error.value), str(error.value)
    assert not place.results.exists()


def test_a_misspelt_task_is_named(tmp_path: Path):
    with pytest.raises(InvalidRequest, match="--on mnist-ccn: there is no such task; did you mean 'mnist-cnn'"):
        comparison.read_comparison(["layer"], [], ["mnist-ccn"], "smoke", _place(tmp_path))


def test_a_task_takes_the_place_of_data_and_network(tmp_path: Path):
    place = _place(tmp_path)
    request = comparison.read_comparison(["layer"], ["batch"], ["digits-cnn", "digits-mlp"], "smoke", place)
    names = [one.name for one in request.asked]
    assert "convergence on digits-cnn" in names and "convergence on digits-mlp" in names and "memory" in names
    (one,) = [one for one in request.asked if one.name == "convergence on digits-cnn"]
    assert "model=cnn" in one.study.scales["smoke"].overrides


TASK = """
about: drawn images of three classes
settings: [dataset=synthetic, model=mlp, model.depth=1]
target: 0.8
lr: [0.01, 0.1]
"""


def test_a_task_of_ones_own_is_a_file(tmp_path: Path):
    """It is asked as one that comes with bnbench, by the name of its file."""
    (tmp_path / "drawn.yaml").write_text(TASK)
    words = [str(tmp_path / "drawn.yaml"), "digits-mlp"]
    asked = comparison.read_comparison(["layer"], ["batch"], words, "cpu", _place(tmp_path)).asked
    by_name = {one.name: one.study for one in asked}
    study = by_name["convergence on drawn"]
    assert "convergence on digits-mlp" in by_name and "memory" in by_name
    assert study.scales["cpu"].lr == (0.01, 0.1)
    assert set(study.scales["cpu"].overrides) == {"dataset=synthetic", "model=mlp", "model.depth=1"}
    assert study.claims[0].measure.phrase == "steps to 80% validation accuracy"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TASK.replace("about", "abuot"), ["--on my.yaml: abuot: unknown; did you mean 'about'?", "about: is missing"]),
        (TASK.replace("0.8", "1.5"), ["--on my.yaml: target=1.5: must be an accuracy above 0 and at most 1"]),
        (TASK.replace("0.8", "much"), ["--on my.yaml: target=much: must be a finite number"]),
        (
            TASK.replace("[0.01, 0.1]", "[0.1, 0.01]"),
            ["--on my.yaml: lr=[0.1,0.01]: must be learning rates above zero"],
        ),
        (TASK.replace("synthetic", "synthetik"), ["--on my.yaml: settings: dataset=synthetik", "mean 'synthetic'"]),
        (TASK.replace("depth=1", "deepth=1"), ["--on my.yaml: settings: model.deepth", "did you mean 'depth'?"]),
        (TASK.replace("depth=1", "depth=1, lr=0.1"), ["--on my.yaml: settings: 'lr=0.1': lr is set by the study"]),
        (
            TASK.replace("depth=1", "depth=1, norm=rms"),
            ["--on my: study convergence: norm=rms: norm is set by the arms"],
        ),
        (TASK.replace("depth=1", "depth=1, batch_size=8"), ["--on my: study small_batch: batch_size=8: batch_size is"]),
        ("[1, 2]", ["--on my.yaml: must hold about, settings, target, lr, received [1,2]"]),
        ("{", ["--on my.yaml: is not YAML that can be read"]),
    ],
)
def test_a_wrong_task_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: list[str]):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(text)
    with pytest.raises(InvalidRequest) as error:
        comparison.read_comparison(["layer"], ["batch"], ["my.yaml"], "smoke", _place(tmp_path))
    for part in says:
        assert part in str(error.value), str(error.value)


def test_tasks_must_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two of one name could not be told apart, and two with the same settings would be trained in one sweep."""
    monkeypatch.chdir(tmp_path)
    for name in ("my.yaml", "same.yaml", "digits-mlp.yaml"):
        Path(name).write_text(TASK if name != "digits-mlp.yaml" else TASK.replace("depth=1", "depth=2"))
    for words, says in (
        (["my.yaml", "same.yaml"], "--on same.yaml: has the settings of --on my.yaml"),
        (["digits-mlp", "digits-mlp.yaml"], "--on digits-mlp.yaml: has the name of --on digits-mlp"),
        (["my.yaml", "absent.yaml"], "--on absent.yaml: cannot be read: No such file or directory"),
    ):
        with pytest.raises(InvalidRequest) as error:
            comparison.read_comparison(["layer"], ["batch"], words, "smoke", _place(tmp_path))
        assert says in str(error.value)


@pytest.mark.parametrize(
    ("arms", "against", "pairs"),
    [
        (["rms", "batch", "layer"], [], [("rms", "batch"), ("rms", "layer"), ("batch", "layer")]),
        (["rms", "batch"], ["none"], [("rms", "batch"), ("rms", "none"), ("batch", "none")]),
        (["rms"], ["none"], [("rms", "none")]),
    ],
)
def test_all_pairs_are_those_of_the_arms_that_are_named(
    tmp_path: Path, arms: list[str], against: list[str], pairs: list[tuple[str, str]]
):
    request = comparison.read_comparison(arms, against, [], "smoke", _place(tmp_path), every_pair=True)
    assert {one.pairs for one in request.asked} == {tuple(pairs)}
    assert [arm.name for arm in request.arms] == [*arms, *against]


def test_all_pairs_of_one_arm_are_those_with_its_default_rivals(tmp_path: Path):
    request = comparison.read_comparison(["rms"], [], [], "smoke", _place(tmp_path), every_pair=True)
    assert [arm.name for arm in request.arms] == ["rms", "batch", "group", "layer", "none"]
    assert len(request.asked[0].pairs) == 10


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu"])
def test_every_scale_has_the_replicates_of_a_default_comparison(tmp_path: Path, scale: str):
    """A norm of one's own has all five default rivals, and so the most claims."""
    for arm in ("rms", "copy"):
        arms = comparison.read_arms([arm], _place(tmp_path).components)
        rivals = [one for one in comparison.AGAINST if one != arm]
        every = [*arms, *comparison.read_arms(rivals, _place(tmp_path).components)]
        pairs = comparison.pairs_of(arms, every[1:])
        asked = comparison.ask(load_questions(question_names()), every, pairs, scale)
        request = comparison.Comparison(tuple(every), tuple(asked), scale)
        assert request.claims == 17 * len(rivals)
        assert scale == "smoke" or not lacking_replicates(request.replicates, request.claims), arm


def test_arms_may_be_listed_with_commas(tmp_path: Path):
    one_by_one = comparison.read_comparison(
        ["derf", "grn", "group groups=4"], ["norm=layer", "rms"], [], "cpu", _place(tmp_path)
    )
    listed = comparison.read_comparison(["derf,grn", "group groups=4"], ["norm=layer,rms"], [], "cpu", _place(tmp_path))
    assert listed.arms == one_by_one.arms and listed.asked == one_by_one.asked
    with pytest.raises(InvalidRequest, match="there is no norm ''; "):
        comparison.read_comparison(["derf,"], [], [], "cpu", _place(tmp_path))


@pytest.mark.parametrize(("scale", "lr"), [("cpu", (0.0003, 0.001, 0.003, 0.01, 0.03)), ("smoke", (0.003,))])
def test_learning_rates_of_a_task_take_the_place_of_a_questions_own(tmp_path: Path, scale: str, lr: tuple[float, ...]):
    asked = comparison.read_comparison(["layer"], ["batch"], ["digits-vit"], scale, _place(tmp_path)).asked
    rates = {one.name: one.study.scales[scale].lr for one in asked}
    assert rates["convergence on digits-vit"] == rates["small_batch on digits-vit"] == lr
    assert rates["covariate_shift"] != lr
