"""Internal covariate shift as a change of gradients (Santurkar et al. 2018, definition 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.common.copying import copied
from bnbench.probes.layers import called_layers, weights
from bnbench.probes.pause import Pause, Value, flat, loss_and_gradients, trained, training_batches
from bnbench.training.optimizer import Optimizer


def covariate_shift_gradient(pause: Pause) -> list[Value]:
    """Change of the gradient of each layer's weights when the layers below it take their step.

    ``G = dL/dW_i`` at ``W_1, ..., W_k``; ``G'`` is the same with ``W_1, ..., W_{i-1}`` after a step on the same batch.
    ``gradient`` is ``|G|``, ``difference`` ``|G' - G|``, ``relative_difference`` ``|G' - G| / |G|``, and ``cosine``
    that of the angle between both. The first layer has no layers below it, and no values.

    The step is the first one of an optimizer of the run's kind with the learning rate of this moment: without momentum,
    with weight decay and gradient clipping.
    """
    (batch,) = training_batches(pause, 1)
    _, before = loss_and_gradients(pause, pause.network, batch)
    stepped = trained(_after_step(pause, before))
    mixed = copied(pause.network)
    moved, values = False, []
    for path, own in called_layers(pause, batch).items():
        if moved and weights(own):
            _, after = loss_and_gradients(pause, mixed, batch, weights(own))
            values += _change(path, flat(before[name] for name in weights(own)), flat(after.values()))
        with torch.no_grad():
            for name in own:
                trained(mixed)[name].copy_(stepped[name])
        moved = True
    return values


def _after_step(pause: Pause, gradients: dict[str, Tensor]) -> nn.Module:
    """A copy of the network after one step with these gradients."""
    network = copied(pause.network)
    optimizer = Optimizer(pause.spec.optim, network)
    for name, parameter in trained(network).items():
        parameter.grad = gradients[name].to(parameter.dtype, copy=True)  # clipping writes to it
    if pause.spec.grad_clip is not None:
        nn.utils.clip_grad_norm_(list(trained(network).values()), pause.spec.grad_clip)
    optimizer.step(pause.lr)
    return network


def _change(path: str, before_P: Tensor, after_P: Tensor) -> list[Value]:
    """Change of a gradient of P numbers."""
    difference = (after_P - before_P).norm()
    return [
        Value(path, "gradient", before_P.norm().item()),
        Value(path, "difference", difference.item()),
        Value(path, "relative_difference", (difference / before_P.norm()).item()),
        Value(path, "cosine", F.cosine_similarity(before_P, after_P, 0, eps=0).item()),
    ]
