"""Proof before use: a folded network must give every lane's own outputs, gradients and buffers.

Legend: N batch, C channels, H, W, O outputs; a lane's network maps ``[N, C, H, W]`` to ``[N, O]``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.errors import described
from bnbench.stacking.errors import CannotFold
from bnbench.stacking.network import Folded, fold, set_streams, unfold
from bnbench.training.module_state import python_state
from bnbench.training.randomness import GlobalStream, randomize

LANES = 3
TOLERANCE = 1e-9
FLOOR = 1e-3
"""A share of the largest number of its kind below which a tensor is rounding noise, as the gradient of a bias before a
batch normalization is."""

Named = Mapping[str, Tensor]


def prove(build: Callable[[int], nn.Module], shape: tuple[int, int, int], batch: int, wide: bool = False) -> str | None:
    """Compare folded and separate networks in float64 with random numbers, in training and at evaluation.

    Args:
        build: makes a network from a seed.
        shape: channels, height and width of an image.
        batch: examples in a batch.
        wide: of a network with the lanes beside each other; see :func:`fold`.

    Returns:
        None if outputs, gradients and buffers agree to 1e-9 relative and nothing changes in Python that lanes would
        share, else the first difference or why there is no folded network.
    """
    rng = torch.Generator().manual_seed(0)
    try:
        networks = [build(seed).double() for seed in range(LANES)]
        for network in networks:
            randomize(network, rng)
        folded, before = fold(networks, wide), python_state(*networks)
        if reason := next(differences(networks, folded, shape, batch, rng), None):
            return reason
        place = before.changed_in_common(python_state(*networks))
        return place and f"{place} changes from step to step, or may, and belongs to more than one run"
    except CannotFold as error:
        return str(error)
    except (Exception, SystemExit) as error:  # a plugin's network may raise anything
        if is_bug(error):
            raise
        return described(error)


def differences(
    networks: Sequence[nn.Module], folded: Folded, shape: tuple[int, int, int], batch: int, rng: torch.Generator
) -> Iterator[str]:
    """Tensors that differ, first in training, then at evaluation with the statistics that training left."""
    device = torch.device("cpu")
    set_streams(folded, [GlobalStream(seed, device, torch_only=True) for seed in range(LANES)])
    for training in (True, False):
        x_KNCHW = torch.randn(LANES, batch, *shape, dtype=torch.float64, generator=rng)
        expected, streams = [], [GlobalStream(seed, device) for seed in range(LANES)]
        for network, x_NCHW, numbers in zip(networks, x_KNCHW, streams, strict=True):
            with numbers:
                expected.append(network.train(training)(x_NCHW))
        yield from unfollowed({name for numbers in streams for name in numbers.drawn}, training)
        received = folded.train(training)(x_KNCHW.flatten(0, 1)).chunk(LANES)
        direction_NO = torch.randn(expected[0].shape, dtype=torch.float64, generator=rng)
        for outputs_NO in (*expected, *received):
            if outputs_NO.shape != direction_NO.shape:
                yield f"output of shape {list(outputs_NO.shape)} instead of {list(direction_NO.shape)}"
        for network in (*networks, folded):
            network.zero_grad()
        torch.autograd.backward([(outputs_NO * direction_NO).sum() for outputs_NO in expected])
        torch.autograd.backward(torch.stack([(outputs_NO * direction_NO).sum() for outputs_NO in received]).sum())
        mode = "training" if training else "evaluation"
        for lane, network in enumerate(networks):
            yield from unequal(f"{mode}: output", {"": expected[lane]}, {"": received[lane]})
            yield from unequal(f"{mode}: gradient of ", gradients(network), lane_gradients(folded, lane, network))
            yield from unequal(f"{mode}: buffer ", buffers(network), buffers(unfold(folded, lane, network)))


def unfollowed(generators: Collection[str], training: bool) -> Iterator[str]:
    """Reasons against lanes that draw from these generators: a lane has a stream of torch's, in training only."""
    if not training and generators:
        yield f"evaluation: a layer draws random numbers ({', '.join(sorted(generators))})"
    elif others := sorted({*generators} - {"torch"}):
        yield f"training: a layer draws from the global generators of {', '.join(others)}"


def unequal(what: str, expected: Named, received: Named) -> Iterator[str]:
    """A sentence for every tensor that is not as expected, to the tolerance."""
    largest = max((magnitude(tensor) for tensor in expected.values()), default=0.0)
    for name, tensor in expected.items():
        if name not in received:
            yield f"{what}{name} is missing"
            continue
        scale = max(magnitude(tensor), FLOOR * largest)
        difference = magnitude(received[name] - tensor)
        if not difference <= TOLERANCE * scale:  # also true for nan
            yield f"{what}{name} differs by {difference:.1e} of {scale:.1e}"


def magnitude(tensor: Tensor) -> float:
    """The largest absolute value, 0 for an empty tensor."""
    return tensor.detach().abs().max().item() if tensor.numel() else 0.0


def gradients(network: nn.Module) -> dict[str, Tensor]:
    """The gradients that there are, by the names of their parameters."""
    return {name: item.grad for name, item in network.named_parameters() if item.grad is not None}


def lane_gradients(folded: Folded, lane: int, network: nn.Module) -> dict[str, Tensor]:
    """A lane's part of the gradients of a folded network, in the shapes of an ordinary network."""
    shapes = {name: item.shape for name, item in network.named_parameters()}
    return {
        name: torch.unflatten(joint, 0, (folded.lanes, -1))[lane].reshape(shapes[name])
        for name, joint in gradients(folded.network).items()
    }


def buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers in float64, by their names."""
    return {name: buffer.double() for name, buffer in network.named_buffers()}
