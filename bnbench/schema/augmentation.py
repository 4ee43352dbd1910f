"""The augmentation of images: the options that all datasets have."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The augmentation of any dataset.

    Attributes:
        pad: random crops after padding by this many pixels; 0: none.
        flip: random horizontal flips.
    """

    pad: int = 0
    flip: bool = False

    @property
    def active(self) -> bool:
        """True if anything is drawn."""
        return self.pad > 0 or self.flip


COMMON = {field.name: field.default for field in fields(Augmentation)}
"""The options that every dataset has, with their defaults."""
