"""Growth or decay of gradients and activations from layer to layer."""

from __future__ import annotations

import torch
from torch import Tensor

from bnbench.probes.layers import called_layers, watching_outputs, weights
from bnbench.probes.pause import WHOLE, Pause, Value, flat, loss_and_gradients, loss_of, training_batches


def gradient_flow(pause: Pause) -> list[Value]:
    """Norms of each layer's gradient and output, and the gradients' growth from layer to layer towards the input.

    For each layer with weights ``W_l``: ``gradient_norm`` ``g_l = |dL/dW_l|``, and ``activation_norm``, the root mean
    square over the batch of the L2 norm of the layer's output. For the network ``gradient_growth``
    ``(g_1 / g_L) ^ (1 / (L - 1))`` over the L inner layers: above 1 where gradients explode towards the input, below 1
    where they vanish. The first and the last layer have a share in it that does not repeat with depth, and are no part.
    """
    (batch,) = training_batches(pause, 1)
    layers = {path: weights(own) for path, own in called_layers(pause, batch).items() if weights(own)}
    outputs: dict[str, float] = {}

    def see(path: str, output: Tensor) -> None:
        outputs.setdefault(path, output.double().flatten(1).square().sum(1).mean().sqrt().item())

    _, gradients = loss_and_gradients(pause, pause.network, batch)
    with torch.no_grad(), watching_outputs({path: pause.network.get_submodule(path) for path in layers}, see):
        loss_of(pause, pause.network, batch)
    norms = {path: flat(gradients[name] for name in own).norm() for path, own in layers.items()}
    values = [Value(path, "gradient_norm", norm.item()) for path, norm in norms.items()]
    values += [Value(path, "activation_norm", norm) for path, norm in outputs.items()]
    inner = list(norms.values())[1:-1]
    if len(inner) > 1:
        growth = (inner[0] / inner[-1]) ** (1 / (len(inner) - 1))
        values.append(Value(WHOLE, "gradient_growth", growth.item()))
    return values
