"""Graphs of single operations as functions in C, for numbers of type REAL.

A value is an expression of the indices of its dimensions until it is stored. It is stored where it is needed more than
once, or for more numbers than it has, as a mean over the batch is. Images [N, C, H, W] are stored with their channels
last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from bnbench.native.codegen.aten_ops import EACH, FILLED, OF_TRUTHS, SAME
from bnbench.native.codegen.indexed_values import (
    Dims,
    Index,
    Untranslatable,
    Value,
    in_memory,
    literal,
    natural_strides,
    order_of,
    place_of,
    strides_of,
    without,
)

MANY = 512
"""Numbers from which a sum is taken in double."""


@dataclass(frozen=True)
class Function:
    """A function ``void name(const REAL *const *in, REAL *const *out, REAL *scratch)``.

    Attributes:
        source: its definition.
        room: numbers in its scratch memory.
    """

    source: str
    room: int


def translate(graph: fx.Graph, name: str, dtype: torch.dtype) -> Function:
    """A graph of operations on tensors of one type, with its inputs and outputs in order.

    Raises:
        Untranslatable: an operation or a type of numbers is not known.
    """
    return _Translation(dtype).function(graph, name)


class _Translation:
    """Takes one operation after the other."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._types = {dtype, torch.bool, torch.int64}  # the last for counts
        self._dtype = dtype
        self._lines: list[str] = []
        self._room = 0
        self._stored: dict[Value, Value] = {}

    def function(self, graph: fx.Graph, name: str) -> Function:
        known: dict[fx.Node, Any] = {}
        outputs: list[str] = []
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        for number, node in enumerate(inputs):
            known[node] = self._given(number, _tensor(node))
        for node in graph.nodes:
            if node.op == "call_function":
                known[node] = self._made(node, known)
            elif node.op == "output":
                for number, made in enumerate(node.args[0]):
                    outputs.append(_kind(made))
                    self._store(known[made], f"out{number}", strides_of(known[made].shape))
            elif node.op != "placeholder":
                raise Untranslatable(f"{node.op} {node.target}")
        taken = [f"const {_kind(node)} *restrict in{number}" for number, node in enumerate(inputs)]
        made = [f"{kind} *restrict out{number}" for number, kind in enumerate(outputs)]
        given = [f"(const {_kind(node)} *)in[{number}]" for number, node in enumerate(inputs)]
        given += [f"({kind} *)out[{number}]" for number, kind in enumerate(outputs)]
        lines = [
            f"static void {name}_of({', '.join([*taken, *made, 'REAL *restrict scratch'])}) {{",
            *self._lines,
            "}",
            f"void {name}(const REAL *const *in, REAL *const *out, REAL *scratch) {{",
            f"    {name}_of({', '.join([*given, 'scratch'])});",
            "}",
            "",
        ]
        return Function("\n".join(lines), self._room)

    def _given(self, number: int, tensor: torch.Tensor) -> Value:
        shape = tuple(tensor.shape)
        if tensor.dtype == torch.int64:
            return in_memory(f"in{number}", shape, strides_of(shape), "(REAL)")
        if tensor.dtype != self._dtype:
            raise Untranslatable(f"a tensor of {tensor.dtype}")
        return in_memory(f"in{number}", shape, strides_of(shape))

    def _made(self, node: fx.Node, known: dict[fx.Node, Any]) -> Any:
        """What an operation makes; stored if several others take it."""
        given: Any = fx.map_arg((node.args, node.kwargs), lambda other: known[other])
        arguments, named = given
        if getattr(node.target, "__name__", "") == "getitem":
            return arguments[0][arguments[1]]
        made = self._operation(str(node.target).split(".")[1], node, *arguments, **named)
        if isinstance(made, tuple):
            return made
        if _tensor(node).dtype not in self._types:
            raise Untranslatable(f"a tensor of {_tensor(node).dtype}")
        return self._at_hand(made) if len(node.users) > 1 else made

    def _operation(self, name: str, node: fx.Node, *arguments: Any, **named: Any) -> Any:
        first = arguments[0] if arguments else None
        if name in SAME and self._loses_nothing(node):
            return first
        if name == "copy_":  # into what nobody looks at afterwards
            return self._spread(arguments[1], tuple(_tensor(node).shape))
        if name in FILLED:
            value = FILLED[name]
            text = literal(arguments[name != "scalar_tensor"] if value is None else value)
            return Value(tuple(_tensor(node).shape), lambda index: text, free=True)
        if name == "pow" and arguments[1] == 2:
            return self._each("square({0})", node, first)
        if name == "clamp":
            return self._clamped(node, *arguments, **named)
        if name in ("add", "sub") and named.get("alpha", 1) != 1:
            return self._each(f"({{0}} {'+-'[name == 'sub']} {literal(named['alpha'])} * {{1}})", node, *arguments)
        if name in EACH and not set(named) - {"alpha"} and (_tensor(node).dtype == torch.bool or name not in OF_TRUTHS):
            return self._each(EACH[name], node, *arguments)
        if name in ("sum", "mean", "amax", "amin", "var", "var_mean"):
            return self._reduced(name, *arguments, **named)
        return self._seen(name, node, *arguments)

    def _loses_nothing(self, node: fx.Node) -> bool:
        """Whether what an operation makes can hold all values of what it takes."""
        wide = [torch.bool, torch.int64, self._dtype]
        return wide.index(_tensor(node).dtype) >= wide.index(_tensor(node.all_input_nodes[0]).dtype)

    # ---- each number ----

    def _each(self, template: str, node: fx.Node, *operands: Any) -> Value:
        shape = tuple(_tensor(node).shape)
        parts = [self._spread(operand, shape) for operand in operands]
        return Value(shape, lambda index: template.format(*(part.at(index) for part in parts)))

    def _clamped(self, node: fx.Node, x: Value, least: Any = None, most: Any = None, **named: Any) -> Value:
        least, most = named.get("min", least), named.get("max", most)
        x = x if least is None else self._each("largest({0}, {1})", node, x, least)
        return x if most is None else self._each("smallest({0}, {1})", node, x, most)

    def _spread(self, operand: Value | float, shape: Dims) -> Value:
        """A tensor or number as a tensor of a shape."""
        if not isinstance(operand, Value):
            text = literal(operand)
            return Value(shape, lambda index: text, free=True)
        value = self._at_hand(operand) if operand.count < math.prod(shape) else operand
        first = len(shape) - len(value.shape)

        def at(index: Index) -> str:
            return value.at([i if size > 1 else "0" for size, i in zip(value.shape, index[first:], strict=True)])

        return Value(shape, at, value.free)

    # ---- sums ----

    def _reduced(
        self, name: str, x: Value, dims: Sequence[int] | None = None, keep: bool = False, **named: Any
    ) -> Value | tuple[Value, Value]:
        over = [dim % len(x.shape) for dim in (dims or range(len(x.shape)))]
        keep = bool(named.get("keepdim", keep))
        count = math.prod(x.shape[dim] for dim in over)
        if name in ("amax", "amin"):
            return without(self._folded(x, over, name, 1), over, keep)
        if name in ("sum", "mean"):
            return without(self._folded(x, over, "sum", 1 / count if name == "mean" else 1), over, keep)
        x = self._at_hand(x)
        mean = self._folded(x, over, "sum", 1 / count)
        centered = self._spread(mean, x.shape)
        squares = Value(x.shape, lambda index: f"square({x.at(index)} - {centered.at(index)})")
        correction = named.get("correction", 1)
        share = 1 / (count - (1 if correction is None else correction))
        var = without(self._folded(squares, over, "sum", share), over, keep)
        return var if name == "var" else (var, without(mean, over, keep))

    def _folded(self, x: Value, over: Sequence[int], name: str, factor: float) -> Value:
        """A sum or extreme over dimensions, which stay with a size of 1."""
        shape = tuple(1 if dim in over else size for dim, size in enumerate(x.shape))
        strides, count = strides_of(shape), math.prod(shape)
        wide = name == "sum" and x.count // count > MANY
        kind, start = "double" if wide else "REAL", {"sum": "0", "amax": "-INFINITY", "amin": "INFINITY"}[name]
        total = self._room_for(count * (2 if wide else 1))
        total = f"(({kind} *)({total}))"
        self._lines.append(f"    for (int64_t i = 0; i < {count}; i++) {total}[i] = {start};")
        order = [dim for dim in order_of(len(x.shape)) if x.shape[dim] > 1]
        index = [f"i{dim}" if size > 1 else "0" for dim, size in enumerate(x.shape)]
        place = f"{total}[{place_of([i if shape[dim] > 1 else '0' for dim, i in enumerate(index)], strides)}]"
        if order and order[-1] in over:
            inner = f"i{order[-1]}"
            pragma = "    #pragma omp simd reduction(+:sum)\n" if name == "sum" else ""
            part = (
                f"{{ REAL sum = {start};\n{pragma}"
                f"    for (int64_t {inner} = 0; {inner} < {x.shape[order[-1]]}; {inner}++)"
                f" sum = {_taken(name, 'sum', x.at(index))};\n    {place} = {_taken(name, place, 'sum')}; }}"
            )
            self._nest(x.shape, order[:-1], part)
        else:
            self._nest(x.shape, order, f"{place} = {_taken(name, place, x.at(index))};")
        made = self._room_for(count)
        scaled = f"{total}[i]" if factor == 1 else f"{total}[i] * ({kind}){factor!r}"
        self._lines.append(f"    for (int64_t i = 0; i < {count}; i++) ({made})[i] = (REAL)({scaled});")
        return in_memory(f"({made})", shape, strides)

    # ---- other views of the same numbers ----

    def _seen(self, name: str, node: fx.Node, x: Any = None, *arguments: Any) -> Value:
        if not isinstance(x, Value):
            raise Untranslatable(str(node.target))
        shape, rank = tuple(_tensor(node).shape), len(x.shape)
        if (
            name == "as_strided"
            and arguments == (list(shape), list(natural_strides(shape)))
            and x.count == math.prod(shape)
        ):
            name = "view"  # of a tensor that is contiguous, as all are that are not views
        if name in ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"):
            return self._reshaped(x, shape)
        if name == "expand":
            return self._spread(x, shape)
        if name in ("permute", "transpose", "t"):
            order = list(range(rank))
            if name == "permute":
                order = [dim % rank for dim in arguments[0]]
            else:
                one, other = arguments if arguments else (0, 1)
                order[one], order[other] = order[other], order[one]
            places = [order.index(dim) for dim in range(rank)]
            return Value(shape, lambda index: x.at([index[place] for place in places]), x.free)
        if name == "select":
            dim, at = arguments[0] % rank, arguments[1] % x.shape[arguments[0]]
            return Value(shape, lambda index: x.at([*index[:dim], str(at), *index[dim:]]), x.free)
        raise Untranslatable(str(node.target))

    def _reshaped(self, x: Value, shape: Dims) -> Value:
        sizes = [size for size in x.shape if size > 1]
        if sizes == [size for size in shape if size > 1]:  # only dimensions of size 1 come and go
            places = [dim for dim, size in enumerate(shape) if size > 1]

            def at(index: Index) -> str:
                left = iter(places)
                return x.at([index[next(left)] if size > 1 else "0" for size in x.shape])

            return Value(shape, at, x.free)
        if x.memory is None or x.memory[1] != natural_strides(x.shape):
            made = self._room_for(x.count)
            self._store(x, made, natural_strides(x.shape))
            return in_memory(f"({made})", shape, natural_strides(shape))
        return in_memory(x.memory[0], shape, natural_strides(shape))

    # ---- memory ----

    def _at_hand(self, x: Value) -> Value:
        """A value that costs nothing."""
        if x.free:
            return x
        if x not in self._stored:
            made = self._room_for(x.count)
            self._store(x, made, strides_of(x.shape))
            self._stored[x] = in_memory(f"({made})", x.shape, strides_of(x.shape))
        return self._stored[x]

    def _room_for(self, count: int) -> str:
        place, self._room = self._room, self._room + (count + 15) // 16 * 16
        return f"scratch + {place}"

    def _store(self, x: Value, pointer: str, strides: Dims) -> None:
        order = [dim for dim in order_of(len(x.shape)) if x.shape[dim] > 1]
        index = [f"i{dim}" if size > 1 else "0" for dim, size in enumerate(x.shape)]
        self._nest(x.shape, order, f"({pointer})[{place_of(index, strides)}] = {x.at(index)};")

    def _nest(self, shape: Dims, order: Sequence[int], body: str) -> None:
        for dim in order:
            self._lines.append(f"    for (int64_t i{dim} = 0; i{dim} < {shape[dim]}; i{dim}++)")
        self._lines.append(f"        {body}")


def _tensor(node: fx.Node) -> torch.Tensor:
    found: torch.Tensor = node.meta["val"]
    return found


def _kind(node: fx.Node) -> str:
    return "int64_t" if _tensor(node).dtype == torch.int64 else "REAL"


def _taken(name: str, total: str, x: str) -> str:
    """A running total with one more number."""
    return f"{total} + {x}" if name == "sum" else f"{'largest' if name == 'amax' else 'smallest'}({total}, {x})"
