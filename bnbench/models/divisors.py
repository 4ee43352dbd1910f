"""What must divide something, in words."""

from __future__ import annotations

from math import gcd


def divisors(number: int) -> str:
    """All divisors, in words."""
    return ", ".join(str(divisor) for divisor in range(1, number + 1) if number % divisor == 0)


def patch_problems(shape: tuple[int, int, int], patch: int) -> list[str]:
    """The problem of squares of a side that do not make up images of channels, height and width; else nothing."""
    _, height, width = shape
    if height % patch == 0 and width % patch == 0:
        return []
    return [
        f"model.patch={patch} must divide the image, which is {height}x{width}: "
        f"choose one of {divisors(gcd(height, width))}"
    ]


def head_problems(features: int, heads: int) -> list[str]:
    """The problem of heads of attention that do not share the features of a token evenly; else nothing."""
    if features % heads == 0:
        return []
    return [f"model.heads={heads} must divide model.dim={features}: choose one of {divisors(features)}"]
