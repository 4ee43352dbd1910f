"""Internal covariate shift as a drift of distributions (Ioffe & Szegedy 2015, section 4.1 and figure 1).

M values of a unit: one per example and position; U units that are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from bnbench.probes.layers import watching_inputs, watching_outputs
from bnbench.probes.pause import Pause, Value, loss_of, training_batches
from bnbench.training.randomness import generator

PERCENTILES = (15, 50, 85)
UNITS = 8
"""Units of a layer that are looked at: the same at every pause and, where the layers are as wide, in every arm."""
CHANNELS_LAST = (nn.Linear, nn.Embedding)
CHANNELS_SECOND = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
EXAMPLES = 512
"""Training examples that are looked at, at least one batch."""


@torch.no_grad()
def covariate_shift_distribution(pause: Pause) -> list[Value]:
    """The 15th, 50th and 85th percentile of the input of units' activation functions, and its standard deviation.

    A layer ``layer0.activation[3]`` is unit (channel) 3 of that module; one that is called again is
    ``layer0.activation#2``. Examples and units are the same at every pause, so the drift of a percentile between two
    pauses, in units of the standard deviation, follows from the rows of both.
    """
    layers = dict(pause.network.named_modules())
    found: dict[str, list[Tensor]] = {}
    for batch in training_batches(pause, -(-EXAMPLES // pause.spec.batch_size)):
        seen = _Pass(pause, layers, found)
        with (
            watching_inputs(_only(layers, is_activation), seen.activation),
            watching_outputs(_only(layers, _puts_out_channels), seen.output),
        ):
            loss_of(pause, pause.network, batch)
    return [value for label, parts in found.items() for value in _distribution(label, torch.cat(parts))]


@dataclass
class _Pass:
    """What goes into activation functions in one pass.

    Channels are the last axis behind a linear layer or an embedding, as in a transformer, and else the one behind that
    of the examples.

    Attributes:
        layers: of the network.
        found: takes the values by layer and unit.
    """

    pause: Pause
    layers: Mapping[str, nn.Module]
    found: dict[str, list[Tensor]]
    _calls: Counter[str] = field(default_factory=Counter)
    _axis: int = 1

    def output(self, path: str, y: Tensor) -> None:
        """See what a layer puts out that has its channels at a place of its own."""
        self._axis = -1 if isinstance(self.layers[path], CHANNELS_LAST) else 1

    def activation(self, path: str, x: Tensor) -> None:
        """See the input of an activation function, before it may be overwritten."""
        self._calls[path] += 1
        label = path if self._calls[path] == 1 else f"{path}#{self._calls[path]}"
        for unit in _units(self.pause, label, x.shape[self._axis]):
            values_M = x.select(self._axis, unit).flatten().double().cpu()
            self.found.setdefault(f"{label}[{unit}]", []).append(values_M)


def _only(layers: Mapping[str, nn.Module], holds: Callable[[nn.Module], bool]) -> dict[str, nn.Module]:
    return {path: layer for path, layer in layers.items() if holds(layer)}


def _puts_out_channels(layer: nn.Module) -> bool:
    return isinstance(layer, CHANNELS_LAST + CHANNELS_SECOND)


def is_activation(layer: nn.Module) -> bool:
    """Say that a layer is one of torch's activation functions, as ReLU and Sigmoid are."""
    kinds = (kind.__module__ for kind in type(layer).__mro__)
    return "torch.nn.modules.activation" in kinds and not list(layer.children())


def _units(pause: Pause, label: str, count: int) -> list[int]:
    drawn: list[int] = torch.randperm(count, generator=generator(pause.seed, f"units/{label}"))[:UNITS].tolist()
    return sorted(drawn)


def _distribution(label: str, values_M: Tensor) -> list[Value]:
    numbers = np.percentile(values_M.numpy(), PERCENTILES).tolist()
    spread = Value(label, "std", values_M.std(correction=0).item())
    return [*(Value(label, f"p{at}", number) for at, number in zip(PERCENTILES, numbers, strict=True)), spread]
