"""What planning asks of components, built-in or a plugin's: whole outputs of the right kind, and a size that fits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from bnbench.components import Components
from bnbench.engine.statistics import tracks_statistics
from bnbench.errors import Impossible
from bnbench.spec import RunSpec

MOST_PARAMETERS = 10**9
TOO_LARGE = f"the network has more than {MOST_PARAMETERS:,} parameters; choose a smaller model.width or model"


def with_checked_norm(components: Components, name: str) -> Components:
    """The same components, with a norm that raises :class:`Impossible` where it breaks its contract."""
    norm = components.registries["norm"][name]

    def make(num_features: int, **options: Any) -> nn.Module:
        layer = norm(num_features, **options)
        if not isinstance(layer, nn.Module):
            raise Impossible(f"norm={name} must be a torch.nn.Module; got {_kind(layer)}")
        layer.register_forward_hook(lambda layer, inputs, output: _require_like(name, inputs[0], output))
        return layer

    norms = {**components.registries["norm"], name: make}
    return replace(components, registries={**components.registries, "norm": norms})


def _require_like(name: str, x: Tensor, y: Any) -> None:
    if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
        needs = "must return a tensor of its input's shape and dtype"
        raise Impossible(f"norm={name} {needs}; got {_kind(y)} for {_kind(x)}")


def require_logits(name: str, logits: Any, batch: int, classes: int) -> None:
    """Raise :class:`Impossible` unless a model's output is one number per example and class."""
    if not isinstance(logits, Tensor) or logits.shape != (batch, classes):
        raise Impossible(f"model={name} must return logits of shape {[batch, classes]}; got {_kind(logits)}")


def require_statistics(spec: RunSpec, network: nn.Module) -> None:
    """Raise :class:`Impossible` unless there are running statistics to freeze."""
    if not any(map(tracks_statistics, network.modules())):
        raise Impossible(
            f"freeze_statistics={spec.freeze_statistics} needs a norm with running statistics, and "
            f"norm={spec.norm.name} has none here: choose one that has, e.g. norm=batch, or freeze_statistics=null"
        )


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"


@contextmanager
def limited_parameters(most: int = MOST_PARAMETERS) -> Iterator[None]:
    """Raise :class:`Impossible` as soon as the layers made in a block have too many parameters to be worth a try."""
    total = 0

    def count(layer: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        total += 0 if parameter is None else parameter.numel()
        if total > most:
            raise Impossible(TOO_LARGE)

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
