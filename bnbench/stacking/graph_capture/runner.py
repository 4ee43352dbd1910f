"""The steps of a stack between two pauses: a few as they come, then, where there is a recorder, as a recording.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps of a block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from bnbench.stacking import Folded, set_streams, streams_of
from bnbench.stacking.graph_capture.captured_predictions import RecordedPredictions, is_recordable
from bnbench.stacking.graph_capture.captured_step import Recorder, Recording, Refusal, attempted
from bnbench.stacking.step import LaneStep
from bnbench.training.module_state import PythonState, changed, python_state
from bnbench.training.randomness import GlobalStream

WARM_UP = 3
"""Steps of a size of batch that are made as they come, before one is recorded."""


class LaneSteps:
    """Runs blocks of steps.

    A step is recorded once for each size of batch. What cannot be recorded is told once, and every step is then made
    as it comes.

    Args:
        step: one step.
        recorder: None records nothing.
        longest: the most steps of a block.
        image: C, H, W.
        classes: O.
        tell: is told why nothing is recorded although there is a recorder.
    """

    def __init__(
        self,
        step: LaneStep,
        recorder: Recorder | None,
        longest: int,
        image: tuple[int, int, int],
        classes: int,
        tell: Callable[[str], None],
    ) -> None:
        self._recorder, self._records = recorder, recorder is not None
        self._step, self._longest, self._image, self._classes, self._tell = step, longest, image, classes, tell
        self._steps_by_size: Counter[int] = Counter()
        self._recordings: dict[int, Recording] = {}
        self._state: PythonState | None = None
        self._predictions: RecordedPredictions | None = None
        self._predicts = True

    def run(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps with x [S, M, C, H, W], y [S, K, N], lr [S, K, 1]: losses [S, M] and logits [S, M, O]."""
        if self._recorder is None:
            return self._step.run_block(x_SMCHW, y_SKN, lr_SK1)
        block, size = (x_SMCHW, y_SKN, lr_SK1), y_SKN.shape[2]
        early = max(0, WARM_UP - self._steps_by_size[size])
        self._steps_by_size[size] += len(y_SKN)
        with self._recorder.stream():
            first = zip(*(part[:early] for part in block), strict=True)
            answers = [self._warm_up(self._recorder, *inputs) for inputs in first]
            if len(y_SKN) > early:
                rest = [part[early:] for part in block]
                answers.append(self._runner(size, block).run_block(*rest))
            losses, logits = zip(*answers, strict=True)
            return torch.cat(losses), torch.cat(logits)

    def select(self, network: Folded, longest: int) -> None:
        """Go on with some lanes only, which are this network."""
        self._step.network, self._longest, self._state = network, longest, None
        self._steps_by_size.clear()
        self._recordings.clear()
        self._predictions = None

    def settle(self) -> None:
        """Nothing is ever known against these steps."""

    @property
    def is_settled(self) -> bool:
        """Nothing is ever known against these steps."""
        return True

    @property
    def predictions(self) -> RecordedPredictions | None:
        """Recorded ones once steps are recorded; None where the network itself is evaluated."""
        network, spec = self._step.network, self._step.spec
        if not self._recordings or self._recorder is None or not self._predicts:
            return None
        if self._predictions is None:
            self._predicts = is_recordable(spec, network, self._image)
            if self._predicts:
                self._predictions = RecordedPredictions(spec, network, self._recorder, self._give_up_predictions)
        return self._predictions

    def _warm_up(self, recorder: Recorder, x_MCHW: Tensor, y_KN: Tensor, lr_K1: Tensor) -> tuple[Tensor, Tensor]:
        """One step as it comes, watching what it changes in Python; losses [1, M] and logits [1, M, O]."""
        with recorder.rehearsal() as reasons:
            loss_M, logits_MO = self._step.run(x_MCHW, y_KN, lr_K1)
        before, self._state = self._state, python_state(self._step.network.network)
        name = None if before is None else changed(before, self._state)
        if name is not None:
            reasons.append(f"{name} changes from step to step and is no tensor that stays")
        if reasons and before is not None:
            self._give_up(reasons[0])
        return loss_M[None], logits_MO[None]

    def _runner(self, size: int, block: tuple[Tensor, Tensor, Tensor]) -> Recording | LaneStep:
        """The recording for a size of batch, made if need be; the step itself if it cannot be recorded."""
        if size not in self._recordings and self._recorder is not None and self._records:
            self._record(size, block, self._recorder)
        return self._recordings.get(size, self._step)

    def _record(self, size: int, block: tuple[Tensor, Tensor, Tensor], recorder: Recorder) -> None:
        network = self._step.network
        streams = streams_of(network)
        if any(isinstance(stream, GlobalStream) and stream.drawn for stream in streams or ()):
            self._give_up("a layer draws random numbers")
            return
        set_streams(network, None)  # nobody draws, and the state of a GPU's generator cannot be set in a recording
        made = attempted(lambda: Recording(self._step, recorder, block, self._longest, self._classes))
        if isinstance(made, Refusal):
            set_streams(network, streams)
            self._give_up(made.reason)
        else:
            self._recordings[size] = made

    def _give_up_predictions(self, reason: str) -> None:
        self._predicts, self._predictions = False, None
        self._tell(f"evaluations are not recorded, which is slower: {reason}")

    def _give_up(self, reason: str) -> None:
        if self._records:
            self._records, self._predictions = False, None
            self._recordings.clear()
            self._tell(f"steps are not recorded, which is slower: {reason}")
