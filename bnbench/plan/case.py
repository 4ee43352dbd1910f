"""A kind of run as it is proved and measured before training, and which errors of that are its own."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from types import FrameType

import torch
from torch import nn

from bnbench.components import Components
from bnbench.data import Data, order_of
from bnbench.errors import BnbenchError, message_of
from bnbench.foreign import is_foreign
from bnbench.native import Mismatch, NotNative
from bnbench.spec import RunSpec
from bnbench.training.randomness import Drawn
from bnbench.training.timeline import Timeline, timeline_of

CPU = torch.device("cpu")
TORCH_NO_MEMORY = "can't allocate memory"
REFUSALS = (BnbenchError, Drawn, Mismatch, NotNative)
"""Errors by which a built-in component, or an engine, says that it cannot do what is asked."""


@dataclass(frozen=True, eq=False)
class Case:
    """A spec with what its network is built from.

    Attributes:
        data: of the spec, on the CPU.
        device: where it will be trained.
    """

    spec: RunSpec
    components: Components
    data: Data
    device: torch.device = CPU

    def build(self, seed: int | None = None) -> nn.Module:
        """The initialized network, on the CPU; for another seed than the spec's if one is given."""
        spec = self.spec if seed is None else replace(self.spec, seed=seed)
        return self.components.build(spec, self.data)

    @property
    def timeline(self) -> Timeline:
        """The steps of a run."""
        return timeline_of(self.spec, order_of(self.spec, self.data.train))


def is_its_own(error: BaseException, spec: RunSpec) -> bool:
    """True for an error of a spec's run: of a user's code, of torch when that code calls it, a refusal, or of memory.

    Networks of torchvision count as a user's, as some fail on small images. Any other error is a bug of this program.
    """
    if isinstance(error, REFUSALS) or lacks_memory(error) or is_foreign(error):
        return True
    packages = [_package(frame) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return "torchvision" in packages or (spec.plugin is not None and packages[-1:] != ["bnbench"])


def lacks_memory(error: BaseException) -> bool:
    """True for each way in which Python and torch say that memory is lacking."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and TORCH_NO_MEMORY in message_of(error)


def _package(frame: FrameType) -> str:
    """The package whose code a frame executes."""
    return str(frame.f_globals.get("__name__")).partition(".")[0]
