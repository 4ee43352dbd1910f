"""Steps of a stack in compiled code.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps. Where positions have labels, labels and
logits have them as their last axis.
"""

from __future__ import annotations

import ctypes
import math
from contextlib import suppress
from functools import cached_property
from itertools import product
from typing import assert_never

import torch
from torch import Tensor

from bnbench.native.codegen.compiled_layer import Code, code_of, input_of
from bnbench.native.compiler import library
from bnbench.native.graph import NotNative, NotReady
from bnbench.native.predictions import NativePredictions, predictions_of, translate_evaluation
from bnbench.native.scratch import Scratch
from bnbench.native.structures import ADAM, ADAMW, BATCH, NORM, SGD, Job, Layer
from bnbench.native.tracer import graph_of
from bnbench.norms.common.checks import require_values
from bnbench.spec import AdamW, RunSpec
from bnbench.stacking import Folded
from bnbench.stacking.optimizers import LaneAdam, LaneOptimizer, LaneSgd
from bnbench.training.forward import dtype_of


class NativeSteps:
    """Makes the steps of a folded network, one lane after another.

    It reads and writes the tensors of the network and its optimizer where they are.

    Args:
        spec: of any lane.
        network: layers that the compiled code knows, on the CPU.
        optimizer: of the network.
        image: C, H, W.
        classes: O.

    Attributes:
        seconds: [layers, 2] float64, to which what each layer takes forward and backward is added; None measures
            nothing.

    Raises:
        NotNative: saying what the compiled code does not know.
    """

    def __init__(
        self, spec: RunSpec, network: Folded, optimizer: LaneOptimizer, image: tuple[int, int, int], classes: int
    ) -> None:
        loaded = library(dtype_of(spec))
        if spec.precision == "bf16" or spec.grad_clip is not None:
            raise NotNative("bf16 or clipped gradients")
        if not isinstance(optimizer, LaneSgd | LaneAdam):
            raise NotNative(type(optimizer).__name__)
        if loaded is None:
            raise NotNative("a machine without compiled code")
        self._spec, self._dtype = spec, dtype_of(spec)
        self._library, self._optimizer, self._image, self._classes = loaded, optimizer, image, classes
        self.seconds: Tensor | None = None
        self._scratch = Scratch(loaded, self._dtype)
        self._evaluation_translated = False
        self.select(network)

    def run(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps with x [S, M, C, H, W], y [S, K, N], lr [S, K, 1]: losses [S, M] and logits [S, M, O].

        Raises:
            NotNative: the network puts out no logits for labels of this shape.
        """
        steps, lanes, batch = y_SKN.shape[:3]
        shape = self._graph.label_shape
        if y_SKN.shape[3:] != shape:
            raise NotNative(f"a network with labels of shape {[*shape]}, where the data's are {[*y_SKN.shape[3:]]}")
        self._require_values(batch)
        self.translate(batch)
        losses_SM = lr_SK1.new_empty(steps, lanes * batch)
        logits_SMLO = lr_SK1.new_empty(steps, lanes * batch, math.prod(shape), self._classes)
        tensors = x_SMCHW.contiguous(), y_SKN.contiguous(), lr_SK1.contiguous(), losses_SM, logits_SMLO
        job = Job(lanes, steps, batch, self._classes, math.prod(shape))
        job.x, job.y, job.lr, job.losses, job.logits = (tensor.data_ptr() for tensor in tensors)
        self._set_rule(job)
        factors = self._factors(*y_SKN.shape[:3])
        job.seconds = None if self.seconds is None else self.seconds.data_ptr()
        job.smoothing = self._spec.label_smoothing
        self._scratch.plan(job, self._layers)
        self._library.train(ctypes.byref(job))
        del factors
        if isinstance(self._optimizer, LaneAdam):
            self._optimizer.steps += steps
        return losses_SM, self._graph.as_labelled(logits_SMLO)

    @torch.no_grad()
    def _factors(self, steps: int, lanes: int, batch: int) -> list[Tensor]:
        """What layers that draw numbers multiply by, [S, K, N, *] each; a run draws those of one step after another."""
        draws = self._graph.draws
        ones = [torch.ones(batch, *draw.shape, dtype=self._dtype) for draw in draws]
        factors = [one.new_empty(steps, lanes, *one.shape) for one in ones]
        for step, lane in product(range(steps), range(lanes)):
            for draw, one, factor in zip(draws, ones, factors, strict=True):
                factor[step, lane] = draw.layer.of_lane(lane, one)
        for draw, factor in zip(draws, factors, strict=True):
            self._layers[draw.index].factors = factor.data_ptr()
        return factors

    def _set_rule(self, job: Job) -> None:
        """The optimizer's rule and its settings."""
        job.decay = job.momentum = self._optimizer.decay_K1.data_ptr()
        match self._optimizer:
            case LaneSgd(momentum_K1=momentum_K1, nesterov=nesterov):
                job.rule, job.momentum, job.nesterov = SGD, momentum_K1.data_ptr(), nesterov
            case LaneAdam(optim=optim, steps=steps):
                job.rule, job.steps_before = ADAMW if isinstance(optim, AdamW) else ADAM, int(steps)
                job.beta1, job.beta2, job.eps = optim.beta1, optim.beta2, optim.eps
            case _:
                assert_never(self._optimizer)

    def select(self, network: Folded, longest: int = 0) -> None:
        """Go on with some lanes only, which are this network; or with the same, whose statistics are frozen.

        How long a block can be does not matter.
        """
        self._network = network
        self.__dict__.pop("predictions", None)
        self._graph = graph_of(network, self._image, self._optimizer.state_of)
        self._layers = (Layer * len(self._graph.layers))(*self._graph.layers)
        self._codes: dict[tuple[int, int], Code] = {}

    def translate(self, batch: int) -> None:
        """Give the layers that need it code for a size of batch; with that of a whole batch comes that for evaluation.

        Raises:
            NotNative: one of them has no translation; or, as :class:`NotReady`, it may not be compiled here.
        """
        for custom in self._graph.custom_layers:
            key = custom.index, batch
            if key not in self._codes:
                self._codes[key] = code_of(custom.layer, input_of(custom, batch, self._dtype))
            self._codes[key].enter(self._layers[custom.index])
        if batch == self._spec.batch_size and self._graph.custom_layers and not self._evaluation_translated:
            self._evaluation_translated = True
            with suppress(NotReady):
                translate_evaluation(self._spec, self._network, self._image)

    @cached_property
    def predictions(self) -> NativePredictions | None:
        """What puts out the network's logits at evaluation; None where torch does."""
        return predictions_of(self._spec, self._network, self._image, self._classes)

    @property
    def translated(self) -> list[str]:
        """The types of the layers that are translated for the compiled code."""
        return list(dict.fromkeys(type(custom.layer).__name__ for custom in self._graph.custom_layers))

    @property
    def layers(self) -> list[Layer]:
        """The layers as the compiled code sees them."""
        return list(self._layers)

    def _require_values(self, batch: int) -> None:
        """Raise :class:`Impossible` for statistics of one value, as the layers themselves do."""
        for layer in self._layers:
            if layer.kind == NORM and layer.over == BATCH and not layer.fixed:
                smallest = batch % layer.chunk or layer.chunk if layer.chunk else batch
                image = layer.shape.channels, layer.shape.height, layer.shape.width
                require_values(
                    smallest * layer.shape.height * layer.shape.width,
                    "batch statistics: each channel",
                    (batch, *image),
                    "use a batch of at least 2, whose last one and whose chunks have more than one example",
                )
