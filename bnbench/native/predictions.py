"""What a stack puts out at evaluation, in compiled code.

N examples of each split, K lanes, D splits, C channels, H, W, O classes.
"""

from __future__ import annotations

import ctypes
import math

import torch
from torch import Tensor, nn

from bnbench.native.codegen.compiled_layer import Code, code_of, input_of
from bnbench.native.compiler import library, only_loaded
from bnbench.native.graph import CustomLayer, Graph, NotNative, NotReady
from bnbench.native.scratch import Scratch
from bnbench.native.structures import BATCH, NORM, Job, Layer
from bnbench.native.tracer import graph_of
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec
from bnbench.stacking import Folded
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.forward import dtype_of
from bnbench.training.modes import not_training
from bnbench.training.randomness import randomize
from bnbench.training.statistics import statistics_of, tracks_statistics

CHUNK = 32
"""Examples that a lane is shown at a time; translated layers, compiled for a batch of training, are shown as many."""


class NativePredictions:
    """Puts out the logits of a folded network at evaluation, of one lane after another. Nothing is compiled for it:
    :func:`translate_evaluation` does that before.

    It reads the tensors of the network where they are.

    Args:
        spec: of any lane.
        network: layers that the compiled code knows, on the CPU.
        image: C, H, W.
        classes: O.

    Raises:
        NotNative: saying what the compiled code does not know, or cannot know: statistics of the evaluated batch, or
            recomputed ones.
    """

    by_split = True

    def __init__(self, spec: RunSpec, network: Folded, image: tuple[int, int, int], classes: int) -> None:
        dtype = dtype_of(spec)
        loaded = library(dtype)
        if loaded is None:
            raise NotNative("a machine without compiled code")
        self._graph = _graph_at_evaluation(spec, network, image)
        self._library, self._classes, self._lanes = loaded, classes, network.lanes
        self._layers = (Layer * len(self._graph.layers))(*self._graph.layers)
        self._chunk = spec.batch_size if self._graph.custom_layers else CHUNK
        _translate(self._graph, self._layers, self._chunk, dtype)
        self._scratch = Scratch(loaded, dtype)

    def __call__(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        """The logits [K, N, O], or [K, N, O, T] where T positions have labels, of images that are normalized."""
        chunks = math.ceil(x_DNCHW.shape[1] / self._chunk)
        x_DMCHW = x_DNCHW.new_zeros(len(x_DNCHW), chunks * self._chunk, *x_DNCHW.shape[2:])
        x_DMCHW[:, : x_DNCHW.shape[1]] = x_DNCHW
        labels = math.prod(self._graph.label_shape)
        logits_KMLO = x_DNCHW.new_empty(self._lanes, chunks * self._chunk, labels, self._classes)
        job = Job(self._lanes, chunks, self._chunk, self._classes, labels)
        split_K = split_K.contiguous()
        job.x, job.logits, job.split = (tensor.data_ptr() for tensor in (x_DMCHW, logits_KMLO, split_K))
        self._scratch.plan(job, self._layers)
        self._library.predict(ctypes.byref(job))
        return self._graph.as_labelled(logits_KMLO[:, : x_DNCHW.shape[1]])


def predictions_of(
    spec: RunSpec, network: Folded, image: tuple[int, int, int], classes: int
) -> NativePredictions | None:
    """See :class:`NativePredictions`; None where only torch knows what the network does at evaluation."""
    try:
        return NativePredictions(spec, network, image, classes)
    except NotNative:
        return None


def translate_evaluation(spec: RunSpec, network: Folded, image: tuple[int, int, int]) -> None:
    """Have code for the layers of a network at evaluation, where that is not left to torch.

    Raises:
        NotReady: something is not compiled yet, and may not be here.
    """
    try:
        for custom in _graph_at_evaluation(spec, network, image).custom_layers:
            code_at_evaluation(custom, spec.batch_size, dtype_of(spec))
    except NotReady:
        raise
    except NotNative:
        return


def _graph_at_evaluation(spec: RunSpec, network: Folded, image: tuple[int, int, int]) -> Graph:
    """A network that treats each example by itself. Raises :class:`NotNative` for others."""
    tracking = [layer for layer in network.modules() if tracks_statistics(layer)]
    if tracking and statistics_of(spec, tracking) != "running":
        raise NotNative("statistics that are not the running ones")
    with not_training(network):
        graph = graph_of(network, image, lambda tensor: ((), False))
    if _mixes(graph) or (graph.custom_layers and mixes_examples(network, image)):
        raise NotNative("a network that mixes the examples of a batch")
    return graph


def _mixes(graph: Graph) -> bool:
    """True if a layer of compiled code has statistics of the batch that it is shown."""
    return any(layer.kind == NORM and layer.over == BATCH and not layer.fixed for layer in graph.layers)


def _translate(graph: Graph, layers: ctypes.Array[Layer], batch: int, dtype: torch.dtype) -> None:
    """Give the layers that need it their code, which is there. Raises :class:`NotNative`."""
    with only_loaded():
        for custom in graph.custom_layers:
            code_at_evaluation(custom, batch, dtype).enter(layers[custom.index])


def code_at_evaluation(custom: CustomLayer, batch: int, dtype: torch.dtype) -> Code:
    """The code of a layer at evaluation; of one that does the same in training, that with which it is trained.

    Raises:
        NotNative: it has no translation, or changes a buffer; or, as :class:`NotReady`, it may not be compiled here.
    """
    x = input_of(custom, batch, dtype)
    return code_of(custom.layer.train(_is_same_in_training(custom.layer, x)), x)


@torch.no_grad()
def _is_same_in_training(layer: nn.Module, x: Tensor) -> bool:
    """True if a layer keeps nothing, and puts out the same in both modes, whatever its numbers are at the moment.

    Raises:
        NotNative: it changes a buffer at evaluation, which is to leave it as it was.
    """
    moved = copied(layer)
    randomize(moved, torch.Generator().manual_seed(0))
    evaluated, trained = copied(moved).eval(), copied(moved).train()
    with torch.random.fork_rng([]):
        y, other = evaluated(x), trained(x)
    if not all(map(torch.equal, moved.buffers(), evaluated.buffers())):
        raise NotNative(f"{type(layer).__name__}, which changes a buffer at evaluation")
    return not [*layer.buffers()] and torch.equal(y, other)
