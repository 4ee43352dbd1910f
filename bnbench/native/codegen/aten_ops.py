"""Single operations of torch in C, for numbers of type REAL."""

from __future__ import annotations

FUNCTIONS = ("ceil", "cos", "erf", "exp", "expm1", "fabs", "floor", "log", "log1p", "sin", "sqrt", "tanh")
"""Functions of math.h. Those of tgmath.h are macros, and would multiply expressions within expressions."""
PRELUDE = """#include <math.h>
#include <stdint.h>

static inline REAL real_pow(REAL x, REAL y) { return sizeof(REAL) == sizeof(float) ? powf(x, y) : pow(x, y); }
static inline REAL square(REAL x) { return x * x; }
static inline REAL sign(REAL x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static inline REAL largest(REAL x, REAL y) { return x > y || x != x ? x : y; }
static inline REAL smallest(REAL x, REAL y) { return x < y || x != x ? x : y; }
static inline REAL gelu(REAL x) { return x * (REAL)0.5 * (1 + (REAL)erf(x * 0.70710678118654752440)); }
""" + "".join(
    f"static inline REAL real_{name}(REAL x) {{ return sizeof(REAL) == sizeof(float) ? {name}f(x) : {name}(x); }}\n"
    for name in FUNCTIONS
)

OP_TABLE = {
    "abs": "real_fabs({0})",
    "add": "({0} + {1})",
    "bitwise_and": "({0} && {1})",
    "bitwise_not": "(!{0})",
    "bitwise_or": "({0} || {1})",
    "bitwise_xor": "(!{0} != !{1})",
    "ceil": "real_ceil({0})",
    "cos": "real_cos({0})",
    "div": "({0} / {1})",
    "eq": "({0} == {1})",
    "erf": "real_erf({0})",
    "exp": "real_exp({0})",
    "expm1": "real_expm1({0})",
    "floor": "real_floor({0})",
    "gelu": "gelu({0})",
    "ge": "({0} >= {1})",
    "gt": "({0} > {1})",
    "isnan": "({0} != {0})",
    "le": "({0} <= {1})",
    "log": "real_log({0})",
    "log1p": "real_log1p({0})",
    "logical_and": "({0} && {1})",
    "logical_not": "(!{0})",
    "logical_or": "({0} || {1})",
    "lt": "({0} < {1})",
    "maximum": "largest({0}, {1})",
    "minimum": "smallest({0}, {1})",
    "mul": "({0} * {1})",
    "ne": "({0} != {1})",
    "neg": "(-{0})",
    "pow": "real_pow({0}, {1})",
    "reciprocal": "(1 / {0})",
    "relu": "largest({0}, 0)",
    "rsqrt": "(1 / real_sqrt({0}))",
    "sigmoid": "(1 / (1 + real_exp(-{0})))",
    "sign": "sign({0})",
    "sin": "real_sin({0})",
    "sqrt": "real_sqrt({0})",
    "sub": "({0} - {1})",
    "tanh": "real_tanh({0})",
    "where": "({0} ? {1} : {2})",
}
"""Operations on each number, by their name in torch; {0} is the first operand."""
BOOLEAN = {"bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor"}
"""Those of the table that are known for truth values only."""
IDENTITIES = {"alias", "clone", "detach", "lift_fresh_copy", "_to_copy"}
"""Operations that leave all numbers as they are."""
