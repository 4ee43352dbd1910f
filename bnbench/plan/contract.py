"""The contract of components, built-in or a plugin's: whole outputs of the right kind, and a size that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from bnbench.components import Components
from bnbench.error_origin import is_bug
from bnbench.errors import Impossible
from bnbench.global_state import preserved_global_state
from bnbench.plan.examination import MOST_PARAMETERS, TOO_LARGE
from bnbench.spec import RunSpec
from bnbench.training.statistics import not_recomputed, running_statistics, statistics_of, tracks_statistics

RECOMPUTING = ("statistics_gap", "shift")
"""Probes that evaluate with recomputed statistics."""


AXES = {2: "[N, C]", 3: "[N, C, L]", 4: "[N, C, H, W]", 5: "[N, C, D, H, W]"}
"""Axes of the inputs that a norm may take, by their number."""
GIVEN_BY = {2: "model=mlp", 4: "model=cnn"}
"""Models whose norms get inputs of so many dimensions."""


def with_checked_norm(components: Components, name: str, made: list[nn.Module], inside: list[Tensor]) -> Components:
    """The same components, with a norm that raises :class:`Impossible` where it breaks its contract.

    Args:
        made: takes every layer that is made of it.
        inside: takes the inputs of the norms that are being called; what is left in it made a norm raise.
    """
    norm = components.registries["norm"][name]

    def enter(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        inside.append(inputs[0])

    def leave(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        inside.pop()
        _require_like(name, inputs[0], output)

    def make(num_features: int, **options: Any) -> nn.Module:
        layer = norm(num_features, **options)
        if not isinstance(layer, nn.Module):
            raise Impossible(f"norm={name} must be a torch.nn.Module; got {_kind(layer)}")
        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave)
        made.append(layer)
        return layer

    norms = {**components.registries["norm"], name: make}
    return replace(components, registries={**components.registries, "norm": norms})


def _require_like(name: str, x: Tensor, y: Any) -> None:
    if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
        needs = "must return a tensor of its input's shape and dtype"
        raise Impossible(f"norm={name} {needs}; got {_kind(y)} for {_kind(x)}")


@preserved_global_state()
def wrong_axes(spec: RunSpec, components: Components, x: Tensor) -> str | None:
    """Why a norm fails on x ``[N, C, *]``, if it does not fail on inputs of other numbers of dimensions."""
    norm, name = components.registries["norm"][spec.norm.name], spec.norm.name
    if x.dim() < 2:
        return None

    def takes(dimensions: int) -> bool:
        given = torch.ones(4, x.shape[1], *[3] * (dimensions - 2), dtype=x.dtype)
        try:
            found = norm(x.shape[1], **spec.norm.options).to(x.dtype)(given)
            return isinstance(found, Tensor) and found.shape == given.shape
        except (Exception, SystemExit) as error:
            if is_bug(error, spec.plugin is not None):
                raise
            return False

    with torch.device("cpu"), torch.no_grad():
        taken = [dimensions for dimensions in AXES if takes(dimensions)]
    if not taken or x.dim() in taken:
        return None
    other = "".join(f"{GIVEN_BY[dimensions]} or " for dimensions in taken if dimensions in GIVEN_BY)
    return (
        f"norm={name} takes {' or '.join(AXES[dimensions] for dimensions in taken)} only, and "
        f"model={spec.model.name} gives it {AXES.get(x.dim(), list(x.shape))}: choose {other}another norm"
    )


def require_logits(name: str, logits: Any, *shape: int) -> None:
    """Raise :class:`Impossible` unless a model's output is one number per example, class and position with a label."""
    if not isinstance(logits, Tensor) or logits.shape != shape:
        raise Impossible(f"model={name} must return logits of shape {[*shape]}; got {_kind(logits)}")


def settings_of_statistics(spec: RunSpec) -> tuple[str, ...]:
    """The settings that ask something of running statistics, as they are typed."""
    asked = spec.evaluate.statistics
    return (
        *(() if spec.freeze_statistics is None else (f"freeze_statistics={spec.freeze_statistics}",)),
        *(() if asked == "running" else (f"evaluate.statistics={asked}",)),
        *(f"probes=[{probe}]" for probe in spec.probes if probe in RECOMPUTING),
    )


def require_statistics(spec: RunSpec, network: nn.Module, norms: Sequence[nn.Module], x_NCHW: Tensor) -> None:
    """Raise :class:`Impossible` unless the running statistics of a network are such that they can be used as asked.

    Args:
        network: built for the spec, and changed by a step.
        norms: its layers that the chosen norm has made.
        x_NCHW: a batch.
    """
    settings = settings_of_statistics(spec)
    tracking = [layer for layer in network.modules() if tracks_statistics(layer)]
    recomputes = statistics_of(spec, tracking) == "recomputed" or any(probe in RECOMPUTING for probe in spec.probes)
    if not settings and not recomputes:
        return
    where = f"{' '.join(settings) or 'evaluation'} needs running statistics in running_mean and running_var"
    remedy = "give its buffers these names" + (f", or leave {' '.join(settings)} out" if settings else "")
    names = _changed_buffers(network, norms, x_NCHW)
    if names:
        raise Impossible(
            f"{where}, and norm={spec.norm.name} keeps what training changes in {', '.join(names)}: {remedy}"
        )
    unknown = {name: None for layer in tracking for name in not_recomputed(layer)} if recomputes else {}
    if unknown:
        raise Impossible(
            f"{where}, and norm={spec.norm.name} keeps {', '.join(unknown)}, which cannot be recomputed from a layer's "
            f"inputs: {remedy}"
        )
    if recomputes:
        _require_one_per_channel(f"{where}, one number per channel", spec, network, tracking, x_NCHW)
    if spec.freeze_statistics is not None and not tracking:
        raise Impossible(
            f"freeze_statistics={spec.freeze_statistics} needs a norm with running statistics, and "
            f"norm={spec.norm.name} has none here: choose one that has, e.g. norm=batch, or freeze_statistics=null"
        )


def _changed_buffers(network: nn.Module, norms: Sequence[nn.Module], x_NCHW: Tensor) -> list[str]:
    """Buffers of real numbers, other than running statistics, that a norm changes in training."""
    before = [
        (name, layer, buffer, buffer._version)
        for norm in norms
        for layer in norm.modules()
        for name, buffer in layer.named_buffers(recurse=False)
        if buffer.is_floating_point() and not tracks_statistics(layer)
    ]
    if before:
        network.train()(x_NCHW)
    return list(
        dict.fromkeys(
            name
            for name, layer, buffer, version in before
            if layer._buffers[name] is not buffer or buffer._version != version
        )
    )


def _require_one_per_channel(
    where: str, spec: RunSpec, network: nn.Module, tracking: Sequence[nn.Module], x_NCHW: Tensor
) -> None:
    def check(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for statistic, running in running_statistics(layer).items():
            if running.numel() != inputs[0].shape[1]:
                raise Impossible(
                    f"{where}, and norm={spec.norm.name} keeps a {statistic} of shape {list(running.shape)} for "
                    f"inputs of shape {list(inputs[0].shape)}"
                )

    with ExitStack() as hooks:
        for layer in tracking:
            hooks.enter_context(layer.register_forward_pre_hook(check))
        network.eval()(x_NCHW)


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
