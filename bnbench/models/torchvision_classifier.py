"""Any classifier of torchvision, with its normalization layers replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnbench.errors import Impossible
from bnbench.models.activation_removal import take_over_activations
from bnbench.models.information import require_information
from bnbench.models.preparation import prepares
from bnbench.models.replacement import LastAxisNorm, add_biases, replace_norms
from bnbench.models.zero_gamma import zero_weight
from bnbench.norms.common.checks import among, require
from bnbench.norms.none import NoNorm


def torchvision_classifier(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    name: str = "resnet18",
    small_image_stem: bool = False,
    zero_init_last_gamma: bool = False,
) -> nn.Module:
    """A classifier by its torchvision name, untrained: ``[N, C, H, W] -> [N, classes]``.

    The weights are torchvision's own initial ones, drawn from the global generator. Its norms are replaced by ``norm``,
    with the options of that norm (not, for example, EfficientNet's own eps). Convolutions without a bias get one of
    zeros where the norm neither shifts nor cancels it. A norm that holds its own activation takes the place of the one
    behind it, where the network has one there for it alone. For images that do not have three channels the first
    convolution is adapted.

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        name: any classifier that ``torchvision.models.list_models`` names.
        small_image_stem: 3x3 stride-1 first convolution and no max-pooling, in the ResNet family.
        zero_init_last_gamma: start every residual block as the identity, in the ResNet family.
    """
    network = untrained(name, shape, classes)
    if small_image_stem:
        use_small_stem(network, name)
    adapt_first_convolution(network, shape[0])
    use_norm(network, norm, name)
    if zero_init_last_gamma:
        zero_last_gammas(network, name)
    return network


def untrained(name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """torchvision's network with its own initial weights and without auxiliary outputs."""
    from torchvision import models

    require(among("model.name", name, models.list_models(module=models)))
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True, "transform_input": False}
    if name.startswith("vit_"):
        require_square(name, shape)
        options["image_size"] = shape[1]
    if name.startswith("maxvit_"):
        options["input_size"] = shape[1:]
    try:
        return construct(name, options)
    except (AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".!")
        raise Impossible(
            f"model.name={name} cannot take images of {shape[1]}x{shape[2]}: {reason}; choose another model"
        ) from error


def construct(name: str, options: dict[str, Any]) -> nn.Module:
    """Construct on the default device, or on the CPU first where a network computes its widths with tensors."""
    from torchvision import models

    device = torch.get_default_device()
    try:
        network: nn.Module = models.get_model(name, **options)
    except NotImplementedError:
        with torch.device("cpu"):
            network = models.get_model(name, **options).to(device)
    return network


def require_square(name: str, shape: tuple[int, int, int]) -> None:
    """Raise :class:`Impossible` unless height and width are equal."""
    if shape[1] != shape[2]:
        raise Impossible(
            f"model.name={name} needs square images; these are {shape[1]}x{shape[2]}: choose another model"
        )


def use_small_stem(network: nn.Module, name: str) -> None:
    """Replace the first convolution by a 3x3 one with stride 1, and the max-pooling by nothing."""
    require_resnet(network, name, "small_image_stem")
    conv = nn.Conv2d(3, network.get_submodule("conv1").get_parameter("weight").shape[0], 3, 1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    network.set_submodule("conv1", conv)
    network.set_submodule("maxpool", nn.Identity())


def adapt_first_convolution(network: nn.Module, channels: int) -> None:
    """Make the first convolution take another number of channels than three.

    A single channel gets the sum of the three weights, which acts on it as the original acts on three copies of it.
    Other numbers repeat the three weights, scaled by ``3 / channels``.
    """
    if channels == 3:
        return
    conv = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    conv.weight = nn.Parameter(adapted(conv.weight.detach(), channels))
    conv.in_channels = channels


def adapted(weight_O3HW: Tensor, channels: int) -> Tensor:
    """The weight ``[O, channels, H, W]`` from that for three channels."""
    if channels == 1:
        return weight_O3HW.sum(1, keepdim=True)
    return weight_O3HW[:, [channel % 3 for channel in range(channels)]] * (3 / channels)


def use_norm(network: nn.Module, norm: Callable[[int], nn.Module], name: str) -> None:
    """Replace the norms; raises :class:`Impossible` if there are none, unless none are wanted."""
    from torchvision.models.convnext import LayerNorm2d

    norms = replace_norms(network, norm, LayerNorm2d)
    if norms:
        add_biases(network, norms)
        take_over_activations(network, norms, name)
        require_called_layers(network, norms, name)
        require_tokens_of_swin_apart(network)
    elif not is_none(norm):
        raise Impossible(
            f"model.name={name} has no normalization layers to replace; choose norm=none, "
            "or a model that has some, e.g. vgg11_bn"
        )


def require_called_layers(network: nn.Module, norms: Sequence[nn.Module], name: str) -> None:
    """Raise :class:`Impossible` if a norm acts on weights and attention reads them without calling their layers."""
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    reading = [
        layer for layer in network.modules() if isinstance(layer, nn.MultiheadAttention | ShiftedWindowAttention)
    ]
    if reading and prepares(type(norms[0])):
        raise Impossible(
            f"model.name={name} has attention that reads weights past their layers, and this norm acts on the layers: "
            "choose a norm of the activations, e.g. norm=layer, or a model of convolutions"
        )


def require_tokens_of_swin_apart(network: nn.Module) -> None:
    """Raise :class:`Impossible` if the norm before a Swin transformer's pooling gives all images the same means."""
    from torchvision.models import SwinTransformer

    if isinstance(network, SwinTransformer) and isinstance(network.norm, LastAxisNorm):
        require_information(network.norm.norm)


def is_none(norm: Callable[[int], nn.Module]) -> bool:
    """True if the norm is the identity."""
    try:
        return isinstance(norm(64), NoNorm)
    except Impossible:
        return False


def zero_last_gammas(network: nn.Module, name: str) -> None:
    """Set the scale of the last norm of every residual block to zero."""
    from torchvision.models.resnet import BasicBlock, Bottleneck

    require_resnet(network, name, "zero_init_last_gamma")
    for block in network.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            zero_weight(block.get_submodule("bn2" if isinstance(block, BasicBlock) else "bn3"))


def require_resnet(network: nn.Module, name: str, option: str) -> None:
    """Raise :class:`Impossible` unless the network is of torchvision's ResNet family."""
    from torchvision.models import ResNet

    if not isinstance(network, ResNet):
        raise Impossible(
            f"model.{option}=true is for the ResNet family (resnet, resnext, wide_resnet); "
            f"model.name={name} is none: choose model.{option}=false"
        )
