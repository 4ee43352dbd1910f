"""Probes look inside training: pure functions of a network at a pause. What each measures is in docs/probes.md."""

from bnbench.probes.pause import Pause, Value
from bnbench.probes.registry import PROBES, take, take_interleaved

__all__ = ["PROBES", "Pause", "Value", "take", "take_interleaved"]
