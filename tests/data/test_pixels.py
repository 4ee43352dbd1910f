"""What a picture shows as 8-bit RGB: depths against the same in 8 bits, orientations against the upright one."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from bnbench.data.images import decode, imagefolder
from bnbench.data.pixels import shown
from bnbench.errors import BnbenchError, InvalidRequest

Array = np.ndarray[Any, Any]
SIZE = 16
DEEP = np.random.default_rng(0).integers(0, 2**16, (SIZE, SIZE)).astype(np.uint16)
GRAY = (DEEP >> 8).astype(np.uint8)
COLORS = np.random.default_rng(1).integers(0, 2**16, (SIZE, SIZE, 3)).astype(np.uint16)


def _tiff(
    values: Array, *, bits: int, photometric: int = 1, sample: int = 1, planes: int = 1, packed: bool = False
) -> bytes:
    """A TIFF written by hand: PIL reads more kinds than it writes. ``values`` are stored as they lie in memory."""
    order = ">" if values.dtype.byteorder == ">" else "<"
    channels = 3 if photometric == 2 else 1
    parts = np.split(values, channels) if planes == 2 else [values]
    strips = [zlib.compress(part.tobytes()) if packed else part.tobytes() for part in parts]
    strips = [strip.ljust(max(map(len, strips)), b"\0") for strip in strips]
    short: dict[int, list[int]] = {
        256: [SIZE], 257: [SIZE], 258: [bits] * channels, 259: [8 if packed else 1], 262: [photometric],
        273: [], 277: [channels], 278: [SIZE], 279: [len(strips[0])] * len(strips), 284: [planes],
        339: [sample] * channels,
    }  # fmt: skip
    start, extra, entries = 8 + 2 + 12 * len(short) + 4, b"", b""
    for tag, numbers in short.items():
        if tag == 273:
            numbers = [600 + index * len(strips[0]) for index in range(len(strips))]
        content = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(content) > 4:
            content, extra = struct.pack(f"{order}I", start + len(extra)), extra + content
        entries += struct.pack(f"{order}HHI", tag, 3, len(numbers)) + content.ljust(4, b"\0")
    magic = b"MM\0*" if order == ">" else b"II*\0"
    head = magic + struct.pack(f"{order}IH", 8, len(short)) + entries + bytes(4) + extra
    return head.ljust(600, b"\0") + b"".join(strips)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _fits(values: Array) -> bytes:
    cards = {"SIMPLE": "T", "BITPIX": 16, "NAXIS": 2, "NAXIS1": SIZE, "NAXIS2": SIZE}
    head = "".join(f"{key:8}= {value:>20}".ljust(80) for key, value in cards.items()) + "END"
    return head.ljust(2880).encode() + values.astype(">i2").tobytes()


def _decoded(content: bytes, folder: Path) -> Array:
    (folder / "image").write_bytes(content)
    return decode(str(folder / "image"), SIZE)


def _twelve_bits(values: Array) -> Array:
    bits = "".join(f"{value:012b}" for value in values.flatten())
    return np.array([int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)], np.uint8)


GRAYS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: _saved(Image.fromarray(DEEP), "PNG"),
    "JPEG 2000": lambda: _saved(Image.fromarray(DEEP), "JPEG2000", irreversible=False),
    "PGM": lambda: b"P5 16 16 65535\n" + DEEP.astype(">u2").tobytes(),
    "plain PGM": lambda: b"P2 16 16 65535\n" + " ".join(map(str, DEEP.flatten())).encode(),
    "TIFF": lambda: _saved(Image.fromarray(DEEP), "TIFF"),
    "TIFF, big-endian": lambda: _tiff(DEEP.astype(">u2"), bits=16),
    "TIFF, compressed": lambda: _tiff(DEEP, bits=16, packed=True),
    "TIFF, white is zero": lambda: _tiff(65535 - DEEP, bits=16, photometric=0),
    "TIFF, 8 bits, white is zero": lambda: _tiff(255 - GRAY, bits=8, photometric=0),
    "TIFF, 12 bits": lambda: _tiff(_twelve_bits(DEEP >> 4), bits=12),
    "TIFF, 32 bits": lambda: _tiff(DEEP.astype(np.uint32) * 65537, bits=32),
}


@pytest.mark.parametrize("kind", GRAYS)
def test_deep_gray_keeps_its_highest_bits(kind: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(_decoded(GRAYS[kind](), tmp_path), np.stack([GRAY] * 3, -1))


@pytest.mark.parametrize(
    "content",
    [
        _tiff(COLORS, bits=16, photometric=2),
        _tiff(COLORS, bits=16, photometric=2, packed=True),
        _tiff(COLORS.transpose(2, 0, 1).copy(), bits=16, photometric=2, planes=2, packed=True),
        b"P6 16 16 255\n" + (COLORS >> 8).astype(np.uint8).tobytes(),
    ],
    ids=["TIFF", "TIFF, compressed", "TIFF, planes", "PPM of 8 bits"],
)
def test_deep_colors_keep_the_same_bits_as_gray(content: bytes, tmp_path: Path) -> None:
    np.testing.assert_array_equal(_decoded(content, tmp_path), (COLORS >> 8).astype(np.uint8))


def test_modes_of_8_bits_are_those_of_pillow(tmp_path: Path) -> None:
    """Gray, 1 bit, palettes, transparency, print, video and perceptual colors, several frames: the first."""
    colors = Image.fromarray((COLORS >> 8).astype(np.uint8))
    kinds = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
        "TIFF": ("1", "L", "LA", "P", "RGBX", "CMYK", "YCbCr"),
        "GIF": ("P",),
    }
    for kind, modes in kinds.items():
        for mode in modes:
            content = _saved(colors.convert(mode), kind)
            expected = Image.open(BytesIO(content)).convert("RGB")
            np.testing.assert_array_equal(_decoded(content, tmp_path), np.asarray(expected))
    lab = _saved(Image.new("LAB", (SIZE, SIZE), (136, 208, 195)), "TIFF")
    assert _decoded(lab, tmp_path)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=12)
    frames = _saved(colors, "TIFF", save_all=True, append_images=[ImageOps.invert(colors)])
    np.testing.assert_array_equal(_decoded(frames, tmp_path), np.asarray(colors))


REFUSED = {
    "floats": (_saved(Image.fromarray(DEEP.astype(np.float32)), "TIFF"), "floating-point numbers"),
    "portable floats": (_saved(Image.fromarray(DEEP.astype(np.float32)), "PPM"), "floating-point numbers"),
    "32 bits with sign": (_saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), "numbers with a sign"),
    "16 bits with sign": (_tiff(DEEP.astype(np.int16), bits=16, sample=2), "numbers with a sign"),
    "8 bits with sign": (_tiff(GRAY, bits=8, sample=2), "numbers with a sign"),
    "astronomy": (_fits(DEEP), "is FITS with more than 8 bits"),
    "planes": (_tiff(COLORS.transpose(2, 0, 1).copy(), bits=16, photometric=2, planes=2), "a plane per color"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_known_black_and_white_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    content, reason = REFUSED[kind]
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "plain.png").write_bytes(_saved(Image.fromarray(GRAY), "PNG"))
    (tmp_path / "images" / "b" / "strange.tif").write_bytes(content)
    with pytest.raises(BnbenchError, match=rf"1 of 3 images .*\n.*images/b/strange.tif: .*{reason}"):
        imagefolder(tmp_path)


@pytest.mark.parametrize("highest", [3, 255, 4095])
def test_deep_images_that_use_little_of_their_depth_are_refused(highest: int, tmp_path: Path) -> None:
    """They would be black; one bright image shows that the depth is used."""
    for number, name in enumerate("ab"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.fromarray(DEEP % (highest + 1)).save(tmp_path / "images" / name / f"{number}.png")
    with pytest.raises(InvalidRequest, match=r"2 of 2 images \(a/0.png, ...\) have more than 8 bits and are black"):
        imagefolder(tmp_path, size=SIZE)
    Image.fromarray(DEEP).save(tmp_path / "images" / "b" / "2.png")
    assert imagefolder(tmp_path, size=SIZE).train_x.max() == GRAY.max()


def test_shapes_in_the_transparency_only_are_refused(tmp_path: Path) -> None:
    glyph = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    glyph.paste((0, 0, 0, 255), (3, 3, 9, 9))
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
    glyph.save(tmp_path / "images" / "a" / "0.png")
    glyph.convert("LA").save(tmp_path / "images" / "b" / "1.png")
    with pytest.raises(InvalidRequest, match=r"2 of 2 images \(a/0.png, ...\) have one color"):
        imagefolder(tmp_path)
    drawn = Image.alpha_composite(Image.new("RGBA", glyph.size, (255, 255, 255, 255)), glyph)
    drawn.save(tmp_path / "images" / "a" / "0.png")
    assert len(imagefolder(tmp_path).train_x) == 2


TURNS = {
    1: lambda image: image,
    2: ImageOps.mirror,
    3: lambda image: image.rotate(180),
    4: ImageOps.flip,
    5: lambda image: ImageOps.mirror(image).rotate(90, expand=True),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: ImageOps.mirror(image).rotate(-90, expand=True),
    8: lambda image: image.rotate(-90, expand=True),
}
"""From the upright picture to how a camera stores it, by the number in the EXIF data (CIPA DC-008, 4.6.4)."""


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("orientation", TURNS)
def test_images_are_turned_as_their_orientation_says(kind: str, mode: str, orientation: int, tmp_path: Path) -> None:
    """Also where the turned picture is wider than high: its sides are measured afterwards."""
    if (kind, mode) == ("WEBP", "I;16"):
        kind = "PNG"  # WebP has 8 bits
    values = {"RGB": (COLORS >> 8).astype(np.uint8), "L": GRAY, "I;16": DEEP}[mode]
    upright = Image.fromarray(values[:10])
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = _saved(TURNS[orientation](upright), kind, exif=exif, **options)
    expected = shown(Image.open(BytesIO(_saved(upright, "PNG")))).image  # type: ignore[arg-type]
    (tmp_path / "image").write_bytes(content)
    with Image.open(tmp_path / "image") as file:
        found = shown(file).image  # type: ignore[arg-type]
    assert found.size == (16, 10)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    expected.save(tmp_path / "upright.png")
    np.testing.assert_array_equal(decode(str(tmp_path / "image"), 8), decode(str(tmp_path / "upright.png"), 8))


def test_a_turned_photograph(tmp_path: Path) -> None:
    """JPEG keeps blocks of 8 x 8 pixels: a quarter of the picture is white."""
    upright = Image.new("RGB", (32, 32))
    upright.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    for orientation, turn in TURNS.items():
        exif[274] = orientation
        corners = _decoded(_saved(turn(upright), "JPEG", exif=exif), tmp_path)[4::8, 4::8, 0]
        assert (corners > 128).tolist() == [[True, False], [False, False]], orientation


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_data_leaves_the_picture_as_it_is(exif: bytes, tmp_path: Path) -> None:
    image = Image.fromarray(GRAY)
    np.testing.assert_array_equal(
        _decoded(_saved(image, "JPEG", exif=exif), tmp_path), _decoded(_saved(image, "JPEG"), tmp_path)
    )
