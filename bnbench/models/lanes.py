"""The networks of runs that differ in their seeds: one is built, and the others get the weights of their seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from bnbench.models.builder import build, built_in
from bnbench.models.initial import Network, draw_weights, drawn_layers
from bnbench.models.preparation import prepares
from bnbench.norms.common.copying import copied
from bnbench.norms.common.reparametrization import weighted_layers
from bnbench.spec import Choice, Train


def build_lanes(
    choice: Choice,
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    seeds: Sequence[int],
    train: Train = "all",
) -> list[nn.Module]:
    """A built-in model of each seed, bit for bit as :func:`build` makes it; they may share what no seed decides.

    Raises:
        InvalidRequest, Impossible: as :func:`build`.
    """
    build_one = partial(build, choice, norm, shape, classes, train=train)
    first = build_one(seed=seeds[0])
    if not (isinstance(first, Network) and _draws_nothing(norm)):
        return [first, *(build_one(seed=seed) for seed in seeds[1:])]
    return [first, *(_drawn_anew(first, seed) for seed in seeds[1:])]


def _draws_nothing(norm: Callable[[int], nn.Module]) -> bool:
    """True for a built-in norm that changes no layers of a network: none of these draws numbers when it is made."""
    known = built_in(norm)
    return known is not None and not prepares(known.func)


def _drawn_anew(network: Network, seed: int) -> Network:
    """The same network with the weights of a seed."""
    memo: dict[int, nn.Parameter | torch.Tensor] = {id(item): item for item in network.parameters()}
    memo |= {id(item): item for item in network.buffers()}
    for layer in [*weighted_layers(network).values(), *drawn_layers(network).values()]:
        for old in layer.parameters(recurse=False):
            memo[id(old)] = nn.Parameter(torch.empty_like(old), old.requires_grad)
    twin = copied(network, memo)
    draw_weights(twin, twin.scheme, seed)
    return twin
