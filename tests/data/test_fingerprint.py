"""Fingerprints of data, and files that would never end."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bnbench.components import components
from bnbench.data import files as data_files
from bnbench.data import fingerprint, load, loading
from bnbench.data.files import own_file
from bnbench.data.images import image_files
from bnbench.errors import BnbenchError, DataMissing
from bnbench.spec import Choice, Split
from bnbench.user_cache import kept_folder
from tests.conftest import make_spec

IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def write_npz(file: Path, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, x=np.arange(40 * 9, dtype=np.float32).reshape(40, 9), y=generator.permutation(np.arange(40) % 2))


def write_csv(file: Path, seed: int = 0) -> None:
    label_N = np.random.default_rng(seed).permutation(np.arange(40) % 2)
    file.write_text("a,b,label\n" + "".join(f"{n},{n / 3},{label}\n" for n, label in enumerate(label_N)))


def write_images(folder: Path) -> None:
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(np.full((4, 4, 3), 5 * number + ord(part), np.uint8)).save(folder / part / f"{number}.png")


def write_idx(raw: Path) -> None:
    raw.mkdir(parents=True)
    for name, shape in zip(IDX, [(40, 28, 28), (40,), (20, 28, 28), (20,)], strict=True):
        array = np.arange(np.prod(shape)).reshape(shape) % (256 if len(shape) > 1 else 10)
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (raw / f"{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def rewrite(file: Path) -> None:
    """Another last byte, in place, with the size and the time of the one before."""
    status = file.stat()
    with file.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def rename(file: Path) -> None:
    file.rename(file.with_name(f"z{file.name}"))


CASES: list[tuple[str, str, Callable[[Path], None], str, Callable[[Path], None]]] = [
    ("npz", "data.npz", write_npz, "", lambda file: write_npz(file, seed=1)),
    ("npz", "data.npz", write_npz, "", rewrite),
    ("csv", "data.csv", write_csv, "", lambda file: write_csv(file, seed=1)),
    ("csv", "data.csv", write_csv, "", rewrite),
    ("covtype", "cells", write_csv, "", rewrite),
    ("text", "text.txt", write_csv, "", rewrite),
    ("imagefolder", "images", write_images, "a/3.png", Path.unlink),
    ("imagefolder", "images", write_images, "b/19.png", rename),
    ("imagefolder", "images", write_images, "a/3.png", rewrite),
    ("imagefolder", "images", write_images, "a/3.png", lambda file: file.rename(file.parents[1] / "b" / "x.png")),
    ("mnist", "MNIST/raw", write_idx, "train-labels-idx1-ubyte", rewrite),
    ("kmnist", "KMNIST/raw", write_idx, "t10k-images-idx3-ubyte", rewrite),
]


def choice_of(dataset: str, place: str) -> Choice:
    return Choice.of(dataset, {"path": place} if dataset in ("npz", "csv", "covtype", "text", "imagefolder") else {})


@pytest.mark.parametrize(("dataset", "place", "write", "part", "change"), CASES)
def test_it_changes_with_the_content_and_with_nothing_else(
    dataset: str, place: str, write: Callable[[Path], None], part: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / place)
    choice = choice_of(dataset, place)
    before = fingerprint(choice, tmp_path)
    assert before is not None and len(before) == 12 and before[0] == "d"
    shutil.copytree(tmp_path, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1))
    assert fingerprint(choice, tmp_path / "copy") == before
    change(tmp_path / place / part if part else tmp_path / place)
    assert fingerprint(choice, tmp_path) != before
    assert fingerprint(choice, tmp_path / "copy") == before


def test_names_of_the_user_do_not_count(tmp_path: Path) -> None:
    write_npz(tmp_path / "one.npz")
    shutil.copy(tmp_path / "one.npz", tmp_path / "two")
    (tmp_path / "link").symlink_to("two")
    choices = [Choice.of("npz", {"path": name, "layout": "nchw"}) for name in ("one.npz", "two", "link")]
    assert len({fingerprint(choice, tmp_path) for choice in choices}) == 1


@pytest.mark.parametrize("dataset", ["digits", "wine", "breast_cancer", "synthetic", "cifar10", "cifar100", "svhn"])
def test_what_a_name_says_has_none(dataset: str, tmp_path: Path) -> None:
    assert fingerprint(make_spec(f"dataset={dataset}", "model=mlp").dataset, tmp_path) is None


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read for a fingerprint."""
    read: list[str] = []
    chunks = data_files._chunks
    monkeypatch.setattr(data_files, "_known", {})
    monkeypatch.setattr(data_files, "_chunks", lambda path, buffer: (read.append(path), chunks(path, buffer))[1])
    return read


def test_files_are_read_once(tmp_path: Path, reads: list[str]) -> None:
    write_images(tmp_path / "images")
    choice = choice_of("imagefolder", "images")
    first = fingerprint(choice, tmp_path)
    assert len(reads) == 40
    data_files._known.clear()  # as in another process
    assert fingerprint(choice, tmp_path) == first and len(reads) == 40
    rewrite(tmp_path / "images" / "a" / "0.png")
    assert fingerprint(choice, tmp_path) != first and len(reads) == 80


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"zz" * 32, b"0" * 64, b"0" * 64 + b" " + b"0" * 64])
def test_a_damaged_file_of_what_was_kept_is_harmless(content: bytes, tmp_path: Path, reads: list[str]) -> None:
    write_npz(tmp_path / "data.npz")
    before = {*(kept_folder("fingerprints") or tmp_path).glob("*")}
    first = fingerprint(choice_of("npz", "data.npz"), tmp_path)
    (kept,) = {*(kept_folder("fingerprints") or tmp_path).glob("*")} - before
    kept.write_bytes(content)
    data_files._known.clear()
    assert fingerprint(choice_of("npz", "data.npz"), tmp_path) == first
    assert len(reads) == 2


def test_data_that_change_after_planning_are_not_trained_on(tmp_path: Path) -> None:
    write_npz(tmp_path / "data.npz")
    choice, split = choice_of("npz", "data.npz"), Split(0, 0.2, 0.2, None)
    first = fingerprint(choice, tmp_path)
    before = load(choice, split, tmp_path, known=first).train
    assert len(before) == 26
    write_npz(tmp_path / "data.npz", seed=1)
    assert load(choice, replace(split, seed=1), tmp_path, known=first).train.source is before.source
    loading._dataset.cache_clear()  # as in another process
    with pytest.raises(BnbenchError, match="dataset=npz: its files have changed"):
        load(choice, replace(split, seed=1), tmp_path, known=first)
    second = load(choice, split, tmp_path, known=fingerprint(choice, tmp_path))  # not what was loaded before
    assert second.train.y.tolist() != before.y.tolist()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.parents[1] / "pipe")
    path.symlink_to(path.parents[1] / "pipe")


def endless(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2**40)


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name has few characters
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("dataset", "place", "write", "part"),
    [
        ("npz", "data.npz", write_npz, ""),
        ("csv", "data.csv", write_csv, ""),
        ("text", "text.txt", write_csv, ""),
        ("imagefolder", "images", write_images, "a/3.png"),
        ("imagefolder", "images", lambda folder: write_images(folder / "train"), "train/b/19.png"),
        ("mnist", "MNIST/raw", write_idx, "t10k-labels-idx1-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw", write_idx, "train-images-idx3-ubyte"),
        ("cifar10", "cifar-10-batches-py", lambda folder: folder.mkdir(), "data_batch_3"),
        ("svhn", "", lambda folder: None, "test_32x32.mat"),
    ],
)
@pytest.mark.parametrize(
    ("put", "said"),
    [
        (pipe, "is a pipe"),
        (link_to_a_pipe, "is a pipe"),
        (device, "is a device"),
        (bound_socket, "is a socket"),
        (endless, "1,024.0 GiB; a file of its kind may hold 1"),
    ],
)
def test_data_that_never_end_are_named_and_not_read(
    dataset: str,
    place: str,
    write: Callable[[Path], None],
    part: str,
    put: Callable[[Path], None],
    said: str,
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write(root / place)
    file = root / place / part if part else root / place
    file.unlink(missing_ok=True)
    put(file)
    choice = choice_of(dataset, place)
    with pytest.raises(BnbenchError) as caught:
        load(choice, Split(0, 0.2, 0.2, None), root)
    assert str(file) in str(caught.value) and said in str(caught.value)
    if dataset not in ("cifar10", "svhn"):  # which have none
        with pytest.raises(BnbenchError, match=said):
            fingerprint(choice, root)


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    nowhere(tmp_path / "images" / "a" / "x.png")
    with pytest.raises(BnbenchError, match=r"a/x\.png: cannot be read"):
        load(choice_of("imagefolder", "images"), Split(0, 0.2, 0.2, None), tmp_path)


def test_arrays_that_are_large_once_unpacked_are_refused(tmp_path: Path) -> None:
    x = np.zeros((40, 9), np.float32)
    np.savez_compressed(tmp_path / "data.npz", x=x, y=np.arange(40) % 2, x_test=x, y_test=np.arange(40) % 2, more=x)
    content = bytearray((tmp_path / "data.npz").read_bytes())
    for at in (found.start() for found in re.finditer(rb"PK\x01\x02", bytes(content))):
        content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")  # the size that a member declares
    (tmp_path / "bomb.npz").write_bytes(content)
    with pytest.raises(BnbenchError, match=r"bomb\.npz: its arrays take 20\.0 GiB once unpacked; at most 16 GiB"):
        load(choice_of("npz", "bomb.npz"), Split(0, 0.2, 0.2, None), tmp_path)
    assert len(load(choice_of("npz", "data.npz"), Split(0, 0.2, 0.2, None), tmp_path).test) == 40


def test_a_spec_without_a_fingerprint_takes_what_is_there(tmp_path: Path) -> None:
    write_npz(tmp_path / "data.npz")
    data = components().load(make_spec("dataset=npz", "dataset.path=data.npz", "model=mlp"), tmp_path)
    assert data.shape == (9, 1, 1)


@pytest.mark.parametrize("dataset", ["csv", "npz", "imagefolder"])
def test_a_path_that_may_not_be_looked_at_is_said_with_its_dataset(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder of another user: the system refuses to say whether there is something."""
    stat = Path.stat

    def refusing(path: Path, **named: bool) -> os.stat_result:
        if path.is_relative_to(tmp_path / "locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **named)

    monkeypatch.setattr(Path, "stat", refusing)
    with pytest.raises(DataMissing, match=rf"^dataset={dataset}: cannot read .*locked/data: Permission denied$"):
        if dataset == "imagefolder":
            image_files(tmp_path, "locked/data")
        else:
            own_file(tmp_path, "locked/data", dataset, "")
