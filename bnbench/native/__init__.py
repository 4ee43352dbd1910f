"""Training steps of simple networks in C, compiled on the machine: the same numbers up to rounding, in less time.

A lane makes all steps of a block before the next lane does, so that its weights stay in the core's own cache.
"""

from bnbench.native.compiler import c_compiler, library
from bnbench.native.graph import NotNative
from bnbench.native.guard import Mismatch
from bnbench.native.proof import prove_native
from bnbench.native.steps import NativeSteps

__all__ = ["Mismatch", "NativeSteps", "NotNative", "c_compiler", "library", "prove_native"]
