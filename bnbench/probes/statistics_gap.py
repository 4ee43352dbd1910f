"""The worth of a network's running statistics at evaluation (Wu & Johnson 2021, section 3)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import WHOLE, Pause, Value, loss_of, training_batches
from bnbench.spec import RunSpec
from bnbench.training.evaluation import evaluate
from bnbench.training.modes import evaluation_mode
from bnbench.training.statistics import running_statistics, tracks_statistics

BATCHES = 8
"""Training batches whose loss is compared in both modes."""

Moments = tuple[Tensor | None, Tensor | None]
"""Mean and standard deviation per channel, [C] each, where a layer keeps them."""


def statistics_gap(pause: Pause) -> list[Value]:
    """The loss in both modes, the drift of the running statistics, and the score with recomputed ones.

    For the network: ``training_loss`` (batch statistics) and ``evaluation_loss`` (running ones) of the same training
    batches, and ``gap``, the second less the first; ``running_val_loss``, ``running_val_accuracy``,
    ``recomputed_val_loss`` and ``recomputed_val_accuracy`` on the validation examples. For each layer that keeps
    statistics, averaged over its channels: ``mean_drift`` ``|running mean - mean| / std`` and ``std_drift``
    ``|ln(running std / std)|``, against mean and std recomputed over ``evaluate.recompute_batches`` training batches.
    """
    losses = {mode: _mean_loss(pause, mode) for mode in ("training", "evaluation")}
    values = [Value(WHOLE, f"{mode}_loss", loss) for mode, loss in losses.items()]
    values.append(Value(WHOLE, "gap", losses["evaluation"] - losses["training"]))
    for statistics in ("running", "recomputed"):
        spec = with_statistics(pause.spec, statistics)
        loss, accuracy = evaluate(spec, pause.network, pause.data, pause.data.validation)
        values.append(Value(WHOLE, f"{statistics}_val_loss", loss))
        values.append(Value(WHOLE, f"{statistics}_val_accuracy", accuracy))
    return values + _drifts(pause)


def with_statistics(spec: RunSpec, statistics: Literal["running", "batch", "recomputed"]) -> RunSpec:
    """The spec with these statistics at evaluation."""
    return dataclasses.replace(spec, evaluate=dataclasses.replace(spec.evaluate, statistics=statistics))


@torch.no_grad()
def _mean_loss(pause: Pause, mode: str) -> float:
    """Over training batches; each sees the statistics of now, as taking them up has no part in the comparison."""
    losses = [
        loss_of(pause, copied(pause.network).train(mode == "training"), batch).double()
        for batch in training_batches(pause, BATCHES)
    ]
    return torch.stack(losses).mean().item()


@torch.no_grad()
def _drifts(pause: Pause) -> list[Value]:
    tracking = {path: layer for path, layer in pause.network.named_modules() if tracks_statistics(layer)}
    running = {path: _moments(layer) for path, layer in tracking.items()}
    with evaluation_mode([with_statistics(pause.spec, "recomputed")], pause.network, [pause.data]):
        population = {path: _moments(layer) for path, layer in tracking.items()}
    values = []
    for path, (running_mean_C, running_std_C) in running.items():
        mean_C, std_C = population[path]
        if std_C is None or running_std_C is None:
            continue
        if mean_C is not None and running_mean_C is not None:
            values.append(Value(path, "mean_drift", ((running_mean_C - mean_C).abs() / std_C).mean().item()))
        values.append(Value(path, "std_drift", (running_std_C / std_C).log().abs().mean().item()))
    return values


def _moments(layer: nn.Module) -> Moments:
    """The statistics that a layer keeps, with what it divides by as it does: with eps."""
    kept = {name: buffer.clone() for name, buffer in running_statistics(layer).items()}
    eps, std_C = getattr(layer, "eps", 0.0), None
    if "running_var" in kept:
        std_C = (kept["running_var"] + eps).sqrt()
    elif "running_deviation" in kept:
        std_C = kept["running_deviation"] + eps
    return kept.get("running_mean"), std_C
