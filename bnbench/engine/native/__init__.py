"""Training steps of simple networks in C, compiled on the machine: the same numbers up to rounding, in less time.

A lane makes all steps of a block before the next lane does, so that its weights stay in the core's own cache.
"""

from bnbench.engine.native.compilation import compiler, library
from bnbench.engine.native.graph import NotNative
from bnbench.engine.native.guard import Mismatch
from bnbench.engine.native.proof import prove_native
from bnbench.engine.native.steps import NativeSteps

__all__ = ["Mismatch", "NativeSteps", "NotNative", "compiler", "library", "prove_native"]
