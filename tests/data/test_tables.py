"""A user's own CSV files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bnbench.data import load, normalize
from bnbench.data.tables import csv
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.spec import Choice, Split

SPLIT = Split(0, 0.2, 0.25, None)


def write(folder: Path, text: str) -> Path:
    (folder / "data.csv").write_text(text)
    return folder


def test_features_and_labels_by_the_names_of_columns(tmp_path: Path) -> None:
    table = (
        '\ufeffage, "size, cm",kind,far\r\n1,0.1,cat,1700000000.25\r\n\r\n-2, 1e3 ,"dog ""x""",-7\r\n3.5,.5,cat,0\r\n'
    )
    (tmp_path / "data.csv").write_bytes(table.encode())
    raw = csv(tmp_path, label="kind")
    assert raw.train_x.shape == (3, 3, 1, 1) and raw.train_x.dtype == torch.float64
    assert raw.train_x[:, :, 0, 0].tolist() == [[1, 0.1, 1700000000.25], [-2, 1000, -7], [3.5, 0.5, 0]]
    assert raw.train_y.tolist() == [0, 1, 0] and raw.classes == ("cat", 'dog "x"')
    assert raw.test_x is None


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        ("10 9 -1 9", ("-1", "9", "10"), [2, 1, 0, 1]),
        ("2.5 1e1 2.5 1e1", ("2.5", "1e1"), [0, 1, 0, 1]),
        ("b a none b", ("a", "b", "none"), [1, 0, 2, 1]),
        ("10 9 x 9", ("10", "9", "x"), [0, 1, 2, 1]),
        ("9007199254740993 9007199254740992 9007199254740993 -9", ("-9", f"{2**53}", f"{2**53 + 1}"), [2, 1, 2, 0]),
    ],
)
def test_labels_are_numbered_in_order(labels: str, classes: tuple[str, ...], y: list[int], tmp_path: Path) -> None:
    raw = csv(write(tmp_path, "label,x\n" + "".join(f"{label},1\n" for label in labels.split())))
    assert (raw.classes, raw.train_y.tolist()) == (classes, y)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("a,b,label\n1,2,x\n1,abc,y\n", "row 2 (line 3), column 'b': 'abc' is no finite number"),
        ("a,b,label\n\n1,2,x\n1,,y\n", "row 2 (line 4), column 'b': the value is missing ('')"),
        ("a,b,label\n1,NaN,x\n", "row 1 (line 2), column 'b': the value is missing ('NaN')"),
        ("a,b,label\n1,2,x\n1,2,\n", "row 2 (line 3), column 'label': the value is missing"),
        ("a,b,label\n1,inf,x\n", "row 1 (line 2), column 'b': 'inf' is no finite number"),
        ("a,b,label\n1,1e39,x\n", "column 'b': '1e39' is no finite number"),
        ("a,b,label\n1,1_000,x\n", "column 'b': '1_000' is no finite number"),
        ("a,b,label\n1,2\n", "row 1 (line 2): has 2 cells, and there are 3 columns"),
        ("a,b,label\n1,2,x,3\n", "row 1 (line 2): has 4 cells, and there are 3 columns"),
        ("a,b,label\n" + "u,v,x\n" * 4, "8 faults. Features must be finite numbers, and no value may be missing"),
        ("a,b,labels\n1,2,x\n", "dataset.label=label: there is no such column; the first row must name"),
        ("a,b,labels\n1,2,x\n", "did you mean 'labels'? Allowed: a, b, labels"),
        ("1,2,x\n1,2,x\n", "Allowed: 1, 2, x"),
        ("a;b;label\n1;2;x\n", "separated by commas"),
        ("a,a,label\n1,2,x\n", "the name 'a' has several columns"),
        (",a,label\n0,2,x\n", "column 1 has no name; give it one, or leave it out if it counts the rows"),
        ("label\nx\n", "must have features beside the labels"),
        ("a,label\n", "must have rows of examples"),
        ("", "It holds nothing"),
        ("a,label\n1,1\n2,1.0\n", "the labels '1' and '1.0' are one number"),
        ('a,label\n1,"x\n', "must be comma-separated text in UTF-8; behind line 1: unexpected end of data"),
        ("a,label\n1,x\n2,x\n", "at least 2 classes are needed, received 1"),
    ],
)
def test_what_cannot_be_used_is_named(table: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BnbenchError) as caught:
        load(Choice.of("csv"), SPLIT, write(tmp_path, table))
    assert says in str(caught.value)


def test_of_many_faults_the_first_are_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        csv(write(tmp_path, "a,label\n" + "\x1b[31m,x\n" * 1000))
    (problem,) = caught.value.problems
    first, *shown = problem.splitlines()
    assert first.startswith(f"{tmp_path / 'data.csv'}: 1,000 faults.") and len(shown) == 5
    assert "\x1b" not in problem


def test_all_problems_of_the_header_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        csv(write(tmp_path, "a,a,,\n1,2,3,4\n"))
    assert len(caught.value.problems) == 3


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes("a,label\n1,größe\n".encode("latin-1"))
    with pytest.raises(BnbenchError, match="must be comma-separated text in UTF-8"):
        csv(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "date.csv").touch()
    with pytest.raises(DataMissing, match=r"dataset=csv: expected the file .*data\.csv, .* Did you mean date\.csv\?"):
        csv(tmp_path)


def test_features_are_standardized_by_the_training_part_alone(tmp_path: Path) -> None:
    """The oracle is in float64; what is trained on is float32 from a float32 mean, a few units of 2**-24 away."""
    x = np.random.default_rng(3).normal([5, -200, 0.001, 1.7e9, 4], [1, 30, 1e-4, 50, 0], (60, 5))
    y = np.arange(60) % 3
    write(
        tmp_path,
        "a,b,c,d,e,label\n"
        + "".join(",".join(map(repr, [*row.tolist(), int(y[n])])) + "\n" for n, row in enumerate(x)),
    )
    data = load(Choice.of("csv"), SPLIT, tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 9, 15]
    rows = x[data.train.positions]
    mean, std = rows.mean(0), np.where(rows.std(0) > 1e-12, rows.std(0), 1)
    for part in (data.train, data.validation, data.test):
        found = normalize(part.x, data.mean, data.std, torch.float32)[:, :, 0, 0].numpy()
        np.testing.assert_allclose(found, (x[part.positions] - mean) / std, atol=1e-5)
        np.testing.assert_array_equal(found[:, 4], 0)
        np.testing.assert_array_equal(part.y.numpy(), y[part.positions])
