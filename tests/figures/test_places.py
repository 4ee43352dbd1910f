"""Which panels a figure has, what is in them, and what they are called."""

from __future__ import annotations

import pytest

from bnbench.analysis import read_trials
from bnbench.analysis.rows import sort_into_rows
from bnbench.figures.palette import BUILT_IN
from bnbench.figures.places import MOST_PANELS, MOST_SERIES, Place, places_of, slug
from tests.analysis.frames import metrics_of, runs_of

from .test_numbers import _convergence


def places(*runs: dict[str, object]) -> list[Place]:
    rows = sort_into_rows(read_trials(runs_of(*runs)), aside=("lr",))
    return places_of(rows, set(rows.keys.index))


def test_the_last_name_tells_series_and_all_others_panels():
    grid = [
        {"model": model, "batch_size": batch, "norm": norm}
        for model in ("mlp", "cnn")
        for batch in (2, 64)
        for norm in ("none", "batch")
    ]
    here = places(*grid)
    assert [place.title for place in here] == [
        "model cnn, batch 2",
        "model cnn, batch 64",
        "model mlp, batch 2",
        "model mlp, batch 64",
    ]
    assert [place.name for place in here] == [
        "model-cnn-batch-2",
        "model-cnn-batch-64",
        "model-mlp-batch-2",
        "model-mlp-batch-64",
    ]
    assert {tuple(member.label for member in place.members) for place in here} == {("batch", "none")}


def test_rows_that_share_no_panel_are_in_one():
    (place,) = places({"batch_size": 2, "norm": "none"}, {"batch_size": 64, "norm": "batch"})
    assert [member.label for member in place.members] == ["2 none", "64 batch"]


def test_one_row_has_one_panel():
    (place,) = places({})
    assert (place.name, place.title, [member.label for member in place.members]) == ("all", "", ["all"])


def test_too_many_norms_are_drawn_family_by_family_before_all_others():
    here = places(*({"norm": norm} for norm in BUILT_IN))
    assert all(len(place.members) <= MOST_SERIES for place in here)
    assert sorted(member.label for place in here for member in place.members) == sorted(BUILT_IN)
    assert {member.style.family for member in here[0].members} != {member.style.family for member in here[1].members}
    assert all(len(place.members) + len(place.others) == len(BUILT_IN) for place in here)
    assert [place.title for place in here] == [f"part {at} of 6" for at in range(1, 7)]


def test_names_that_differ_in_signs_alone_are_numbered():
    here = places(
        *({"model": model, "norm": norm} for model in ("a/b", "a b", "..", "x" * 200) for norm in ("none", "batch"))
    )
    names = [place.name for place in here]
    assert len(set(names)) == 4 and all(len(name) < 80 for name in names)


@pytest.mark.parametrize(
    ("text", "name"), [("to 95%, batch 2", "to-95-batch-2"), ("../../etc", "etc"), ("中文", ""), ("A.B", "a.b")]
)
def test_slugs(text: str, name: str):
    assert slug(text) == name


def test_beyond_some_panels_only_the_numbers_are_told():
    from bnbench.figures.learning_curves import learning_curves

    grid = [{"batch_size": batch, "norm": norm} for batch in range(1, MOST_PANELS + 7) for norm in ("none", "batch")]
    runs, metrics = runs_of(*grid), metrics_of({f"r{at}": [0.5, 0.9] for at in range(len(grid))})
    figure = learning_curves(_convergence(runs, metrics, 0.9), metrics)
    assert not isinstance(figure, str)
    assert len(figure.panels) == MOST_PANELS and figure.data["panel"].nunique() == MOST_PANELS + 6
    assert f"{MOST_PANELS} of {MOST_PANELS + 6} panels" in figure.caption
