"""The cache of decoded tensors: keyed by content, and never wrong."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bnbench.data.cache import FOLDER, Source, cached
from bnbench.data.raw import Raw
from tests import warm
from tests.test_user_cache import DAMAGES, Damage


def _raw(seed: int = 0) -> Raw:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return Raw(x, torch.arange(40) % 4, x[:8].clone(), torch.arange(8) % 4, ("a", "b", "c", "d"))


class Decoder:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Raw:
        self.calls += 1
        return _raw()


def _source(folder: Path, options: str = "") -> Source:
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        if not (folder / name).exists():
            (folder / name).write_bytes(name.encode())
    return Source("mine", folder, ("one", "two"), options)


def _same(left: Raw, right: Raw) -> bool:
    pairs = [(getattr(left, field), getattr(right, field)) for field in ("train_x", "train_y", "test_x", "test_y")]
    return all(torch.equal(a, b) for a, b in pairs) and left.classes == right.classes


def _kept(root: Path) -> Path:
    (path,) = (root / FOLDER).glob("*.pt")
    return path


def test_decoded_once(tmp_path: Path) -> None:
    decode, source = Decoder(), _source(tmp_path / "files")
    assert all(_same(cached(tmp_path, source, decode), _raw()) for _ in range(3))
    assert decode.calls == 1
    assert [path.suffix for path in (tmp_path / FOLDER).iterdir()] == [".pt"]


def test_without_a_test_set(tmp_path: Path) -> None:
    source = _source(tmp_path / "files")
    for _ in range(2):
        raw = cached(tmp_path, source, lambda: Raw(_raw().train_x, _raw().train_y, classes=("a", "b", "c", "d")))
        assert raw.test_x is None and raw.test_y is None


def test_a_touched_or_copied_folder_is_not_decoded_again(tmp_path: Path) -> None:
    decode = Decoder()
    cached(tmp_path, _source(tmp_path / "files"), decode)
    os.utime(tmp_path / "files" / "one", (1, 1))
    cached(tmp_path, _source(tmp_path / "files"), decode)
    cached(tmp_path, _source(tmp_path / "copy"), decode)
    assert decode.calls == 1


def test_changed_content_or_options_are_decoded_again(tmp_path: Path) -> None:
    decode = Decoder()
    cached(tmp_path, _source(tmp_path / "files"), decode)
    cached(tmp_path, _source(tmp_path / "files", "size=8"), decode)
    assert decode.calls == 2
    (tmp_path / "files" / "one").write_bytes(b"uno")  # the same length
    cached(tmp_path, _source(tmp_path / "files"), decode)
    assert decode.calls == 3


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip_a_byte_of_an_image(path: Path) -> None:
    content, image = bytearray(path.read_bytes()), _raw().train_x[0].numpy().tobytes()
    at = bytes(content).find(image)
    assert at > 0
    content[at] ^= 1
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def _wrong_shapes(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    kept["tensors"][0] = kept["tensors"][0][:5].clone()
    torch.save(kept, path)


def _wrong_type(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    kept["tensors"][0] = kept["tensors"][0].view(torch.int8)
    torch.save(kept, path)


def _other_classes(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    torch.save({**kept, "classes": kept["classes"][::-1]}, path)


def _wrong_version(path: Path) -> None:
    torch.save({**torch.load(path, weights_only=True), "version": -1}, path)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _halve,
        _garbage,
        _empty,
        _flip_a_byte_of_an_image,
        _foreign,
        _wrong_shapes,
        _wrong_type,
        _other_classes,
        _wrong_version,
    ],
)
def test_a_damaged_file_is_replaced(damage: Callable[[Path], None], tmp_path: Path) -> None:
    decode, source = Decoder(), _source(tmp_path / "files")
    cached(tmp_path, source, decode)
    damage(_kept(tmp_path))
    assert _same(cached(tmp_path, source, decode), _raw())
    assert decode.calls == 2
    assert _same(cached(tmp_path, source, decode), _raw())
    assert decode.calls == 2


def _kept_of(options: str, root: Path) -> Path:
    """What is kept of other files, or the same with other options."""
    before = set(root.rglob("*.pt"))
    cached(root, _source(root / "files", options), lambda: _raw(1))
    (path,) = set(root.rglob("*.pt")) - before
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_becomes_of_a_file_the_numbers_are_right(damage: Damage, tmp_path: Path) -> None:
    source = _source(tmp_path / "files")
    cached(tmp_path, source, Decoder())
    (path,) = (tmp_path / FOLDER).glob("*.pt")
    damage(path)
    decode = Decoder()
    assert _same(cached(tmp_path, source, decode), _raw())
    calls = decode.calls
    assert _same(cached(tmp_path, source, decode), _raw()) and decode.calls == calls, "it is good again"
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_a_file_that_was_kept_of_something_else_is_not_taken(tmp_path: Path) -> None:
    source = _source(tmp_path / "files")
    cached(tmp_path, source, Decoder())
    (path,) = (tmp_path / FOLDER).glob("*.pt")
    shutil.copy(_kept_of("size=8", tmp_path), path)
    for _ in range(2):
        assert _same(cached(tmp_path, source, Decoder()), _raw())


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    decode, source = Decoder(), _source(tmp_path / "files")
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    for _ in range(2):
        assert _same(cached(tmp_path, source, decode), _raw())
    assert decode.calls == 2


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bnbench.data.cache.os.fsync", fail)
    assert _same(cached(tmp_path, _source(tmp_path / "files"), Decoder()), _raw())
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_files_that_change_while_they_are_decoded_are_not_kept(tmp_path: Path) -> None:
    source = _source(tmp_path / "files")

    def decode() -> Raw:
        (tmp_path / "files" / "two").write_bytes(b"changed")
        return _raw()

    cached(tmp_path, source, decode)
    assert not (tmp_path / FOLDER).exists()


BUILD = """
import pathlib, sys, torch
from bnbench.data.cache import Source, cached
from tests.data.test_cache import _raw, _same
torch.set_num_threads(1)
root = pathlib.Path(sys.argv[1])
source = Source("mine", root / "files", ("one", "two"), "")
assert all(_same(cached(root, source, _raw), _raw()) for _ in range(20))
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    _source(tmp_path / "files")
    both = [warm.Popen([sys.executable, "-c", BUILD, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert [path.suffix for path in (tmp_path / FOLDER).iterdir()] == [".pt"]
