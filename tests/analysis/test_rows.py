import pandas as pd

from bnbench.analysis.rows import followers, heads, labels, sort_into_rows
from bnbench.analysis.trials import read_trials

from .frames import runs_of


def label_texts(runs: pd.DataFrame, aside: tuple[str, ...] = ()) -> tuple[list[str], list[tuple[str, ...]]]:
    rows = sort_into_rows(read_trials(runs), aside)
    return heads(rows), list(labels(rows).values())


def test_an_option_that_follows_from_the_name_is_not_shown() -> None:
    runs = runs_of({"norm": "none"}, {"norm": "batch", "norm.eps": 1e-5}, {"norm": "group", "norm.eps": 1e-6})
    assert label_texts(runs) == (["norm"], [("batch",), ("group",), ("none",)])


def test_an_option_is_shown_only_inside_the_arm_where_it_varies() -> None:
    batch = {"norm": "batch", "norm.affine": "both"}
    groups = [{"norm": "group", "norm.affine": "both", "norm.groups": groups} for groups in (16, 4)]
    assert label_texts(runs_of(batch, *groups)) == (["norm"], [("batch",), ("group groups=4",), ("group groups=16",)])


def test_a_missing_value_is_told_where_it_is_a_choice() -> None:
    runs = runs_of({"norm": "batch", "norm.momentum": 0.1}, {"norm": "batch", "norm.momentum": None}, {"norm": "none"})
    assert label_texts(runs)[1] == [("batch momentum=null",), ("batch momentum=0.1",), ("none",)]


def test_names_that_vary_together_are_all_shown() -> None:
    runs = runs_of({"norm": "batch", "model": "cnn"}, {"norm": "layer", "model": "mlp"})
    assert label_texts(runs) == (["model", "norm"], [("cnn", "batch"), ("mlp", "layer")])


def test_what_follows_from_the_rows_is_told_below() -> None:
    runs = runs_of({"batch_size": 16, "epochs": 5}, {"batch_size": 64, "epochs": 20})
    rows = sort_into_rows(read_trials(runs), ())
    assert (rows.factors, rows.follows) == (("batch_size",), ("epochs",))
    assert followers(rows) == ["epochs"]


def test_what_follows_from_the_columns_makes_rows_but_a_name() -> None:
    runs = runs_of({"batch_size": 16, "epochs": 5, "sweep": "a"}, {"batch_size": 64, "epochs": 20, "sweep": "b"})
    rows = sort_into_rows(read_trials(runs), ("batch_size",))
    assert (rows.factors, rows.follows) == (("epochs",), ("sweep",))


def test_equal_specs_of_two_sweeps_stay_apart() -> None:
    runs = runs_of({"sweep": "a"}, {"sweep": "b", "seed": 1}, {"sweep": "b", "seed": 2})
    assert label_texts(runs) == (["sweep"], [("a",), ("b",)])


def test_sweeps_told_apart_by_a_factor_need_no_column() -> None:
    runs = runs_of({"sweep": "a", "norm": "none"}, {"sweep": "b", "norm": "batch"})
    assert label_texts(runs) == (["norm"], [("batch",), ("none",)])


def test_learning_rates_that_differ_by_rounding_are_one() -> None:
    assert label_texts(runs_of({"lr": 0.3}, {"lr": 0.1 + 0.2, "seed": 1})) == ([], [("all",)])
