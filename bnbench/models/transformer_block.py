"""A block of a transformer: attention and an MLP, each in a residual sum, with norms in one of three places.

Legend: N batch, L tokens, D features of a token, H heads, E = D / H features of a head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.models.replacement import LastAxisNorm
from bnbench.norms.common.activation import require_no_activation
from bnbench.norms.common.bias import freeze_shift, wants_bias
from bnbench.norms.common.reparametrization import WeightOnlyNorm
from bnbench.norms.common.tokens import is_per_token
from bnbench.norms.none import NoNorm

NormPlace = Literal["pre", "post", "peri"]
"""The norms of a sublayer f: ``x + f(norm(x))``, ``norm(x + f(x))`` (Vaswani et al. 2017), or ``x + norm(f(norm(x)))``
(Kim et al. 2025, Peri-LN)."""


class DotProductAttention(nn.Module):
    """What each token takes of the values of those that it sees: ``softmax(q k^T / sqrt(E)) v`` in each head.

    Args:
        heads: H.
        causal: a token sees itself and those before it only.
    """

    def __init__(self, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map three tensors ``[N, L, D]`` to one."""
        q, k, v = (torch.unflatten(part, -1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        attended_NHLE = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return attended_NHLE.transpose(1, 2).flatten(2)


class HeadNorm(LastAxisNorm):
    """A norm on the features of each head of tokens ``[N, L, D]``, the same for all heads.

    Args:
        norm: takes ``[N, E, L, H]``.
        heads: H.
        each_token: give it every head of every token as an example of its own, ``[N * L * H, E]``.
    """

    def __init__(self, norm: nn.Module, heads: int, *, each_token: bool) -> None:
        super().__init__(norm, each_token=each_token)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]``."""
        return super().forward(torch.unflatten(x, -1, (self.heads, -1))).flatten(-2)


class Attention(nn.Module):
    """Self-attention: ``softmax(q k^T / sqrt(E)) v`` in each head, then a linear layer (Vaswani et al. 2017, 3.2).

    Keys have a bias only if a norm acts on them, and the shift of that norm is not trained: softmax cancels one. Values
    have none: its effect is that of a bias of the last layer. Norms of queries and keys are over the features of a head
    and are shared by all heads (Dehghani et al. 2023, section 2).

    Args:
        norm: makes a normalization layer for a number of channels, which stands on queries and on keys; None for none.
        features: D.
        heads: H; it divides D.
        bias: whether the last linear layer has a bias.
        causal: a token sees itself and those before it only.
    """

    def __init__(
        self, norm: Callable[[int], nn.Module] | None, features: int, heads: int, bias: bool, causal: bool = False
    ) -> None:
        super().__init__()
        query_norm, key_norm = (None, None) if norm is None else (norm(features // heads), norm(features // heads))
        self.query = nn.Linear(features, features, bias=query_norm is None or wants_bias(query_norm))
        self.key = nn.Linear(features, features, bias=acts(key_norm) and wants_bias(key_norm))
        self.value = nn.Linear(features, features, bias=False)
        if key_norm is not None:
            freeze_shift(key_norm, features // heads)
        self.query_norm = nn.Identity() if query_norm is None else on_tokens(query_norm, heads)
        self.key_norm = nn.Identity() if key_norm is None else on_tokens(key_norm, heads)
        self.products = DotProductAttention(heads, causal)
        self.out = nn.Linear(features, features, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]``."""
        query, key = self.query_norm(self.query(x)), self.key_norm(self.key(x))
        y: Tensor = self.out(self.products(query, key, self.value(x)))
        return y


class Residual(nn.Module):
    """A sublayer in a residual sum, with norms.

    Args:
        before: the norm of what goes into the sublayer, or nothing.
        layer: the sublayer.
        inside: the norm of what comes out of it, or nothing.
        after: the norm of the sum, or nothing.
    """

    def __init__(self, before: nn.Module, layer: nn.Module, inside: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.layer, self.inside, self.after = before, layer, inside, after

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, L, D]``."""
        y: Tensor = self.after(x + self.inside(self.layer(self.before(x))))
        return y


def transformer_block(
    norm: Callable[[int], nn.Module],
    features: int,
    heads: int,
    hidden: int,
    place: NormPlace,
    qk_norm: bool,
    causal: bool = False,
) -> nn.Sequential:
    """Attention, then two linear layers with a GELU between them: ``[N, L, D] -> [N, L, D]``.

    A linear layer right before a norm has a bias only where that norm neither shifts nor cancels it.

    Args:
        norm: makes a normalization layer for a number of channels.
        features: D.
        heads: H; it divides D.
        hidden: features between the two linear layers.
        place: where the norms are.
        qk_norm: norms of queries and keys as well.
        causal: a token sees itself and those before it only.
    """

    def sublayer(layer: Callable[[bool], nn.Module]) -> Residual:
        norms = {name: norm(features) for name in NAMES[place]}
        places = {name: on_tokens(norms[name]) if name in norms else nn.Identity() for name in PLACES}
        return Residual(layer=layer("inside" not in norms or wants_bias(norms["inside"])), **places)

    return nn.Sequential(
        OrderedDict(
            attention=sublayer(lambda bias: Attention(norm if qk_norm else None, features, heads, bias, causal)),
            mlp=sublayer(lambda bias: feed_forward(features, hidden, bias)),
        )
    )


def transformer_blocks(
    block: Callable[[], nn.Sequential], depth: int, norm: Callable[[int], nn.Module], features: int, place: NormPlace
) -> OrderedDict[str, nn.Module]:
    """So many blocks, and the norm behind them where the sums of each have none."""
    layers: OrderedDict[str, nn.Module] = OrderedDict((f"block{number}", block()) for number in range(depth))
    if place != "post":
        layers["norm"] = on_tokens(norm(features))
    return layers


PLACES = ("before", "inside", "after")
NAMES: dict[NormPlace, tuple[str, ...]] = {"pre": ("before",), "post": ("after",), "peri": ("before", "inside")}


def feed_forward(features: int, hidden: int, bias: bool) -> nn.Sequential:
    """Two linear layers with a GELU between them; the second has a bias if wanted."""
    first, second = nn.Linear(features, hidden), nn.Linear(hidden, features, bias=bias)
    return nn.Sequential(OrderedDict(expand=first, activation=nn.GELU(), contract=second))


def acts(norm: nn.Module | None) -> TypeGuard[nn.Module]:
    """True if there is a norm that may change activations."""
    return norm is not None and not isinstance(norm, NoNorm | WeightOnlyNorm)


def on_tokens(norm: nn.Module, heads: int | None = None) -> LastAxisNorm:
    """A norm on tokens ``[N, *, C]``: they are the positions of an image, or each is an example, as the norm says.

    Args:
        heads: of tokens that are divided among them: the norm is on each head of a token, as on a token.

    Raises:
        Impossible: the norm holds its own activation, and no activation of a transformer is right behind a norm.
    """
    require_no_activation(norm, "a transformer")
    each_token = is_per_token(norm)
    return LastAxisNorm(norm, each_token=each_token) if heads is None else HeadNorm(norm, heads, each_token=each_token)
