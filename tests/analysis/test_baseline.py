import pytest

from bnbench.analysis.baseline import baseline_rows, baseline_text, parse_baseline
from bnbench.analysis.rows import sort_into_rows
from bnbench.analysis.trials import read_trials
from bnbench.errors import InvalidRequest

from .frames import runs_of

RUNS = runs_of(
    {"norm": "none", "model": "cnn"},
    {"norm": "group", "norm.groups": 4, "model": "cnn"},
    {"norm": "group", "norm.groups": 8, "model": "cnn"},
    {"norm": "none", "model": "mlp"},
    {"norm": "group", "norm.groups": 4, "model": "mlp"},
)


def test_several_conditions() -> None:
    assert parse_baseline("norm=group norm.groups=4", RUNS) == {"norm": "group", "norm.groups": 4}
    assert parse_baseline(None, RUNS) == {}


def test_a_value_with_blanks_is_in_quotes() -> None:
    """As it is told itself."""
    runs = runs_of({"dataset": "npz", "dataset.path": "my data.npz"}, {"dataset": "npz", "dataset.path": "other.npz"})
    conditions = parse_baseline("'dataset.path=my data.npz' dataset=npz", runs)
    assert conditions == {"dataset.path": "my data.npz", "dataset": "npz"}
    assert parse_baseline(baseline_text(conditions), runs) == conditions
    with pytest.raises(InvalidRequest, match="no closing quotation"):
        parse_baseline("'dataset.path=my", runs)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("norm=none norm=group", "norm is named more than once; a baseline has one value of it"),
        (" ", "baseline '': must be factor=value"),
        ("dataset=digits", "every run has it, so there is nothing to compare; what varies is model, norm$"),
    ],
)
def test_a_baseline_that_compares_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_baseline(text, RUNS)


def test_all_problems_are_told_with_the_nearest_match() -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_baseline("nrom=none norm=nome norm", RUNS)
    unknown, value, form = error.value.problems
    assert "'nrom' is not a factor" in unknown and "did you mean 'norm'?" in unknown
    assert "no run has norm=nome" in value and "did you mean 'none'?" in value
    assert "must be factor=value" in form


def test_each_row_is_compared_at_equal_other_factors() -> None:
    rows = sort_into_rows(read_trials(RUNS), ())
    names = [tuple(rows.trials.levels[name][rows.keys[name][row]] for name in rows.factors) for row in rows.keys.index]
    compared = {names[row]: names[other] for row, other in baseline_rows(rows, {"norm": "none"}).items()}
    assert compared == {
        ("cnn", "none", None): ("cnn", "none", None),
        ("cnn", "group", 4): ("cnn", "none", None),
        ("cnn", "group", 8): ("cnn", "none", None),
        ("mlp", "none", None): ("mlp", "none", None),
        ("mlp", "group", 4): ("mlp", "none", None),
    }


def test_a_baseline_of_several_rows_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"matches several rows; add norm\.groups= one of 4, 8"):
        baseline_rows(sort_into_rows(read_trials(RUNS), ()), {"norm": "group"})
