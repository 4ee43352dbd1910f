"""Translated layers, compiled before a worker needs them: it compiles nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn

from bnbench.native.predictions import translate_evaluation
from bnbench.native.steps import NativeSteps
from bnbench.spec import RunSpec
from bnbench.stacking import fold
from bnbench.stacking.optimizers import make_lane_optimizer
from bnbench.training.forward import dtype_of
from bnbench.training.optimizer import decays
from bnbench.training.statistics import freeze_statistics


def translate_ahead(
    spec: RunSpec,
    build: Callable[[int], nn.Module],
    image: tuple[int, int, int],
    classes: int,
    batches: Iterable[int],
) -> None:
    """Have code for all layers of a network in batches of some sizes, in the numbers of a spec, and for evaluation.

    Args:
        build: makes a network from a seed.
        image: C, H, W.
        classes: of the labels.

    Raises:
        NotNative: a layer has no code; or, as :class:`NotReady`, it may not be compiled here.
    """
    network = build(0).to(dtype_of(spec))
    folded = fold([network]).train()
    optimizer = make_lane_optimizer([spec], folded, decays(spec.optim, network))
    steps = NativeSteps(spec, folded, optimizer, image, classes)
    sizes = list(batches)
    for frozen in (False,) if spec.freeze_statistics is None else (False, True):
        if frozen:
            freeze_statistics(folded)
            steps.select(folded)
        for batch in sizes:
            steps.translate(batch)
    translate_evaluation(spec, folded, image)
