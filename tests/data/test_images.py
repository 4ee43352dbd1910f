"""Image folders: PIL and torchvision's ImageFolder are the oracle."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from bnbench.data import load
from bnbench.data.cache import FOLDER
from bnbench.data.images import decode, imagefolder
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.spec import Choice, Split
from tests.products import long


def _draw(path: Path, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(str(path))).integers(0, 256, (size[1], size[0], 4)).astype(np.uint8)
    Image.fromarray(values[..., :3]).convert(mode).save(path)


def _classes(folder: Path, names: str = "ab", count: int = 3) -> None:
    for name in names:
        for number in range(count):
            _draw(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def photographs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 + 20 real photographs of 10 classes, in train/ and test/."""
    folder = tmp_path_factory.mktemp("photographs")
    for part, count in (("train", 6), ("test", 2)):
        for kind in sorted((shared_data / "cifar10_jpeg" / part).iterdir()):
            (folder / part / kind.name).mkdir(parents=True)
            for file in sorted(kind.iterdir())[:count]:
                shutil.copy(file, folder / part / kind.name)
    return folder


def test_images_are_those_of_image_folder(photographs: Path, tmp_path: Path) -> None:
    first, second = imagefolder(tmp_path, path=str(photographs)), imagefolder(tmp_path, path=str(photographs))
    for raw in (first, second):
        assert raw.test_x is not None and raw.test_y is not None
        for part, x, y in (("train", raw.train_x, raw.train_y), ("test", raw.test_x, raw.test_y)):
            official = ImageFolder(str(photographs / part))
            expected = np.stack([np.asarray(image) for image, _ in official]).transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(x.numpy(), expected)
            assert y.tolist() == official.targets
            assert list(raw.classes) == official.classes


@long
def test_ten_thousand_photographs(shared_data: Path, tmp_path: Path) -> None:
    choice = Choice.of("imagefolder", {"path": str(shared_data / "cifar10_jpeg" / "test")})
    data = load(choice, Split(seed=0, validation=0.1, test=0.2, train=None), tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (7200, 800, 2000)
    assert torch.bincount(data.train.y).tolist() == [720] * 10


@pytest.mark.parametrize("size", [(32, 32), (32, 50), (41, 32), (20, 31), (97, 64), (64, 64)])
def test_resize_and_crop_are_those_of_torchvision(size: tuple[int, int], tmp_path: Path) -> None:
    _draw(tmp_path / "image.png", size)
    transform = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])
    expected = np.asarray(transform(Image.open(tmp_path / "image.png").convert("RGB")))
    np.testing.assert_array_equal(decode(str(tmp_path / "image.png"), 32), expected)


@pytest.mark.parametrize(
    ("suffix", "mode"), [("png", "L"), ("png", "P"), ("png", "RGBA"), ("gif", "P"), ("bmp", "RGB"), ("JPG", "L")]
)
def test_every_format_becomes_rgb(suffix: str, mode: str, tmp_path: Path) -> None:
    _classes(tmp_path / "images")
    _draw(tmp_path / "images" / "a" / f"extra.{suffix}", mode=mode)
    assert imagefolder(tmp_path).train_x.shape == (7, 3, 32, 32)


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    _draw(tmp_path / "image.png", mode="P")
    with Image.open(tmp_path / "image.png") as image:
        image.save(tmp_path / "clear.png", transparency=bytes(range(256)))
    assert decode(str(tmp_path / "clear.png"), 16).shape == (16, 16, 3)


def test_other_files_hidden_ones_and_subfolders(tmp_path: Path) -> None:
    _classes(tmp_path / "images")
    (tmp_path / "images" / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "images" / ".hidden").mkdir()
    (tmp_path / "images" / "b" / "._0.png").write_bytes(b"")
    _draw(tmp_path / "images" / "b" / "deeper" / "9.png")
    assert imagefolder(tmp_path).train_y.tolist() == [0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("folders", [("train", "val"), ("train", "test"), ("train", "test", "val")])
def test_test_set(folders: tuple[str, ...], tmp_path: Path) -> None:
    for count, folder in enumerate(folders, 1):
        _classes(tmp_path / "images" / folder, count=count)
    raw = imagefolder(tmp_path)
    assert len(raw.train_y) == 2
    assert raw.test_y is not None and len(raw.test_y) == 4


def test_train_alone_and_a_class_called_train(tmp_path: Path) -> None:
    _classes(tmp_path / "alone" / "train")
    assert imagefolder(tmp_path, path="alone").test_x is None
    for name in ("train", "bus"):
        _draw(tmp_path / "vehicles" / name / "0.png")
    assert imagefolder(tmp_path, path="vehicles").classes == ("bus", "train")


def test_a_test_set_may_lack_a_class_but_not_add_one(tmp_path: Path) -> None:
    _classes(tmp_path / "images" / "train", "abc")
    _classes(tmp_path / "images" / "test", "c")
    raw = imagefolder(tmp_path)
    assert raw.test_y is not None and raw.test_y.tolist() == [2, 2, 2]
    data = load(Choice.of("imagefolder"), Split(0, 0.34, 0.2, None), tmp_path)
    assert data.notes == ("the test set has no example of 2 of 3 classes: 'a', 'b'",)
    _classes(tmp_path / "images" / "test", "d")
    with pytest.raises(InvalidRequest, match="'d'"):
        imagefolder(tmp_path)


def test_corrupt_images_are_named(photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(photographs / "train", tmp_path / "images")
    images = sorted((tmp_path / "images").rglob("*.jpg"))
    images[3].write_bytes(images[3].read_bytes()[:300])
    images[9].write_bytes(b"not an image at all")
    with pytest.raises(BnbenchError, match="2 of 60") as caught:
        imagefolder(tmp_path)
    assert str(images[3]) in str(caught.value) and str(images[9]) in str(caught.value)
    assert not (tmp_path / FOLDER).exists()


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    with pytest.raises(DataMissing, match=r"images with class folders.*Did you mean image\?"):
        imagefolder(tmp_path)
    with pytest.raises(DataMissing, match=r"class folders.*found no class folder"):
        imagefolder(tmp_path, path="image")
    (tmp_path / "image" / "a").mkdir()
    with pytest.raises(DataMissing, match="image/a, found none"):
        imagefolder(tmp_path, path="image")
    with pytest.raises(DataMissing, match="nowhere does not exist"):
        imagefolder(tmp_path, path="nowhere/images")


def test_a_size_beyond_any_memory_is_refused(tmp_path: Path) -> None:
    _classes(tmp_path / "images")
    with pytest.raises(InvalidRequest, match=r"dataset.size=1000000: takes .* GiB of disk; at most 128 GiB"):
        imagefolder(tmp_path, size=1_000_000)


def test_size_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"dataset\.size=0"):
        imagefolder(tmp_path, size=0)


@pytest.mark.parametrize(
    ("link", "target", "says"),
    [
        ("a/up", "..", "a/up is a link to a folder that it is in"),
        ("a/here", ".", "a/here is a link to a folder that it is in"),
        ("a/itself", "itself", "cannot read .*itself"),
    ],
)
def test_a_link_that_never_ends_is_named(tmp_path: Path, link: str, target: str, says: str) -> None:
    _classes(tmp_path / "images")
    (tmp_path / "images" / link).symlink_to(target)
    with pytest.raises((InvalidRequest, DataMissing), match=says):
        imagefolder(tmp_path)


def test_a_link_to_images_elsewhere_is_followed(tmp_path: Path) -> None:
    _classes(tmp_path / "images")
    _classes(tmp_path / "more", "c")
    (tmp_path / "images" / "a" / "more").symlink_to(tmp_path / "more" / "c")
    (tmp_path / "images" / "c").symlink_to(tmp_path / "more" / "c")
    raw = imagefolder(tmp_path)
    assert raw.classes == ("a", "b", "c") and raw.train_y.tolist() == [0] * 6 + [1] * 3 + [2] * 3


def _strange(folder: Path) -> Path:
    """Two classes and images of names that are no UTF-8, or that a console must not be given."""
    for name in (b"caf\xe9", b"caf\xe8", "猫".encode(), b"a\nb\x1b[31m"):
        for number in range(6):
            _draw(folder / os.fsdecode(name) / f"{os.fsdecode(name)}{number}.png")
    return folder


def test_names_need_not_be_utf8(tmp_path: Path) -> None:
    """Neither of classes, nor of files, nor of the folder; kept images are found again."""
    folder = _strange(tmp_path / os.fsdecode(b"t\xe9st") / "train")
    shutil.copytree(folder / "猫", folder.parent / "test" / "猫")
    choice, split = Choice.of("imagefolder", {"path": str(folder.parent)}), Split(0, 0.2, 0.2, None)
    data = load(choice, split, tmp_path)
    assert data.notes == (
        "the test set has no example of 3 of 4 classes: 'a\ufffdb\ufffd[31m', 'caf\ufffd', 'caf\ufffd'",
    )
    assert len(list((tmp_path / FOLDER).glob("*.pt"))) == 1
    first = imagefolder(tmp_path, path=str(folder.parent))
    for file in folder.rglob("*.png"):
        file.write_bytes(file.read_bytes())  # at another time: found by the content
    again = imagefolder(tmp_path, path=str(folder.parent))
    assert torch.equal(first.train_x, again.train_x) and first.classes == again.classes
    assert len(list((tmp_path / FOLDER).glob("*.pt"))) == 1
    assert first.train_y.tolist() == [label for label in range(4) for _ in range(6)]


@pytest.mark.parametrize("spoil", ["damaged", "empty", "unknown", "loop", "missing"])
def test_messages_about_strange_names_can_be_printed(spoil: str, tmp_path: Path) -> None:
    folder = _strange(tmp_path / os.fsdecode(b"t\xe9st") / "train")
    strange, path = folder / os.fsdecode(b"caf\xe9"), folder.parent
    match spoil:
        case "damaged":
            next(strange.iterdir()).write_bytes(b"damaged")
        case "empty":
            (folder / os.fsdecode(b"\xff")).mkdir()
        case "unknown":
            shutil.copytree(strange, folder.parent / "test" / os.fsdecode(b"\xfe"))
        case "loop":
            (strange / "loop").symlink_to(".")
        case "missing":
            path = tmp_path / os.fsdecode(b"t\xe8st")
    with pytest.raises(BnbenchError) as refused:
        imagefolder(tmp_path, path=str(path))
    message = str(refused.value)
    assert "\ufffd" in message and message.encode("utf-8") and "\x1b" not in message


def test_what_an_earlier_version_kept_of_the_same_files_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _classes(tmp_path / "images")
    monkeypatch.setattr("bnbench.data.images._DECODING", 1)
    imagefolder(tmp_path)
    monkeypatch.undo()
    imagefolder(tmp_path)
    assert len(list((tmp_path / FOLDER).glob("*.pt"))) == 2
