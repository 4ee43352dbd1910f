"""Forest cover types, in the format of the UCI repository."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from bnbench.data import load
from bnbench.data.covtype import COVERS, covtype
from bnbench.errors import BnbenchError, DataMissing
from bnbench.spec import Choice, Split
from tests.conftest import Program

LINE = ",".join(["2596", "-3", *["7"] * 51, "1"])
"""The features of a cell."""


def cells(count: int) -> str:
    """Lines of drawn cells, the classes in turn."""
    rng = np.random.default_rng(0)
    features = np.hstack([rng.integers(-200, 7000, (count, 10)), rng.integers(0, 2, (count, 44))])
    table = np.column_stack([features, 1 + np.arange(count) % 7])
    return "".join(",".join(map(str, row)) + "\n" for row in table.tolist())


def write(folder: Path, text: str) -> Path:
    with gzip.open(folder / "covtype.data.gz", "wt") as stream:
        stream.write(text)
    return folder


def test_a_file_is_read_as_scikit_learn_reads_it(tmp_path: Path) -> None:
    """``fetch_covtype`` takes the first 54 numbers of a line as features, the last one as the label."""
    write(tmp_path, cells(70))
    raw = covtype(tmp_path)
    with gzip.open(tmp_path / "covtype.data.gz") as stream:
        expected = np.genfromtxt(stream, delimiter=",")
    assert raw.train_x.shape == (70, 54, 1, 1) and raw.train_x.dtype == torch.float32
    np.testing.assert_array_equal(raw.train_x[:, :, 0, 0].double().numpy(), expected[:, :-1])
    np.testing.assert_array_equal(raw.train_y.numpy() + 1, expected[:, -1])
    assert raw.classes == COVERS and raw.test_x is None


def test_an_unpacked_file_of_another_name_holds_the_same(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(cells(14))
    unpacked, packed = covtype(tmp_path, path="mine.txt"), covtype(write(tmp_path, cells(14)))
    assert torch.equal(unpacked.train_x, packed.train_x) and torch.equal(unpacked.train_y, packed.train_y)


def test_an_absent_file_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as caught:
        load(Choice.of("covtype"), Split(0, 0.2, 0.25, None), tmp_path)
    assert str(caught.value) == (
        f"dataset=covtype: expected the file {tmp_path}/covtype.data.gz, which is covtype.data.gz of "
        f"https://archive.ics.uci.edu/dataset/31/covertype. {tmp_path} holds nothing"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must have at most 581,012 lines of 55 numbers, received 0 lines"),
        (f"{LINE}\n", "received 1 lines of 54"),
        (f"{LINE},0\n", "from 1 to 7, received 0"),
        (f"{LINE},8\n", "from 1 to 7, received 8"),
        (f"{LINE},1\n{LINE}\n", "the number of columns changed from 55 to 54 at row 2"),
        (f"{LINE},pine\n", "could not convert string 'pine'"),
        (f"{LINE},1\n" * 581_013, "received 581,013 lines of 55"),
        ("caf\xe9\n", "'ascii' codec can't decode"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "covtype.data.gz", "wt", encoding="utf-8", compresslevel=1) as stream:
        stream.write(text)
    with pytest.raises(BnbenchError) as caught:
        covtype(tmp_path)
    assert says in str(caught.value) and str(tmp_path) in str(caught.value)


def test_half_a_packed_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, cells(70)) / "covtype.data.gz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(BnbenchError, match="end-of-stream marker"):
        covtype(tmp_path)


def test_a_perceptron_is_trained_on_it(program: Program) -> None:
    Path("data").mkdir()
    write(Path("data"), cells(140))
    result = program("run", "dataset=covtype", "model=mlp", "norm=batch", "epochs=1", "batch_size=16")
    assert result.code == 0, result.err
    refused = program("run", "dataset=covtype", "model=vit", "epochs=1")
    assert refused.code == 2 and "dataset=covtype has features, not images" in refused.err
