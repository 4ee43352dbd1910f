"""The picture in a file as 8-bit RGB: its depth, its orientation, its transparency."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

_SCALED_TO_16 = ("PNG", "PPM", "JPEG2000")
"""Formats whose deep gray PIL scales to 16 bits, whatever mode it puts them in."""

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _KIND = 258, 259, 262, 284, 339
_UNSIGNED = (1, 4)
_TRANSPARENT = ("LA", "RGBA", "RGBa")
_UNKNOWN = "so nothing says what is black and what is white. Write unsigned integers of 8 or 16 bits"

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Shown(NamedTuple):
    """A picture as RGB, and what its reduction to 8 bits and three channels may have cost.

    Attributes:
        deep: it had more than 8 bits, of which the highest 8 are left.
        outline: it has one color only, and all that it shows is in its transparency, which is dropped.
    """

    image: Image.Image
    deep: bool
    outline: bool


def shown(file: ImageFile) -> Shown:
    """The first frame of an open file, turned as its EXIF orientation says; hidden colors are kept.

    Gray of more bits than 8 keeps the highest 8, as PIL does with deep colors.

    Raises:
        ValueError: the numbers of the file have no known black and white, or PIL misreads them.
        Exception: whatever a decoder raises at a damaged file.
    """
    bits = _depth(file)
    file.filename = ""  # PIL maps uncompressed gray into memory by its name, with the sides of the turned picture
    file.load()
    with contextlib.suppress(Exception):  # damaged EXIF data says nothing about the orientation; the picture is whole
        ImageOps.exif_transpose(file, in_place=True)
    if bits > 8:
        return Shown(Image.fromarray(_highest_bits(file, bits)).convert("RGB"), deep=True, outline=False)
    image: Image.Image = file
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "PA" or (image.mode == "P" and "transparency" in file.info):
        image = image.convert("RGBA")
    colors = image if image.mode == "RGB" else image.convert("RGB")
    outline = image.mode in _TRANSPARENT and _one_value(colors) and not _one_value(image)
    return Shown(colors, deep=False, outline=outline)


def _depth(file: ImageFile) -> int:
    """Bits per value of a gray file; 8 for all that PIL brings to 8 bits itself."""
    tags = file.tag_v2 if isinstance(file, TiffImageFile) else {}
    if file.mode == "F":
        raise ValueError(f"holds floating-point numbers, {_UNKNOWN}")
    if not set(tags.get(_KIND, (1,))) <= set(_UNSIGNED):
        raise ValueError(f"holds numbers with a sign, {_UNKNOWN}")
    bits = max(tags.get(_BITS, (1,)))
    if tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1 and bits > 8:
        raise ValueError(f"holds {bits} bits in a plane per color, uncompressed, which PIL misreads. Compress it")
    if not file.mode.startswith("I"):
        return 8
    if tags:
        return int(bits)
    if file.format not in _SCALED_TO_16:
        raise ValueError(f"is {file.format} with more than 8 bits, {_UNKNOWN}, as PNG or TIFF")
    return 16


def _highest_bits(file: ImageFile, bits: int) -> Bytes:
    """[H, W] uint8; mode I is signed, so 32 bits without sign come out of it by wrapping."""
    gray = (np.asarray(file).astype(np.uint32) >> (bits - 8)).astype(np.uint8)
    inverted = isinstance(file, TiffImageFile) and file.tag_v2.get(_PHOTOMETRIC) == 0  # PIL inverts 8 bits only
    return 255 - gray if inverted else gray


def _one_value(image: Image.Image) -> bool:
    """True if each channel is the same all over."""
    return all(low == high for low, high in np.reshape(image.getextrema(), (-1, 2)).tolist())
