"""Independent implementations: torch.nn modules, and closed forms written with plain arithmetic."""

import math

import torch
from timm.layers.grn import GlobalResponseNorm
from torch import nn
from torch.overrides import TorchFunctionMode


class Chunked(nn.Module):
    """torch's BatchNorm called on one chunk after another."""

    def __init__(self, layer, chunk):
        super().__init__()
        self.layer, self.chunk = layer, chunk

    def forward(self, x):
        return torch.cat([self.layer(part) for part in x.split(self.chunk)]) if self.training else self.layer(x)


class ChannelsLast(nn.Module):
    """A torch layer that normalizes the last axis, on [N, C, *]."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.movedim(1, -1)).movedim(-1, 1)


class RootMeanSquare(nn.Module):
    """weight * x / sqrt(mean over everything but the batch of x^2 + eps)."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        square = (x**2).flatten(1).mean(1)
        return per_channel(self.weight, x) * x / (square + 1e-5).sqrt().view(-1, *[1] * (x.dim() - 1))


class Scalars(nn.Module):
    """weight * x + bias with one number each."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.weight * x + self.bias


class Renorm(nn.Module):
    """Algorithm 1 of Ioffe 2017, one statement per line of the paper, with the limits on a schedule."""

    def __init__(self, channels, r_max, d_max, warmup, rise):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.limits = r_max, d_max, warmup, rise
        self.mean, self.var, self.step = torch.zeros(channels).double(), torch.ones(channels).double(), 0

    def forward(self, x):
        mean, std = self.mean, (self.var + 1e-5).sqrt()
        if not self.training:
            x_hat = (x - per_channel(mean, x)) / per_channel(std, x)
            return per_channel(self.weight, x) * x_hat + per_channel(self.bias, x)
        r_max, d_max, warmup, rise = self.limits
        self.step += 1
        share = min(1.0, max(0.0, (self.step - warmup) / rise))
        r_max, d_max = 1 + share * (r_max - 1), share * d_max
        axes = [axis for axis in range(x.dim()) if axis != 1]
        values = x.numel() / x.shape[1]
        batch_mean = x.mean(axes)
        batch_var = ((x - per_channel(batch_mean, x)) ** 2).mean(axes)
        batch_std = (batch_var + 1e-5).sqrt()
        r = (batch_std / std).clip(1 / r_max, r_max).detach()
        d = ((batch_mean - mean) / std).clip(-d_max, d_max).detach()
        x_hat = (x - per_channel(batch_mean, x)) / per_channel(batch_std, x) * per_channel(r, x) + per_channel(d, x)
        self.mean = 0.9 * self.mean + 0.1 * batch_mean.detach()
        self.var = 0.9 * self.var + 0.1 * batch_var.detach() * values / (values - 1)
        return per_channel(self.weight, x) * x_hat + per_channel(self.bias, x)


class Switchable(nn.Module):
    """Luo et al. 2019, from the statistics of three norms of their own."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.mean_weight, self.var_weight = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        self.running = torch.zeros(channels).double(), torch.ones(channels).double()

    def forward(self, x):
        axes = [(2, 3), (1, 2, 3), (0, 2, 3)]
        means = [x.mean(axis, keepdim=True) for axis in axes]
        variances = [((x - mean) ** 2).mean(axis, keepdim=True) for axis, mean in zip(axes, means, strict=True)]
        if self.training:
            values = x.numel() / x.shape[1]
            batch = means[2].flatten().detach(), variances[2].flatten().detach() * values / (values - 1)
            self.running = tuple(0.9 * old + 0.1 * new for old, new in zip(self.running, batch, strict=True))
        else:
            means[2], variances[2] = (per_channel(value, x)[None] for value in self.running)
        p, q = torch.exp(self.mean_weight), torch.exp(self.var_weight)
        mean = sum(share * value for share, value in zip(p / p.sum(), means, strict=True))
        var = sum(share * value for share, value in zip(q / q.sum(), variances, strict=True))
        return per_channel(self.weight, x) * (x - mean) / torch.sqrt(var + 1e-5) + per_channel(self.bias, x)


class BatchInstance(nn.Module):
    """Nam & Kim 2018, from torch's own layers."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.rho = nn.Parameter(torch.ones(channels))
        self.batch, self.instance = nn.BatchNorm2d(channels, affine=False), nn.InstanceNorm2d(channels)

    def forward(self, x):
        rho = per_channel(self.rho, x)
        mixed = rho * self.batch(x) + (1 - rho) * self.instance(x)
        return per_channel(self.weight, x) * mixed + per_channel(self.bias, x)


class MeanAbsoluteDeviation(nn.Module):
    """The mean absolute deviation in place of the standard deviation, Hoffer et al. 2018."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.mean, self.deviation = torch.zeros(channels).double(), torch.ones(channels).double()

    def forward(self, x):
        mean, deviation = self.mean, self.deviation
        if self.training:
            columns = x.movedim(1, 0).flatten(1)
            mean = columns.sum(1) / columns.shape[1]
            deviation = (columns - mean[:, None]).abs().sum(1) / columns.shape[1] * math.sqrt(math.pi / 2)
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
            self.deviation = 0.9 * self.deviation + 0.1 * deviation.detach()
        x_hat = (x - per_channel(mean, x)) / (per_channel(deviation, x) + 1e-5)
        return per_channel(self.weight, x) * x_hat + per_channel(self.bias, x)


class Noisy(nn.Module):
    """Batch normalization, then noise from the same draws: one per channel, then one per channel and example."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        y = self.layer(x)
        if not self.training:
            return y
        draw_C, draw_S = torch.rand(2, x.shape[1])
        draw_m, draw_s = torch.rand(x.shape[:2]), torch.randn(x.shape[:2])
        mean, scale = -0.5 + draw_C.to(x.dtype), 1 + 0.25 * draw_S.to(x.dtype)
        shape = (*x.shape[:2], *[1] * (x.dim() - 2))
        return y * (scale + 0.1 * draw_s.to(x.dtype)).view(shape) + (mean - 0.1 + 0.2 * draw_m.to(x.dtype)).view(shape)


class DynamicTangent(nn.Module):
    """Zhu et al. 2025, by exponentials."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.alpha = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        squashed = 1 - 2 / (torch.exp(2 * self.alpha * x) + 1)
        return per_channel(self.weight, x) * squashed + per_channel(self.bias, x)


class LearnedEps(nn.Module):
    """Filter responses with eps = 1e-6 + |learned eps|; vectors are images of one pixel."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.tau, self.learned_eps = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        square = (x**2).flatten(2).mean(2) if x.dim() > 2 else x**2
        size = torch.sqrt(square + 1e-6 + abs(self.learned_eps)).view(*x.shape[:2], *[1] * (x.dim() - 2))
        y = per_channel(self.weight, x) * x / size + per_channel(self.bias, x)
        return torch.maximum(y, per_channel(self.tau, x))


class OfTimm(nn.Module):
    """A layer of timm, on vectors as on images of one pixel; in float64 it takes its statistics in float64 as well."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        with NoFloat():
            return self.layer(x[..., None, None]).squeeze((2, 3)) if x.dim() == 2 else self.layer(x)


class NoFloat(TorchFunctionMode):
    """``x.float()`` leaves float64 as it is."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        return function(*args, **(kwargs or {}))


def per_channel(vector, x):
    return vector.view(-1, *[1] * (x.dim() - 2)).to(x.dtype)


class ErrorFunction(nn.Module):
    """Chen et al. 2025, by the distribution function of the normal distribution."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.alpha, self.s = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        squashed = 2 * torch.special.ndtr((self.alpha * x + self.s) * math.sqrt(2)) - 1
        return per_channel(self.weight, x) * squashed + per_channel(self.bias, x)


class InverseRoot(nn.Module):
    """Stollenwerk 2025, as the sine of an arc tangent."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.alpha = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return per_channel(self.weight, x) * (self.alpha * x).arctan().sin() + per_channel(self.bias, x)


class Response(nn.Module):
    """timm's layer, with vectors as images of one pixel."""

    def __init__(self, channels):
        super().__init__()
        self.layer = GlobalResponseNorm(channels, channels_last=False)

    def forward(self, x):
        return self.layer(x) if x.dim() == 4 else self.layer(x[:, :, None, None]).flatten(1)


class Others(nn.Module):
    """Kosson et al. 2024: each example by itself, after a loop over the others."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.mean, self.var = torch.zeros(channels).double(), torch.ones(channels).double()

    def forward(self, x):
        if not self.training:
            x_hat = (x - per_channel(self.mean, x)) / per_channel(self.var + 1e-5, x).sqrt()
            return per_channel(self.weight, x) * x_hat + per_channel(self.bias, x)
        rows = []
        for index in range(len(x)):
            others = torch.cat([x[:index], x[index + 1 :]]).movedim(1, 0).flatten(1)
            mean = others.sum(1) / others.shape[1]
            var = ((others - mean[:, None]) ** 2).sum(1) / others.shape[1]
            rows.append((x[index : index + 1] - per_channel(mean, x)) / per_channel(var + 1e-5, x).sqrt())
        columns = x.detach().movedim(1, 0).flatten(1)
        self.mean = 0.9 * self.mean + 0.1 * columns.mean(1)
        self.var = 0.9 * self.var + 0.1 * columns.var(1)
        return per_channel(self.weight, x) * torch.cat(rows) + per_channel(self.bias, x)


class GhostNoise(nn.Module):
    """Kosson et al. 2024: batch normalization, then a ghost batch for each example, one after the other."""

    def __init__(self, channels, chunk):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.flat, self.images = (kind(channels, affine=False) for kind in (nn.BatchNorm1d, nn.BatchNorm2d))
        self.chunk = chunk

    def forward(self, x):
        y = (self.flat if x.dim() == 2 else self.images)(x)
        if self.training:
            drawn = torch.randint(len(x), (len(x), self.chunk))
            rows = []
            for index, members in enumerate(drawn):
                ghost = y[members].detach().movedim(1, 0).flatten(1)
                mean, var = ghost.mean(1), ghost.var(1, correction=0)
                deviation = ((var + 1e-5) / (1 + 1e-5)).sqrt()
                rows.append((y[index : index + 1] - per_channel(mean, x)) / per_channel(deviation, x))
            y = torch.cat(rows)
        return per_channel(self.weight, x) * y + per_channel(self.bias, x)


class Reparametrized(nn.Module):
    """Guo et al. 2024: torch's layer and a multiple of its input."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.eta = layer, nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.layer(x) + self.eta * x


class Progressive(nn.Module):
    """Guo et al. 2024: from torch's layer norm over the channels to the other one."""

    def __init__(self, layer, channels, steps):
        super().__init__()
        self.second = Reparametrized(layer)
        self.layer_weight = nn.Parameter(torch.ones(channels))
        self.layer_bias = nn.Parameter(torch.zeros(channels))
        self.steps, self.done = steps, 0

    def forward(self, x):
        if not self.training:
            return self.second(x)
        share = max(0.0, 1 - self.done / self.steps)
        self.done += 1
        first = nn.functional.layer_norm(
            x.movedim(1, -1), self.layer_weight.shape, self.layer_weight, self.layer_bias, 1e-5
        )
        return share * first.movedim(-1, 1) + (1 - share) * self.second(x)
