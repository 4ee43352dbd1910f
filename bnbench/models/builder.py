"""From a chosen model, a norm and a seed to a network whose initial weights are the same for every norm.

The layers that two norms have in common get the same initial weights from one seed, also if a norm draws random
numbers. The global random state stays as it was. In a plugin's model this holds as long as its own layers draw the
same numbers for every norm: a bias that only some norms need should be added as zeros.

A bias that the norm right behind its layer cancels is left out, or not trained where the model has it anyway.

A norm that acts on more than activations has a method ``prepare(network, branches)``: the first one made is called
with the initialized network and its residual branches, and changes its layers in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from bnbench.errors import InvalidRequest, nearest
from bnbench.global_state import seeded_generators
from bnbench.models.initial import Network, draw_weights
from bnbench.models.preparation import prepare, prepares
from bnbench.models.redundant_biases import freeze_cancelled_biases
from bnbench.models.registry import MODELS
from bnbench.models.residual import residual_branches
from bnbench.models.training import restrict_training
from bnbench.norms import NORMS
from bnbench.norms.common.bias import cancels_bias
from bnbench.spec import Choice, Train, stream


def build(
    choice: Choice,
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    seed: int,
    models: Mapping[str, Callable[..., nn.Module]] = MODELS,
    train: Train = "all",
) -> nn.Module:
    """Build a network on the CPU, or on the meta device inside ``with torch.device("meta")``.

    Args:
        choice: the model's name and options.
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        seed: seed of the run; initial weights use their own stream of it.
        models: models to choose from.
        train: which parameters are trained.

    Raises:
        InvalidRequest: an unknown model or an option out of range.
        Impossible: the model cannot be built with this norm or for this shape.
    """
    if choice.name not in models:
        raise InvalidRequest([f"model={choice.name}: {nearest(choice.name, sorted(models))}"])
    device = "meta" if torch.get_default_device().type == "meta" else "cpu"
    with _made_on(device), seeded_generators(stream(seed, "init")):
        norms: list[nn.Module] = []
        network = models[choice.name](with_own_rng(norm, seed, norms), shape, classes, **choice.options)
    if isinstance(network, Network):
        draw_weights(network, network.scheme, seed)
    freeze_cancelled_biases(network, norms)
    if norms and prepares(type(norms[0])):
        with _made_on(device), seeded_generators(stream(seed, "init", "norm")):
            prepare(norms[0], network, residual_branches(network))
    restrict_training(network, norms, train)
    return network


def with_own_rng(norm: Callable[[int], nn.Module], seed: int, norms: list[nn.Module]) -> Callable[[int], nn.Module]:
    """The same norm, made with random numbers of its own so that those of other layers do not depend on it.

    Each layer is marked by whether it cancels a bias right before it; one for each number of channels is tried.

    Args:
        norms: takes every layer that is made.
    """
    known = built_in(norm)
    cancels = _tried(norm) if known is None else _answers_of(known.func, tuple(known.keywords.items()))

    def make(num_features: int) -> nn.Module:
        with seeded_generators(stream(seed, "init", "norm", str(len(norms))), torch_only=known is not None):
            norms.append(norm(num_features))
            norms[-1].cancels_bias = cancels(num_features)  # type: ignore[assignment]
        return norms[-1]

    return make


def built_in(norm: Callable[[int], nn.Module]) -> partial[nn.Module] | None:
    """A built-in norm with its options; None for another one."""
    return norm if isinstance(norm, partial) and not norm.args and norm.func in NORMS.values() else None


@cache
def _answers_of(kind: Callable[..., nn.Module], options: tuple[tuple[str, Any], ...]) -> Callable[[int], bool]:
    """As :func:`_tried` of a built-in norm, which is tried once per process."""
    return _tried(partial(kind, **dict(options)))


def _tried(norm: Callable[[int], nn.Module]) -> Callable[[int], bool]:
    """True for a number of channels for which a norm cancels a bias right before it."""

    @cache
    def cancels(num_features: int) -> bool:
        with _made_on("cpu"):
            return cancels_bias(norm(num_features), num_features)

    return cancels


def _made_on(device: str) -> AbstractContextManager[Any]:
    """Make tensors on a device by default; where they are anyway, torch looks at each call no more."""
    return nullcontext() if torch.get_default_device() == torch.device(device) else torch.device(device)
