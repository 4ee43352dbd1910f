"""Loops as C, for numbers of type REAL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bnbench.native.codegen.allocation import allocate
from bnbench.native.codegen.indexed_values import Dims, loop_order, offset_of, stored_strides
from bnbench.native.codegen.loops import Program, Reducer, Reduction, Store

STARTS: dict[Reducer, str] = {"sum": "0", "amax": "-INFINITY", "amin": "INFINITY"}
STEPS: dict[Reducer, str] = {"sum": "{0} + {1}", "amax": "largest({0}, {1})", "amin": "smallest({0}, {1})"}
"""A running total with one more number."""


@dataclass(frozen=True)
class Function:
    """A function ``void name(const REAL *const *in, REAL *const *out, REAL *scratch)``.

    Attributes:
        source: its definition.
        workspace: numbers in its scratch memory.
    """

    source: str
    workspace: int


def emit(program: Program, name: str) -> Function:
    """A program as a function in C."""
    offsets, workspace = allocate(program.buffers)
    inputs = [f"const {kind} *restrict in{number}" for number, kind in enumerate(program.inputs)]
    outputs = [f"{kind} *restrict out{number}" for number, kind in enumerate(program.outputs)]
    arguments = [f"(const {kind} *)in[{number}]" for number, kind in enumerate(program.inputs)]
    arguments += [f"({kind} *)out[{number}]" for number, kind in enumerate(program.outputs)]
    lines = [f"static void {name}_body({', '.join([*inputs, *outputs, 'REAL *restrict scratch'])}) {{"]
    for buffer, offset in zip(program.buffers, offsets, strict=True):
        lines.append(f"    {buffer.kind} *const {buffer.name} = ({buffer.kind} *)(scratch + {offset});")
    for loops in program.loops:
        lines += _store(loops) if isinstance(loops, Store) else _reduction(loops)
    lines += [
        "}",
        f"void {name}(const REAL *const *in, REAL *const *out, REAL *scratch) {{",
        f"    {name}_body({', '.join([*arguments, 'scratch'])});",
        "}",
        "",
    ]
    return Function("\n".join(lines), workspace)


def _store(loops: Store) -> list[str]:
    shape = loops.value.shape
    index = _index(shape)
    body = f"{loops.pointer}[{offset_of(index, loops.strides)}] = {loops.value.at(index)};"
    return _nest(shape, _order(shape), body)


def _reduction(loops: Reduction) -> list[str]:
    """Totals begin, take in all numbers, and are scaled."""
    total, result, count = loops.total, loops.result, math.prod(loops.shape)
    factor = "" if loops.factor == 1 else f" * ({total.kind}){loops.factor!r}"
    return [
        f"    for (int64_t i = 0; i < {count}; i++) {total.name}[i] = {STARTS[loops.reducer]};",
        *_totals(loops),
        f"    for (int64_t i = 0; i < {count}; i++) {result.name}[i] = (REAL)({total.name}[i]{factor});",
    ]


def _totals(loops: Reduction) -> list[str]:
    """A variable takes the totals of the dimension that is innermost in memory, if it is reduced."""
    shape, step = loops.value.shape, STEPS[loops.reducer]
    order, index = _order(shape), _index(shape)
    places = [i if size > 1 else "0" for i, size in zip(index, loops.shape, strict=True)]
    place = f"{loops.total.name}[{offset_of(places, stored_strides(loops.shape))}]"
    value = loops.value.at(index)
    if not order or loops.shape[order[-1]] > 1:
        return _nest(shape, order, f"{place} = {step.format(place, value)};")
    inner = f"i{order[-1]}"
    pragma = "    #pragma omp simd reduction(+:sum)\n" if loops.reducer == "sum" else ""
    body = (
        f"{{ REAL sum = {STARTS[loops.reducer]};\n{pragma}"
        f"    for (int64_t {inner} = 0; {inner} < {shape[order[-1]]}; {inner}++)"
        f" sum = {step.format('sum', value)};\n    {place} = {step.format(place, 'sum')}; }}"
    )
    return _nest(shape, order[:-1], body)


def _nest(shape: Dims, order: Sequence[int], body: str) -> list[str]:
    loops = [f"    for (int64_t i{dim} = 0; i{dim} < {shape[dim]}; i{dim}++)" for dim in order]
    return [*loops, f"        {body}"]


def _order(shape: Dims) -> list[int]:
    return [dim for dim in loop_order(len(shape)) if shape[dim] > 1]


def _index(shape: Dims) -> list[str]:
    return [f"i{dim}" if size > 1 else "0" for dim, size in enumerate(shape)]
