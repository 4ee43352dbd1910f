"""What tests of networks share: norms and layers written out in float64, and networks held against them."""

import torch
import torch.nn.functional as F

from bnbench.training.randomness import randomize


def randomized(network):
    """The network in float64, with drawn numbers, all of which have gradients."""
    randomize(network.double(), torch.Generator().manual_seed(1))
    for parameter in network.parameters():
        parameter.requires_grad_()
    return network


def assert_same(network, received, expected, direction=None):
    """See that two outputs and their gradients by the network's numbers are equal, to 1e-10."""
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-10)
    parameters = list(network.parameters())
    gradients = [torch.autograd.grad(y, parameters, direction) for y in (received, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def assert_learns(network, shape, classes, steps):
    """See that Adam brings the loss of eight drawn images to a tenth, in float32."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(8, *shape, generator=rng), torch.arange(8) % classes
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def gelu(y):
    return y * (1 + torch.erf(y / 2**0.5)) / 2


def norm_of_tokens(kind, weight, bias, x):
    """Norms of ``[N, *, D]`` in training."""
    return _normed(kind, weight, bias, x, {"batch": tuple(range(x.dim() - 1))}.get(kind, -1))


def norm_of_channels(kind, weight, bias, x):
    """Norms of ``[N, C, *]`` in training."""
    every = tuple(range(1, x.dim()))
    ones = [1] * (x.dim() - 2)
    weight, bias = (None if part is None else part.view(-1, *ones) for part in (weight, bias))
    return _normed(kind, weight, bias, x, (0, *every[1:]) if kind == "batch" else every)


def _normed(kind, weight, bias, x, axes):
    if kind == "none":
        return x
    centred = x if kind == "rms" else x - x.mean(axes, keepdim=True)
    y = centred / (centred.pow(2).mean(axes, keepdim=True) + 1e-5).sqrt() * weight
    return y if kind == "rms" else y + bias


def depthwise(weight, y):
    """A depthwise convolution ``[C, 1, side, side]`` of ``[N, C, H, W]`` as a sum of shifted images."""
    side, (rows, columns) = weight.shape[-1], y.shape[2:]
    around = F.pad(y, [side // 2] * 4)
    return sum(
        weight[:, 0, row, column].view(-1, 1, 1) * around[:, :, row : row + rows, column : column + columns]
        for row in range(side)
        for column in range(side)
    )


def cut(weight, y):
    """A convolution ``[O, C, side, side]`` of ``[N, C, H, W]``, whose step is its side."""
    side = weight.shape[-1]
    pieces = y.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return torch.einsum("nchpwq,ocpq->nohw", pieces, weight)


class Block:
    """Parts of a block of a transformer as functions of the network's numbers.

    Args:
        seen: how many tokens the one at a place sees, those before it first; None for all.
    """

    def __init__(self, state, kind, placement, qk_norm, heads=2, seen=None):
        self.state, self.kind, self.placement, self.qk_norm = state, kind, placement, qk_norm
        self.heads, self.seen = heads, seen or (lambda place, tokens: tokens)

    def linear(self, path, y):
        return y @ self.state[f"{path}.weight"].T + self.state.get(f"{path}.bias", 0)

    def norm(self, path, y):
        weight, bias = (self.state.get(f"{path}.norm.{name}") for name in ("weight", "bias"))
        return norm_of_tokens(self.kind, weight, bias, y)

    def attention(self, path, y):
        parts = (self.linear(f"{path}.{name}", y) for name in ("query", "key", "value"))
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in parts)
        if self.qk_norm:
            q, k = self.norm(f"{path}.query_norm", q), self.norm(f"{path}.key_norm", k)
        rows = [self._attended(q[:, place], k, v, self.seen(place, y.shape[1])) for place in range(y.shape[1])]
        return self.linear(f"{path}.out", torch.stack(rows, 1))

    def _attended(self, q, k, v, seen):
        """What one token ``[N, H, E]`` takes of the first of ``[N, L, H, E]``, head by head: ``[N, D]``."""
        parts = []
        for head in range(self.heads):
            scores = (k[:, :seen, head] * q[:, None, head]).sum(-1) / q.shape[-1] ** 0.5
            shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
            parts.append((shares[..., None] * v[:, :seen, head]).sum(1))
        return torch.cat(parts, -1)

    def mlp(self, path, y):
        return self.linear(f"{path}.contract", gelu(self.linear(f"{path}.expand", y)))

    def residual(self, path, layer, y):
        if self.placement == "post":
            return self.norm(f"{path}.after", y + layer(f"{path}.layer", y))
        z = layer(f"{path}.layer", self.norm(f"{path}.before", y))
        return y + (self.norm(f"{path}.inside", z) if self.placement == "peri" else z)

    def blocks(self, y, depth=2):
        """All blocks, and the norm behind them where there is one."""
        for number in range(depth):
            y = self.residual(f"block{number}.attention", self.attention, y)
            y = self.residual(f"block{number}.mlp", self.mlp, y)
        return y if self.placement == "post" else self.norm("norm", y)
