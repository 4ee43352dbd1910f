"""Domains: every example is in one of several, and its image is changed once as the domain says.

N examples, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bnbench.data.examples import Examples
from bnbench.data.room import room_of
from bnbench.data.shifts import SHIFTS
from bnbench.errors import InvalidRequest
from bnbench.spec import Domain, stream

CHUNK = 1024
"""Examples that are changed at a time."""

NEEDS_PIXELS = ("contrast", "blur")
"""Kinds of shifts that leave an image of one pixel as it is."""


def enter(examples: Examples, std_C: Tensor, domains: Sequence[Domain], seed: int, part: str) -> Examples:
    """Divide the examples of a part among domains and change their images, which become float32.

    The division depends on the number of domains, the seed and the part only, whatever the domains are.

    Args:
        std_C: of the training images as loaded.
        domains: one or more.
        seed: of the split.
        part: train, validation or test.
    """
    domain_N = deal(examples.y, len(domains), torch.Generator().manual_seed(stream(seed, "domains", part)))
    x_NCHW = room_of(len(examples), examples.source, torch.float32)
    for target, index_N in zip(
        torch.split(x_NCHW, CHUNK), torch.split(torch.arange(len(examples)), CHUNK), strict=True
    ):
        target.copy_(examples.images(index_N))
    for index, name in enumerate(domains):
        if name == "plain":
            continue
        rng = torch.Generator().manual_seed(stream(seed, "domains", part, name))
        for index_N in torch.split((domain_N == index).nonzero().flatten(), CHUNK):
            x_NCHW[index_N] = SHIFTS[name](x_NCHW[index_N], std_C, rng)
    return Examples(x_NCHW, examples.y, domain_N)


def deal(y: Tensor, hands: int, rng: torch.Generator) -> Tensor:
    """[N] int64 in 0..hands-1: the shuffled examples of one class after the other, dealt out in turn.

    Of each class and of all examples, two hands get equally many, or one gets one more.
    """
    shuffled = torch.randperm(len(y), generator=rng)
    by_class = shuffled[y[shuffled].argsort(stable=True)]
    hand_N = torch.empty_like(y)
    hand_N[by_class] = torch.arange(len(y)) % hands
    return hand_N


def require_pixels(domains: Sequence[Domain], height: int, width: int) -> None:
    """Raise :class:`InvalidRequest` if images have one pixel and a domain would leave them as they are."""
    wrong = [name for name in domains if name.startswith(NEEDS_PIXELS)] if height == width == 1 else []
    if wrong:
        needs = "features have no pixels, so it would change nothing; take plain, brightness_* or noise_*"
        raise InvalidRequest(f"domains: {name}: {needs}" for name in wrong)
