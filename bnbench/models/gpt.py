"""A small language model of characters: the decoder of a transformer (Radford et al. 2018, GPT)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import get_args

from torch import nn

from bnbench.errors import Impossible
from bnbench.models.divisors import head_problems
from bnbench.models.information import require_causal
from bnbench.models.initial import Network, Scheme
from bnbench.models.layer_block import sizes_out_of_range
from bnbench.models.tokens import (
    Characters,
    ClassesFirst,
    FixedPositions,
    LearnedPositions,
    PositionCode,
    sincos_line,
)
from bnbench.models.transformer_block import NormPlace, transformer_block, transformer_blocks
from bnbench.norms.common.checks import among, require

XAVIER = Scheme("xavier")


def gpt(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    dim: int = 64,
    depth: int = 2,
    heads: int = 4,
    mlp_ratio: int = 4,
    positions: PositionCode = "learned",
    placement: NormPlace = "pre",
    qk_norm: bool = False,
) -> Network:
    """Characters as tokens, blocks of causal attention and MLP, linear: ``[N, V, 1, T] -> [N, V, T]``.

    The logits at a position are of the character behind it. Weights, those of the characters' vectors among them, are
    uniform after Glorot & Bengio 2010, biases start at zero. There is no dropout, and the last layer has weights of its
    own.

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: characters of the vocabulary, 1, and characters of an example.
        classes: characters of the vocabulary.
        dim: features of a token.
        depth: blocks.
        heads: of attention; they divide the features.
        mlp_ratio: hidden features of the MLP of a block, as a multiple of dim.
        positions: sincos: fixed sines and cosines of the place; learned: a vector per place.
        placement: pre: before each sublayer, and before the last layer; post: after each residual sum; peri: before and
            behind each sublayer, and before the last layer.
        qk_norm: norms of queries and keys, over the features of a head.

    Raises:
        Impossible: the data are no text, what must divide does not, or a norm holds an activation of its own or sees
            characters that are to be predicted.
    """
    require(
        *sizes_out_of_range(dim=dim, depth=depth, heads=heads, mlp_ratio=mlp_ratio),
        among("model.positions", positions, get_args(PositionCode)),
        among("model.placement", placement, get_args(NormPlace)),
    )
    require_text(shape, classes)
    require_even(dim, heads, positions)
    layers: OrderedDict[str, nn.Module] = OrderedDict(characters=Characters())
    layers["embed"] = nn.Linear(classes, dim, bias=False)
    tokens = shape[2]
    table = None if positions == "learned" else sincos_line(tokens, dim)
    layers["positions"] = LearnedPositions(tokens, dim) if table is None else FixedPositions(table)
    block = partial(transformer_block, norm, dim, heads, mlp_ratio * dim, placement, qk_norm, causal=True)
    layers |= transformer_blocks(block, depth, norm, dim, placement)
    require_causal(layers.values())
    layers.update(head=nn.Linear(dim, classes), classes_first=ClassesFirst())
    return Network(layers, XAVIER)


def require_text(shape: tuple[int, int, int], classes: int) -> None:
    """Raise :class:`Impossible` unless data have the shape of text."""
    if shape[:2] != (classes, 1):
        raise Impossible(
            f"model=gpt needs text, [{classes}, 1, characters] here; received examples of shape {[*shape]}: take "
            "dataset=text"
        )


def require_even(dim: int, heads: int, positions: PositionCode) -> None:
    """Raise :class:`Impossible` with all that must divide something and does not."""
    problems = head_problems(dim, heads)
    if positions == "sincos" and dim % 2:
        problems.append(
            f"model.positions=sincos needs an even model.dim, which is {dim}: choose another one, or "
            "model.positions=learned"
        )
    if problems:
        raise Impossible("; ".join(problems))
