"""The forward pass of a run: its precision, and how its tensors lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnbench.spec import RunSpec


def forward(spec: RunSpec, network: nn.Module, x_NCHW: Tensor) -> Tensor:
    """The network's logits [N, classes, *] in float32 (float64 for fp64), computed in the spec's precision."""
    x_NCHW = x_NCHW.contiguous(memory_format=memory_format(spec, x_NCHW.device))
    if spec.precision != "bf16":
        logits: Tensor = network(x_NCHW)
        return logits
    with torch.autocast(x_NCHW.device.type, torch.bfloat16):
        return torch.Tensor.float(network(x_NCHW))


def memory_format(spec: RunSpec, device: torch.device) -> torch.memory_format:
    """The layout of images and weights: on the CPU with the channels last, which is 1.1 to 1.6 times as fast.

    A plugin may take for granted that what it gets can be viewed flat.
    """
    return torch.channels_last if spec.plugin is None and device.type == "cpu" else torch.contiguous_format


def dtype_of(spec: RunSpec) -> torch.dtype:
    """The type of parameters and inputs."""
    return torch.float64 if spec.precision == "fp64" else torch.float32
