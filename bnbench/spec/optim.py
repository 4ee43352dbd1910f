"""The optimizers, a dataclass of settings for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent as in ``torch.optim.SGD``.

    Attributes:
        momentum: share of the last step that goes into the next one.
        nesterov: take the gradient where the momentum leads; needs momentum.
        weight_decay: factor of the weights that is added to the gradient.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    momentum: float
    nesterov: bool
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma & Ba 2015) as in ``torch.optim.Adam``: weight decay is added to the gradient.

    Attributes:
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of their squares.
        eps: added to the root of that mean.
        weight_decay: factor of the weights that is added to the gradient.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019) as in ``torch.optim.AdamW``.

    Attributes:
        beta1: decay of the running mean of gradients.
        beta2: decay of the running mean of their squares.
        eps: added to the root of that mean.
        weight_decay: factor of the weights, times the learning rate, that is taken off them in each step.
        decay_norm: weight decay on the scales and shifts of norms as well.
        decay_bias: weight decay on the biases of linear layers and convolutions as well.
    """

    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay_norm: bool
    decay_bias: bool


Optim = Sgd | Adam | AdamW
OPTIMS: dict[str, type[Sgd] | type[Adam] | type[AdamW]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}
