"""A small vision transformer (Dosovitskiy et al. 2021), in the shape of SimpleViT (Beyer et al. 2022)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import get_args

from torch import nn

from bnbench.errors import Impossible
from bnbench.models.divisors import head_problems, patch_problems
from bnbench.models.information import require_tokens_apart
from bnbench.models.initial import Network, Scheme
from bnbench.models.layer_block import sizes_out_of_range
from bnbench.models.tokens import (
    ClassToken,
    FirstToken,
    FixedPositions,
    LearnedPositions,
    MeanToken,
    Patches,
    PositionCode,
    TokenPool,
    sincos_table,
)
from bnbench.models.transformer_block import NormPlace, transformer_block, transformer_blocks
from bnbench.norms.common.checks import among, require

XAVIER = Scheme("xavier")


def vit(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    patch: int = 2,
    dim: int = 64,
    depth: int = 4,
    heads: int = 4,
    mlp_ratio: int = 4,
    positions: PositionCode = "sincos",
    pool: TokenPool = "mean",
    placement: NormPlace = "pre",
    qk_norm: bool = False,
) -> Network:
    """Patches as tokens, blocks of attention and MLP, pooling, linear: ``[N, C, H, W] -> [N, classes]``.

    Weights are uniform after Glorot & Bengio 2010, biases and the class token start at zero. There is no dropout.

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        patch: side of a patch in pixels; it divides height and width.
        dim: features of a token.
        depth: blocks.
        heads: of attention; they divide the features.
        mlp_ratio: hidden features of the MLP of a block, as a multiple of dim.
        positions: sincos: fixed sines and cosines of row and column; learned: a vector per token.
        pool: mean: of all tokens; class: a learned token of its own.
        placement: pre: before each sublayer, and before pooling; post: after each residual sum; peri: before and behind
            each sublayer, and before pooling.
        qk_norm: norms of queries and keys, over the features of a head.

    Raises:
        Impossible: what must divide does not, or the norm holds an activation of its own.
    """
    require(
        *sizes_out_of_range(patch=patch, dim=dim, depth=depth, heads=heads, mlp_ratio=mlp_ratio),
        among("model.positions", positions, get_args(PositionCode)),
        among("model.pool", pool, get_args(TokenPool)),
        among("model.placement", placement, get_args(NormPlace)),
    )
    require_divisors(shape, patch, dim, heads, positions)
    layers = embedding(shape, patch, dim, positions, pool)
    block = partial(transformer_block, norm, dim, heads, mlp_ratio * dim, placement, qk_norm)
    layers |= transformer_blocks(block, depth, norm, dim, placement)
    if pool == "mean":
        require_tokens_apart(layers.values())
    layers.update(pool=MeanToken() if pool == "mean" else FirstToken(), head=nn.Linear(dim, classes))
    return Network(layers, XAVIER)


def embedding(
    shape: tuple[int, int, int], patch: int, dim: int, positions: PositionCode, pool: TokenPool
) -> OrderedDict[str, nn.Module]:
    """From images to tokens that know their places, with a class token before them if it is pooled."""
    channels, rows, columns = shape[0], shape[1] // patch, shape[2] // patch
    layers: OrderedDict[str, nn.Module] = OrderedDict(patches=Patches(patch))
    layers["embed"] = nn.Linear(channels * patch * patch, dim)
    learned = positions == "learned"
    table = None if learned else sincos_table(rows, columns, dim)
    layers["positions"] = LearnedPositions(rows * columns, dim) if table is None else FixedPositions(table)
    if pool == "class":
        layers["class_token"] = ClassToken(dim)
    return layers


def require_divisors(shape: tuple[int, int, int], patch: int, dim: int, heads: int, positions: PositionCode) -> None:
    """Raise :class:`Impossible` with all that must divide something and does not."""
    problems = [*patch_problems(shape, patch), *head_problems(dim, heads)]
    if positions == "sincos" and (dim % 4 or dim < 8):
        problems.append(
            f"model.positions=sincos needs a multiple of 4 from 8 on as model.dim, which is {dim}: "
            "choose another one, or model.positions=learned"
        )
    if problems:
        raise Impossible("; ".join(problems))
