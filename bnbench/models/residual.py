"""The residual branches of the networks that are known to have some."""

from __future__ import annotations

from torch import nn

from bnbench.models.resnet import BasicBlock
from bnbench.norms.common.branch import Branch


def residual_branches(network: nn.Module) -> list[Branch]:
    """The branches of this package's residual networks and of torchvision's ResNet family, in order; else none."""
    branches = [
        Branch((block.conv1, block.conv2), (block.norm1, block.norm2))
        for block in network.modules()
        if isinstance(block, BasicBlock)
    ]
    return branches or _torchvision_branches(network)


def _torchvision_branches(network: nn.Module) -> list[Branch]:
    if not type(network).__module__.startswith("torchvision."):
        return []
    from torchvision.models import resnet

    return [
        _torchvision_branch(block)
        for block in network.modules()
        if isinstance(block, resnet.BasicBlock | resnet.Bottleneck)
    ]


def _torchvision_branch(block: nn.Module) -> Branch:
    parts = dict(block.named_children())
    numbers = (1, 2, 3) if "conv3" in parts else (1, 2)
    shortcut = parts.get("downsample")
    return Branch(
        tuple(parts[f"conv{number}"] for number in numbers),  # type: ignore[misc]
        tuple(parts[f"bn{number}"] for number in numbers),
        None if shortcut is None else shortcut.get_submodule("1"),
    )
