"""A comparison trains no run whose result is in another sweep of the folder, and says so."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import comparison, session, store
from bnbench.cli.compare import show_sizes
from bnbench.study import Place, Study, forecast_study, load, sweep_name
from bnbench.text import plural
from tests import warm
from tests.cli.finished import finish
from tests.comparison.test_comparison import PLUGIN, _asked, _compared


def _place(folder: Path, plugin: str = PLUGIN) -> Place:
    (folder / "mine.py").write_text(plugin)
    return Place(folder / "results", folder / "data", folder / "mine.py")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A sweep of another name that has all runs of a comparison of layer with batch."""
    place = _place(tmp_path)
    (one,) = _asked(place, "layer", "convergence")
    _compared([one], place)
    folder = place.results / sweep_name(one.study, "cpu")
    return folder.rename(place.results / "small")


def test_nothing_is_trained_that_a_sweep_of_another_name_has(other: Path):
    place = _place(other.parent.parent)
    asked = _asked(place, "layer", "convergence")
    sizes, _ = comparison.sizes(asked, "cpu", place)
    (size,) = sizes
    assert (size.runs, size.finished, dict(size.elsewhere)) == (0, 24, {"small": 24})
    assert not (place.results / "study-convergence-cpu").exists()
    totals: list[int] = []
    terms = comparison.Terms("cpu", place, 2, 1)
    dossier = comparison.compare(sizes, terms, watch=lambda name, progress: totals.append(progress.total))
    assert not totals and dossier.taken_over == {"study-convergence-cpu": {"small": 24}}
    runs, metrics = store.load_sweeps([place.results / "study-convergence-cpu"])
    assert set(runs["status"]) == {"completed"} and set(metrics["run_id"]) == set(runs["run_id"])
    assert all(row.decision.n == 12 for row in dossier.rows["convergence"])
    (size,), _ = comparison.sizes(asked, "cpu", place)
    assert (size.runs, size.finished, dict(size.elsewhere)) == (0, 24, {})


def test_only_what_is_missing_is_trained(other: Path):
    place = _place(other.parent.parent)
    asked = _asked(place, "none", "convergence")
    sizes, _ = comparison.sizes(asked, "cpu", place)
    assert (sizes[0].runs, dict(sizes[0].elsewhere)) == (12, {"small": 12})
    totals: list[int] = []
    terms = comparison.Terms("cpu", place, 2, 1)
    comparison.compare(sizes, terms, watch=lambda name, progress: totals.append(progress.total))
    assert set(totals) == {12}


def test_a_plugin_that_was_changed_takes_no_runs_of_before(tmp_path: Path):
    place = _place(tmp_path)
    asked = _asked(place, "copy", "convergence")
    _compared(asked, place)
    (place.results / "study-convergence-cpu").rename(place.results / "small")
    changed = _place(tmp_path, PLUGIN.replace("eps=30.0", "eps=20.0"))
    (size,), _ = comparison.sizes(_asked(changed, "copy", "convergence"), "cpu", changed)
    assert (size.runs, dict(size.elsewhere)) == (12, {"small": 12}), "batch alone is what it was"


def test_what_is_timed_takes_nothing_over(tmp_path: Path):
    """Its plan is that of a folder without other sweeps, as forecast and as it comes to training."""
    place = _place(tmp_path)
    asked = comparison.read_comparison(["layer"], ["batch"], [], "smoke", place).asked
    (timed,) = [one for one in asked if one.study.alone]
    (before,), _ = comparison.sizes([timed], "smoke", place)
    finish(place.results / "small", list(before.plan.specs.values()))
    (size,), _ = comparison.sizes([timed], "smoke", place)
    assert size.runs == before.runs > 0 and not size.elsewhere
    begun: list[session.Plan] = []

    def begin(one: Study, part: str, plan: session.Plan) -> session.Summary:
        begun.append(plan)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comparison.answered(size, comparison.Terms("smoke", place, 5), begin)
    assert len(begun[0].pending) == len(begun[0].specs)


def test_commands_say_so_in_a_line(tmp_path: Path):
    def said(*words: str) -> str:
        line = [sys.executable, "-m", "bnbench", "--results", "results", *words]
        return warm.run(line, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    place = Place(tmp_path / "results", tmp_path / "data")
    (one,) = load(["small_batch"])
    specs = list(forecast_study(one, "smoke", place).plan.specs.values())
    finish(place.results / "small", specs[:-1])
    there = f"{len(specs) - 1} of them are in other sweeps (small)"
    assert f"{there}: will be taken over" in said("study", "show", "small_batch", "--scale", "smoke")
    assert not (place.results / "study-small_batch-smoke").exists()
    again = said("study", "run", "small_batch", "--scale", "smoke", "--jobs", "1")
    assert f"{len(specs) - 1} finished already, 1 to train" in again and f"{there}: taken over" in again


@pytest.mark.parametrize(("dry_run", "says"), [(True, "will be taken over"), (False, "taken over")])
def test_a_comparison_says_so_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], dry_run: bool, says: str):
    place = _place(tmp_path)
    whole = comparison.read_comparison(["layer"], ["batch"], [], "smoke", place)
    request = replace(whole, asked=tuple(one for one in whole.asked if one.name == "small_batch"))
    (before,), _ = comparison.sizes(request.asked, "smoke", place)
    for part, name in enumerate(["small", "large"]):
        finish(place.results / name, list(before.plan.specs.values())[part : part + 1])
    show_sizes(request, *comparison.sizes(request.asked, "smoke", place), dry_run=dry_run)
    said = capsys.readouterr().out
    assert f"{plural(before.runs - 2, 'run')} to train, 2 finished already\n" in said
    assert f"\n2 of them are in other sweeps (small, large): {says}\n" in said
