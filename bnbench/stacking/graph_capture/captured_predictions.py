"""A stack's evaluation that is recorded once and played back without Python.

N examples of each split, K lanes, D splits, C channels, H, W, O classes. Where positions have labels, logits have them
as their last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bnbench.spec import RunSpec
from bnbench.stacking import Folded
from bnbench.stacking.graph_capture.captured_step import Recorder, Refusal, attempted
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.evaluation import predicted
from bnbench.training.modes import kept_state, not_training
from bnbench.training.module_state import changed, python_state
from bnbench.training.statistics import statistics_of, tracks_statistics


def is_recordable(spec: RunSpec, network: Folded, image: tuple[int, int, int]) -> bool:
    """Whether each example's logits come from the network's own tensors alone.

    Args:
        spec: of any lane.
        image: C, H, W.
    """
    tracking = [layer for layer in network.modules() if tracks_statistics(layer)]
    return statistics_of(spec, tracking) == "running" and not mixes_examples(network, image)


class RecordedPredictions:
    """Puts out the logits of a network whose steps are recorded; see :class:`Predictions`.

    The first batch of a size is evaluated as it comes, and watched. From the second one on there is a recording.

    Args:
        spec: of any lane.
        network: it is recordable, and read where its tensors are.
        give_up: is told, once, why nothing is recorded.
    """

    by_split = False

    def __init__(self, spec: RunSpec, network: Folded, recorder: Recorder, give_up: Callable[[str], None]) -> None:
        self._spec, self._network, self._recorder, self._tell = spec, network, recorder, give_up
        self._records = True
        self._places: dict[int, Tensor] = {}
        self._recordings: dict[int, _Recording] = {}

    def __call__(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        """The logits [K, N, O] of images that are normalized."""
        size = x_DNCHW.shape[1]
        with self._recorder.stream():
            if size not in self._places or not self._records:
                return self._watched(x_DNCHW, split_K)
            if size not in self._recordings:
                made = attempted(
                    lambda: _Recording(self._recorder, self._predict, x_DNCHW, split_K, self._places[size])
                )
                if isinstance(made, Refusal):
                    self._give_up(made.reason)
                    return self._watched(x_DNCHW, split_K)
                self._recordings[size] = made
            return self._recordings[size].play(x_DNCHW, split_K)

    def _watched(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        """The logits, computed as they come; what a recording would do otherwise is a reason to have none."""
        network = self._network
        with not_training(network), kept_state(network):
            state, buffers = python_state(network.network), [buffer.clone() for buffer in network.buffers()]
            with self._recorder.rehearsal() as reasons:
                logits_KNO = predicted(self._spec, network, x_DNCHW, split_K)
            if name := changed(state, python_state(network.network)):
                reasons.append(f"{name} changes at evaluation")
            elif _differ(buffers, list(network.buffers())):
                reasons.append("a layer changes its buffers at evaluation")
        if reasons:
            self._give_up(reasons[0])
        self._places[x_DNCHW.shape[1]] = torch.empty_like(logits_KNO)
        return logits_KNO

    def _give_up(self, reason: str) -> None:
        if self._records:
            self._records = False
            self._recordings.clear()
            self._tell(reason)

    def _predict(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        with not_training(self._network):
            return predicted(self._spec, self._network, x_DNCHW, split_K)


class _Recording:
    """Recorded predictions for one number of examples, with the tensors that they read and write.

    Args:
        logits: [K, N, O], where they are put.
    """

    def __init__(
        self,
        recorder: Recorder,
        predict: Callable[[Tensor, Tensor], Tensor],
        x_DNCHW: Tensor,
        split_K: Tensor,
        logits: Tensor,
    ) -> None:
        self._x_DNCHW, self._split_K, self._logits_KNO = x_DNCHW.clone(), split_K.clone(), logits
        self._play = recorder.record(lambda: self._logits_KNO.copy_(predict(self._x_DNCHW, self._split_K)))

    def play(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        self._x_DNCHW.copy_(x_DNCHW)
        self._split_K.copy_(split_K)
        self._play()
        return self._logits_KNO


def _differ(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    """Whether any number is another one; what is no number is like another that is none."""
    other = [((old != new) & ((old == old) | (new == new))).any() for old, new in zip(before, after, strict=True)]
    return bool(other) and bool(torch.stack(other).any())
