"""Internal covariate shift as a drift of distributions (Ioffe & Szegedy 2015, section 4.1 and figure 1).

M values of a unit: one per example and position; U units that are looked at.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn

from bnbench.probes.layers import watching_inputs
from bnbench.probes.pause import Pause, Value, loss_of, training_batches
from bnbench.training.randomness import generator

PERCENTILES = (15, 50, 85)
UNITS = 8
"""Units of a layer that are looked at: the same at every pause and, where the layers are as wide, in every arm."""
EXAMPLES = 512
"""Training examples that are looked at, at least one batch."""


@torch.no_grad()
def covariate_shift_distribution(pause: Pause) -> list[Value]:
    """The 15th, 50th and 85th percentile of the input of units' activation functions, and its standard deviation.

    A layer ``layer0.activation[3]`` is unit (channel) 3 of that module; one that is called again is
    ``layer0.activation#2``. Examples and units are the same at every pause, so the drift of a percentile between two
    pauses, in units of the standard deviation, follows from the rows of both.
    """
    activations = {path: layer for path, layer in pause.network.named_modules() if is_activation(layer)}
    found: dict[str, list[Tensor]] = {}
    for batch in training_batches(pause, -(-EXAMPLES // pause.spec.batch_size)):
        calls: Counter[str] = Counter()

        def see(path: str, x: Tensor, calls: Counter[str] = calls) -> None:
            calls[path] += 1
            label = path if calls[path] == 1 else f"{path}#{calls[path]}"
            for unit in _units(pause, label, x.shape[1]):
                found.setdefault(f"{label}[{unit}]", []).append(x[:, unit].flatten().double().cpu())

        with watching_inputs(activations, see):
            loss_of(pause, pause.network, batch)
    return [value for label, parts in found.items() for value in _distribution(label, torch.cat(parts))]


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
