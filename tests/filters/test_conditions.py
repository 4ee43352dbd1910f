"""Conditions on runs: what each means, and what is refused."""

from __future__ import annotations

import pytest

from bnbench.errors import InvalidRequest
from bnbench.filters import Columns, chosen, conditions, is_condition, ordered, quoted, unmatched, varying

ROWS = [
    {"run_id": "r00000000001", "status": "completed", "norm": "none", "norm.groups": "", "model.width": "8",
     "drop_last": "false", "lr": "0.1", "lr_scaling": "none", "domains": "", "val_accuracy": "0.9", "val_loss": "0.5",
     "version": "1.10", "tag": "best old"},
    {"run_id": "r00000000002", "status": "failed", "norm": "group", "norm.groups": "4", "model.width": "16",
     "drop_last": "true", "lr": "0.01", "lr_scaling": "none", "domains": "0.25 0.75", "val_accuracy": "",
     "val_loss": "nan", "version": "1.1", "tag": ""},
    {"run_id": "r00000000003", "status": "completed", "norm": "batch", "norm.groups": "", "model.width": "8",
     "drop_last": "false", "lr": "1e-05", "lr_scaling": "none", "domains": "", "val_accuracy": "0.95",
     "val_loss": "inf", "version": "1.1", "tag": "old"},
]  # fmt: skip
COLUMNS = Columns(ROWS)


def found(*words: str) -> str:
    """The last digits of the runs that meet all conditions."""
    return "".join(row["run_id"][-1] for row in chosen(ROWS, conditions(words, COLUMNS)))


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("norm=none", "1"),
        ("norm=none,batch", "13"),
        ("norm!=none,batch", "2"),
        ("norm='none'", "1"),
        ("norm=glob(*o*)", "12"),
        ("norm=choice(group,batch)", "23"),
        ("lr=0.1", "1"),
        ("lr=1e-1,0.00001", "13"),
        ("lr<0.1", "23"),
        ("lr<=0.1", "123"),
        ("lr>0.00001", "12"),
        ("lr>=1e-5", "123"),
        ("lr<1e-5", ""),
        ("model.width=range(8,10)", "13"),
        ("model.width=8.0", "13"),
        ("model.width>8", "2"),
        ("norm.groups=4", "2"),
        ("norm.groups!=4", "13"),
        ("norm.groups=null", "13"),
        ("norm.groups>0", "2"),
        ("drop_last=True", "2"),
        ("drop_last=false", "13"),
        ("domains=[0.25,0.75]", "2"),
        ("domains=[]", "13"),
        ("val_accuracy>0.9", "3"),
        ("val_accuracy>=0.9", "13"),
        ("val_accuracy<1", "13"),
        ("val_accuracy!=null", "13"),
        ("val_loss=nan", "2"),
        ("val_loss<1", "1"),
        ("val_loss>1", "3"),
        ("version=1.1", "23"),
        ("status=completed", "13"),
        ("status=FAILED", "2"),
        ("tag=old", "13"),
        ("tag!=best", "23"),
        ("tag=null", "2"),
        ("norm=none,batch val_accuracy>0.9", "3"),
        ("norm=none norm=batch", ""),
    ],
)
def test_a_condition_chooses_runs(words: str, runs: str):
    assert found(*words.split()) == runs


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("batch", "batch"),
        ("0.25 0.75", "0.25 0.75"),
        ("/data/a(1).npz", "/data/a(1).npz"),
        ("a,b", '"a,b"'),
        ('a"b,c', "'a\"b,c'"),
        ("'a'", "\"'a'\""),
        ("[a,b]", '"[a,b]"'),
        ("range(3)", '"range(3)"'),
        ("=a", '"=a"'),
        ("null", '"null"'),
        ("True", '"True"'),
        (" a", '" a"'),
    ],
)
def test_a_text_is_quoted_where_a_condition_would_read_something_else(value: str, typed: str):
    assert quoted(value) == typed
    rows = [{"run_id": "r1", "dataset.path": value}, {"run_id": "r2", "dataset.path": "other"}]
    assert chosen(rows, conditions([f"dataset.path={typed}"], Columns(rows))) == rows[:1]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nrom=batch", "did you mean 'norm'?"),
        ("width=8", "did you mean 'model.width'?"),
        ("val_acuracy>0.9", "did you mean 'val_accuracy'?"),
        ("norm<3", "norm holds text, such as 'none', which < does not compare; use = or !="),
        ("domains>=0.1", "domains holds text, such as '0.25 0.75'"),
        ("tag>1", "tag holds text"),
        ("lr<0.1,0.2", "< compares with one number, not with 2"),
        ("lr>high", "must be a number, not 'high'"),
        ("lr>", "must be a number, not ''"),
        ("lr<nan", "must be a number, not 'nan'"),
        ("lr=high", "lr holds numbers, not 'high'"),
        ("model.width=wide", "model.width holds numbers, not 'wide'"),
        ("status=faild", "did you mean 'failed'?"),
        ("drop_last=maybe", "Allowed: true, false"),
        ("lr==0.1", "== is no sign"),
        ("lr=<0.1", "=< is no sign"),
        ("lr=range(0,1", "lr holds numbers, not 'range(0,1'"),
        ("seed=__import__('os').getcwd()", "no such column"),
        ("lr=__import__('os').getcwd()", "lr holds numbers, not "),
        ("lr=range(0,1,0)", "a step other than 0"),
        ("batch", "is no condition"),
    ],
)
def test_a_condition_that_no_run_can_meet_is_refused(word: str, says: str):
    with pytest.raises(InvalidRequest) as refused:
        conditions([word], COLUMNS)
    assert says in str(refused.value) and len(refused.value.problems) == 1


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(InvalidRequest) as refused:
        conditions(["nrom=batch", "norm=none", "lr>high"], COLUMNS)
    assert len(refused.value.problems) == 2


def test_a_value_that_no_run_has_is_told():
    wanted = conditions(["norm=bacth", "norm=none", "lr=0.5", "tag=bset"], COLUMNS)
    assert unmatched(wanted, COLUMNS) == [
        "norm=bacth: no run has it; did you mean 'batch'? there are: none, group, batch",
        "lr=0.5: no run has it; there are: 0.1, 0.01, 1e-05",
        "tag=bset: no run has it; did you mean 'best'? there are: best, old",
    ]


@pytest.mark.parametrize(("word", "is_one"), [("norm=x", True), ("a.b>1", True), ("small", False), ("./a=b", False)])
def test_a_word_with_a_sign_is_a_condition(word: str, is_one: bool):
    assert is_condition(word) == is_one


@pytest.mark.parametrize(
    ("keys", "runs"),
    [
        ("lr", "321"), ("-lr", "123"), ("norm", "321"), ("-norm", "123"), ("val_accuracy", "132"),
        ("-val_accuracy", "312"), ("val_loss", "132"), ("-val_loss", "312"), ("norm.groups", "213"),
        ("model.width,-lr", "132"), ("-model.width,lr", "231"), ("status,-val_accuracy", "312"),
    ],
)  # fmt: skip
def test_runs_are_ordered_and_what_is_missing_comes_last(keys: str, runs: str):
    assert "".join(row["run_id"][-1] for row in ordered(ROWS, keys.split(","), COLUMNS)) == runs


def test_an_order_by_no_column_is_refused():
    with pytest.raises(InvalidRequest, match=r"--sort 'val_acc': no such column; did you mean 'val_accuracy'\?"):
        ordered(ROWS, ["-val_acc"], COLUMNS)


def test_settings_that_vary_are_those_that_do_not_come_with_a_choice():
    assert varying(ROWS) == {
        "norm": ["none", "group", "batch"],
        "model.width": ["8", "16"],
        "drop_last": ["false", "true"],
        "lr": ["0.1", "0.01", "1e-05"],
        "domains": ["0.25 0.75"],
    }
