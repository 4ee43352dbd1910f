"""MNIST, CIFAR and SVHN: torchvision's own files and classes are the oracle. No network is used."""

import gzip
import hashlib
import os
import pickle
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
import torchvision

from bnbench.data import load
from bnbench.data.archives import cifar10, cifar100, svhn
from bnbench.data.cache import FOLDER
from bnbench.data.idx import fashion_mnist, kmnist, mnist
from bnbench.errors import BnbenchError, DataMissing
from bnbench.spec import Choice, Split


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def _write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def _write_mnist(raw: Path) -> None:
    generator = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        _write_idx(raw / f"{part}-images-idx3-ubyte", generator.integers(0, 256, (count, 28, 28)))
        _write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)


def test_mnist_is_that_of_torchvision(shared_data: Path) -> None:
    raw = mnist(shared_data)
    assert raw.test_x is not None and raw.test_y is not None
    for train, x, y in ((True, raw.train_x, raw.train_y), (False, raw.test_x, raw.test_y)):
        official = torchvision.datasets.MNIST(str(shared_data), train=train)
        assert torch.equal(x[:, 0], official.data)
        assert torch.equal(y, official.targets)


def test_mnist_uses_its_official_test_set(shared_data: Path) -> None:
    data = load(Choice.of("mnist"), Split(seed=0, validation=0.1, test=0.5, train=None), shared_data)
    assert (len(data.train), len(data.validation), len(data.test)) == (54_000, 6_000, 10_000)
    assert torch.equal(data.test.y, torchvision.datasets.MNIST(str(shared_data), train=False).targets)
    x = data.train.x.double()
    torch.testing.assert_close(data.mean, x.mean().float().view(1))
    torch.testing.assert_close(data.std, x.std(correction=0).float().view(1))
    assert not (shared_data / FOLDER).exists()


@pytest.mark.parametrize(("loader", "folder"), [(fashion_mnist, "FashionMNIST"), (kmnist, "KMNIST")])
def test_relatives_of_mnist(loader: Any, folder: str, tmp_path: Path) -> None:
    _write_mnist(tmp_path / folder / "raw")
    raw, official = loader(tmp_path), getattr(torchvision.datasets, folder)(str(tmp_path))
    assert torch.equal(raw.train_x[:, 0], official.data)
    assert list(raw.classes) == official.classes


@pytest.mark.parametrize("content", [b"", b"hello", b"\0\0\x08\x03\0\0", b"\0\0\x08\x01\0\0\0\x05abc"])
def test_a_damaged_idx_file_is_named(content: bytes, tmp_path: Path) -> None:
    _write_mnist(tmp_path / "MNIST" / "raw")
    damaged = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    damaged.write_bytes(content)
    with pytest.raises(BnbenchError, match=r"t10k-labels-idx1-ubyte.*Delete"):
        mnist(tmp_path)


def _write_cifar(folder: Path, kind: Any, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """A small archive with the right sums; returns the training images [N, 3, 32, 32]."""
    generator = np.random.default_rng(1)
    base = folder / kind.base_folder
    base.mkdir(parents=True)
    label_key, classes = ("fine_labels", 100) if kind.__name__ == "CIFAR100" else ("labels", 10)
    images = []
    for attribute in ("train_list", "test_list"):
        sums = []
        for name, _ in getattr(kind, attribute):
            data = generator.integers(0, 256, (classes, 3072)).astype(np.uint8)
            (base / name).write_bytes(pickle.dumps({"data": data, label_key: list(range(classes))}))
            sums.append([name, _md5(base / name)])
            images.append(data)
        monkeypatch.setattr(kind, attribute, sums)
    meta = base / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: [f"class {number}" for number in range(classes)]}))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": _md5(meta)})
    return np.concatenate(images[:-1]).reshape(-1, 3, 32, 32)


@pytest.mark.parametrize(("loader", "kind"), [(cifar10, "CIFAR10"), (cifar100, "CIFAR100")])
def test_cifar(loader: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = _write_cifar(tmp_path, getattr(torchvision.datasets, kind), monkeypatch)
    first = loader(tmp_path)
    np.testing.assert_array_equal(first.train_x.numpy(), images)
    assert len(first.classes) == len(first.test_y)
    monkeypatch.delattr(torchvision.datasets, kind)
    second = loader(tmp_path)
    assert torch.equal(first.train_x, second.train_x)
    assert torch.equal(first.test_y, second.test_y)


def test_a_damaged_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_cifar(tmp_path, torchvision.datasets.CIFAR10, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"damaged")
    with pytest.raises(BnbenchError, match=r"cifar10.*data_batch_3.*damaged"):
        cifar10(tmp_path)


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, sums = np.random.default_rng(2), {}
    for part in ("train", "test"):
        path = tmp_path / f"{part}_32x32.mat"
        images = generator.integers(0, 256, (32, 32, 3, 20)).astype(np.uint8)
        scipy.io.savemat(path, {"X": images, "y": (np.arange(20) % 10 + 1)[:, None]})
        sums[part] = ["", path.name, _md5(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", sums)
    raw = svhn(tmp_path)
    np.testing.assert_array_equal(raw.test_x, images.transpose(3, 2, 0, 1))
    assert raw.train_y.tolist() == [*range(1, 10), 0] * 2


def _no_network(*args: Any, **options: Any) -> None:
    raise OSError("no network")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"])
def test_without_files_or_network_the_message_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    root = tmp_path / "new" / "deeper" / "data"
    with pytest.raises(DataMissing) as caught:
        load(Choice.of(name), Split(0, 0.1, 0.2, None), root)
    message = str(caught.value)
    assert all(part in message for part in (f"dataset={name}", str(root), "no network", "--data DIR"))
    assert {"mnist": "t10k-images-idx3-ubyte", "svhn": "train_32x32.mat"}.get(name, "") in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "cifar10", "npz"])
def test_messages_about_a_data_folder_that_is_no_utf8_can_be_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    root = tmp_path / os.fsdecode(b"caf\xe9")
    cifar = "cifar-10-batches-py"
    files = {"mnist": "MNIST/raw/t10k-labels-idx1-ubyte", "cifar10": f"{cifar}/test_batch", "npz": "data.npz"}
    root.mkdir()
    messages = []
    for damaged in (False, True):
        if damaged:
            _write_mnist(root / "MNIST" / "raw")
            (root / cifar).mkdir()
            for file in (*(f"data_batch_{number}" for number in range(1, 6)), "batches.meta"):
                (root / cifar / file).touch()
            (root / files[name]).write_bytes(b"damaged")
        with pytest.raises(BnbenchError) as caught:
            load(Choice.of(name), Split(0, 0.1, 0.2, None), root)
        messages.append(str(caught.value))
    assert all("caf\ufffd" in message and message.encode("utf-8") for message in messages)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a local server from which torchvision downloads MNIST."""
    folder = tmp_path / "server"
    _write_mnist(folder)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        resources = [(path.name, _md5(path)) for path in sorted(folder.iterdir())]
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{listener.server_port}/"])
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
        yield folder
        listener.shutdown()


def test_download_on_first_use(server: Path, tmp_path: Path) -> None:
    root = tmp_path / "new" / "data"
    assert len(mnist(root).train_x) == 40
    names = {f"{path.name}.gz" for path in root.rglob("*") if path.is_file()}
    assert names == {path.name for path in server.iterdir()}
    assert [path.name for path in root.iterdir()] == ["MNIST"]


def test_a_broken_download_leaves_nothing_and_the_next_one_works(server: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    last = server / "t10k-labels-idx1-ubyte.gz"
    whole = last.read_bytes()
    last.write_bytes(whole[:-9])
    with pytest.raises(DataMissing, match="mnist"):
        mnist(root)
    assert list(root.iterdir()) == []
    last.write_bytes(whole)
    assert len(mnist(root).train_x) == 40
