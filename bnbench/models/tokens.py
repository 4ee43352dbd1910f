"""From images to tokens and back: layers around the blocks of a transformer.

Legend: N batch, C channels and H, W pixels of an image, P side of a patch, L tokens, D features of a token, V
characters of a vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from bnbench.models.initial import Drawn

PositionCode = Literal["sincos", "learned"]
"""What tells tokens where they are: sines and cosines of row and column, or numbers that are learned."""
TokenPool = Literal["mean", "class"]
"""What the classifier sees: the mean of all tokens, or a token added for it."""

LEARNED_STD = 0.02
"""Standard deviation of learned positions at the start (Dosovitskiy et al. 2021, their code)."""
LONGEST_WAVE = 10_000.0


class Patches(nn.Module):
    """Squares of pixels as tokens, row by row; the features of a token are channels, then rows, then columns.

    Args:
        side: P; it divides height and width.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, C, H, W]`` to ``[N, (H / P) * (W / P), C * P * P]``."""
        x_NCHPWP = torch.unflatten(torch.unflatten(x, 3, (-1, self.side)), 2, (-1, self.side))
        return x_NCHPWP.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class Characters(nn.Module):
    """Characters as tokens: the features of a token are V numbers, of which that of its character is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, V, 1, L]`` to ``[N, L, V]``."""
        return x.squeeze(2).transpose(1, 2).contiguous()


class ClassesFirst(nn.Module):
    """Logits of each token, with the classes before the tokens, as losses have them."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, V]`` to ``[N, V, L]``."""
        return x.transpose(1, 2)


class FixedPositions(nn.Module):
    """Adds numbers that are no parameters, such as sines and cosines of a token's place.

    Args:
        table: [L, D].
    """

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add ``table [L, D]`` to x ``[N, L, D]``."""
        return x + self.table


class LearnedPositions(Drawn):
    """Adds a learned vector to each token, drawn from N(0, 0.02^2).

    Args:
        tokens: L.
        features: D.
    """

    def __init__(self, tokens: int, features: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(tokens, features))

    def draw(self, generator: torch.Generator) -> None:
        """Draw ``table [L, D]``."""
        self.table.normal_(0, LEARNED_STD, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Add ``table [L, D]`` to x ``[N, L, D]``."""
        return x + self.table


class ClassToken(nn.Module):
    """Puts a learned token, from zero, before the others.

    Args:
        features: D.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]`` to ``[N, 1 + L, D]``."""
        return torch.cat([self.token.expand(x.shape[0], 1, -1), x], 1)


class MeanToken(nn.Module):
    """The mean of all tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]`` to ``[N, D]``."""
        return x.mean(1)


class FirstToken(nn.Module):
    """The first token."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]`` to ``[N, D]``."""
        return x[:, 0]


def sincos_table(rows: int, columns: int, features: int) -> Tensor:
    """Sines and cosines of the column, then of the row, at D / 4 wave lengths up to 10000: ``[rows * columns, D]``.

    D is a multiple of 4 from 8 on (Beyer et al. 2022, SimpleViT).
    """
    quarter = features // 4
    waves_Q = LONGEST_WAVE ** -(torch.arange(quarter, dtype=torch.float64) / (quarter - 1))
    x_RCQ = (torch.arange(columns)[:, None] * waves_Q).expand(rows, -1, -1)
    y_RCQ = (torch.arange(rows)[:, None, None] * waves_Q).expand(-1, columns, -1)
    table = torch.cat([x_RCQ.sin(), x_RCQ.cos(), y_RCQ.sin(), y_RCQ.cos()], 2).flatten(0, 1)
    return table.to(torch.get_default_dtype())


def sincos_line(tokens: int, features: int) -> Tensor:
    """Sines of the place at even features and cosines at odd ones, ``sin(place / 10000^(2i / D))``: ``[tokens, D]``.

    D is even (Vaswani et al. 2017, 3.5).
    """
    waves_H = LONGEST_WAVE ** -(torch.arange(0, features, 2, dtype=torch.float64) / features)
    angles_LH = torch.arange(tokens)[:, None] * waves_H
    return torch.stack([angles_LH.sin(), angles_LH.cos()], 2).flatten(1).to(torch.get_default_dtype())
