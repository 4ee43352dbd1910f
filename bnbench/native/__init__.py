"""Training steps in C, compiled on the machine: the same numbers up to rounding, in less time.

A lane makes all steps of a block before the next lane does, so that its weights stay in the core's own cache.
"""

from bnbench.native.compiler import c_compiler, can_compile, library, may_compile, only_loaded
from bnbench.native.graph import NotNative, NotReady
from bnbench.native.guard import Mismatch
from bnbench.native.predictions import predictions_of
from bnbench.native.proof import prove_native
from bnbench.native.steps import NativeSteps
from bnbench.native.translation import translate_ahead

__all__ = [
    "Mismatch",
    "NativeSteps",
    "NotNative",
    "NotReady",
    "c_compiler",
    "can_compile",
    "library",
    "may_compile",
    "only_loaded",
    "predictions_of",
    "prove_native",
    "translate_ahead",
]
