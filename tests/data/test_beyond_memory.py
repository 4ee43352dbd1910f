"""Data that do not fit into memory are the same numbers, and train the same networks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bnbench.components import components
from bnbench.data import Data, as_raw, load
from bnbench.data.room import LASTING, room
from bnbench.engines import train, train_stack
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.memory import VARIABLE, data_memory, free_memory
from bnbench.notices import heard
from bnbench.spec import Choice, Domain, Split
from tests.cli.test_sweep import rows
from tests.conftest import Program, load_data, make_spec

COUNT = 480
LABELS = np.arange(COUNT) % 3
DRAWN = np.random.default_rng(0)
BYTES = DRAWN.integers(0, 256, (COUNT, 3, 10, 12)).astype(np.uint8)
FLOATS = DRAWN.normal(size=(COUNT, 3, 9, 8))
FEATURES = 1.7e9 + DRAWN.normal(size=(COUNT, 40))
ARRAYS: dict[str, Any] = {
    "bytes": BYTES,
    "bytes, channels last": BYTES.transpose(0, 2, 3, 1).copy(),
    "columns first": np.asfortranarray(BYTES),
    "bool": BYTES > 100,
    "int64 that are bytes": BYTES.astype(np.int64),
    "int32": BYTES.astype(np.int32) * 3,
    "float16": FLOATS.astype(np.float16),
    "float32": FLOATS.astype(np.float32),
    "float32, big endian": FLOATS.astype(">f4"),
    "float64 that are float32": FLOATS.astype(np.float32).astype(np.float64),
    "float64": FLOATS,
    "features far from zero": FEATURES,
    "whole numbers far from zero": (FEATURES * 1e9).astype(np.int64) * 2,
}
SPLIT = Split(seed=0, validation=0.2, test=0.2, train=None)
DOMAINS: tuple[Domain, ...] = ("plain", "brightness_1")


def write_npz(folder: Path, save: Callable[..., None], x: Any, has_test: bool) -> Choice:
    more = {"x_test": x[:90], "y_test": LABELS[:90]} if has_test else {}
    folder.mkdir()
    save(folder / "data.npz", x=x, y=LABELS, **more)
    return Choice.of("npz", {"path": "data.npz"})


def write_images(folder: Path, has_test: bool) -> Choice:
    for part in ("train/", "test/") if has_test else ("",):
        for place, image in enumerate(BYTES[:60].transpose(0, 2, 3, 1)):
            path = folder / f"images/{part}{place % 3}/{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return Choice.of("imagefolder", {"size": 20})


def tensors_of(data: Data) -> list[Tensor]:
    parts = [data.train, data.validation, data.test]
    return [data.mean, data.std, *(tensor for part in parts for tensor in (part.x, part.y))]


def is_mapped(tensor: Tensor) -> bool:
    """True if a tensor is part of a file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= tensor.data_ptr() < last:
            return int(line.split()[4]) > 0
    raise AssertionError("it is nowhere")


def equal(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(left, right, strict=True))


def moved(folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str = "1KB") -> Path:
    """The same files elsewhere, loaded with less memory."""
    shutil.copytree(folder, folder.with_name("again"), ignore=shutil.ignore_patterns(".bnbench-cache"))
    monkeypatch.setenv(VARIABLE, limit)
    return folder.with_name("again")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("name", "has_test", "domains"),
    [*((name, has_test, ()) for name in ARRAYS for has_test in (False, True)), ("float64", False, DOMAINS)],
)
def test_arrays_are_the_same(
    name: str,
    save: Callable[..., None],
    has_test: bool,
    domains: tuple[Domain, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choice = write_npz(tmp_path / "data", save, ARRAYS[name], has_test)
    whole = load(choice, SPLIT, tmp_path / "data", domains=domains)
    again = moved(tmp_path / "data", monkeypatch)
    told: list[str] = []
    with heard(told.append):
        mapped = load(choice, SPLIT, again, domains=domains)
    assert equal(tensors_of(whole), tensors_of(mapped))
    assert is_mapped(mapped.train.source) and not is_mapped(whole.train.source)
    (text,) = told
    assert text.startswith("dataset=npz: ") and "more than BNBENCH_DATA_MEMORY=1KB; they are read from disk" in text


def test_tables_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    rows = "".join(
        ",".join(map(repr, [*row, label])) + "\n" for row, label in zip(FEATURES.tolist(), LABELS.tolist(), strict=True)
    )
    names = ",".join([*(f"f{number}" for number in range(FEATURES.shape[1])), "label"])
    (tmp_path / "data/data.csv").write_text(f"{names}\n{rows}")
    whole = load(Choice.of("csv"), SPLIT, tmp_path / "data")
    mapped = load(Choice.of("csv"), SPLIT, moved(tmp_path / "data", monkeypatch))
    assert equal(tensors_of(whole), tensors_of(mapped))
    assert is_mapped(mapped.train.source) and not is_mapped(whole.train.source)


@pytest.mark.parametrize("has_test", [False, True], ids=["split", "official test"])
def test_images_are_the_same(has_test: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = write_images(tmp_path / "data", has_test)
    whole = load(choice, SPLIT, tmp_path / "data")
    again = moved(tmp_path / "data", monkeypatch)
    mapped = load(choice, SPLIT, again)
    assert equal(tensors_of(whole), tensors_of(mapped)) and is_mapped(mapped.train.source)
    (kept,) = (again / ".bnbench-cache").iterdir()
    assert str(kept) in Path("/proc/self/maps").read_text(), "other processes share it"


@pytest.mark.parametrize(
    "overrides", [("dataset=npz", "dataset.path=data.npz"), ("dataset=imagefolder",)], ids="-".join
)
def test_the_same_networks_are_trained(
    overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the reference, and as a stack of lanes with splits of their own."""
    write_npz(tmp_path / "data", np.savez, FLOATS.astype(np.float32), has_test=False)
    write_images(tmp_path / "data", has_test=False)
    specs = [
        make_spec(*overrides, "model=mlp", "norm=batch", "steps=6", "batch_size=16", f"seed={seed}") for seed in (0, 1)
    ]

    def outcomes(root: Path) -> list[Any]:
        data = [load_data(spec, root) for spec in specs]
        alone = [list(train(spec, components().build(spec, one), one)) for spec, one in zip(specs, data, strict=True)]
        networks = [components().build(spec, data[0]) for spec in specs]
        return [alone, [*train_stack(specs, networks, data)]]

    whole = outcomes(tmp_path / "data")
    assert repr(outcomes(moved(tmp_path / "data", monkeypatch))) == repr(whole)


def test_a_sweep_has_the_same_runs_and_results(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is no part of a run's identity, and is told in one line."""
    write_npz(tmp_path / "data", np.savez, FLOATS, has_test=True)
    grid = (
        "dataset=npz",
        "dataset.path=data.npz",
        "model=mlp",
        "norm=none,batch",
        "seed=0,1",
        "steps=5",
        "batch_size=16",
    )

    def results(name: str, folder: Path) -> tuple[list[list[str]], str]:
        result = program("sweep", "--name", name, "--launcher", "inline", "--data", str(folder), *grid)
        assert result.code == 0, result.err
        return [
            [row["run_id"], row["train_loss"], row["test_loss"]] for row in rows(f"results/{name}/runs.csv")
        ], result.err

    whole, said = results("whole", tmp_path / "data")
    assert said == "" and len(whole) == 4
    again, said = results("again", moved(tmp_path / "data", monkeypatch))
    assert sorted(again) == sorted(whole)
    assert (
        said.startswith("note: dataset=npz: 0.9 MiB are more than BNBENCH_DATA_MEMORY=1KB;") and said.count("note") == 1
    )


def test_a_damaged_array_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = write_npz(tmp_path / "data", np.savez, BYTES, has_test=False)
    content = bytearray((tmp_path / "data/data.npz").read_bytes())
    content[BYTES.nbytes // 2] ^= 1
    (tmp_path / "data/data.npz").write_bytes(content)
    monkeypatch.setenv(VARIABLE, "1KB")
    with pytest.raises(BnbenchError, match=r"data\.npz: must be an \.npz file of plain arrays \(Bad CRC"):
        load(choice, SPLIT, tmp_path / "data")


def test_no_room_anywhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1KB")
    with pytest.raises(BnbenchError, match=r"no room for 1,048,576.00 GiB of a dataset \(No space left.*Set TMPDIR"):
        room((2**50,), np.uint8)
    assert Path(LASTING).is_dir()


def test_raw_data_that_are_widened_stay_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(FLOATS)
    monkeypatch.setenv(VARIABLE, "1KB")
    raw = as_raw("mine", (x.float(), LABELS))
    assert torch.equal(raw.train_x, x.float())


@pytest.mark.parametrize(("text", "count"), [("1KB", 2**10), ("1.5g", 3 * 2**29), ("2 MiB", 2**21), ("1TB", 2**40)])
def test_sizes(text: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert data_memory() == count


def test_a_quarter_of_what_is_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert data_memory() == pytest.approx(free_memory() / 4, rel=0.3)


@pytest.mark.parametrize("text", ["4", "0GB", "-1GB", "lots", "1PB", "nanGB"])
def test_what_is_no_size_is_refused(text: str, reader: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InvalidRequest):
        data_memory()
    result = reader("ls")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {VARIABLE}={text}: must be a size above zero with its unit, such as 500MB or 2GB\n"
