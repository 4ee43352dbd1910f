"""The content of all places that can be reached from a layer in Python.

A layer's own attributes are followed into lists, dicts and objects; its class, if it is a user's, into class
attributes, closures and the globals that its functions name.
"""

from __future__ import annotations

import array
import functools
import hashlib
import itertools
import logging
import random
import re
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.plugin_modules import PROGRAM_PACKAGES

MOST_PLACES = 100_000
"""Places that are looked at before a layer's state counts as one that cannot be compared."""

LONG = 100
"""Values from which a list is noted as a whole."""

STATELESS_PACKAGES = PROGRAM_PACKAGES - {"__main__"} | {"numpy"}
"""Packages whose classes and functions keep nothing of a layer: numpy's as well, but not those of a script."""
CHANGING = {"random", "time", "datetime", "secrets", "uuid"}
"""Modules among them whose functions give another answer at another time."""
KEEPING = {"os", "sys", "builtins", "gc", "threading", "multiprocessing", "socket", "tempfile", "shelve", "sqlite3"}
"""Modules among them by which a layer may keep something where it cannot be seen, as in a file or the environment."""
KEEPING_FUNCTIONS = {"open", "input", "eval", "exec", "globals", "setattr", "__import__"}
"""Built-in functions of that kind."""

PLAIN = (
    *(types.NoneType, bool, int, float, complex, str, bytes, range, slice, type(...), type(NotImplemented)),
    *(PurePath, re.Pattern, Enum, Decimal, Fraction, date, time, timedelta, tzinfo),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size, torch.finfo, torch.iinfo),
    *(np.generic, np.dtype, logging.Logger),
)
"""Types whose objects never change, and say by ``repr`` what they are."""
BUILT_IN = (
    *(types.BuiltinFunctionType, types.MethodWrapperType, types.MethodDescriptorType, types.WrapperDescriptorType),
    *(types.ClassMethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, np.ufunc),
)
CODE = (
    *(types.CodeType, types.FunctionType, types.MethodType, functools.partial, type, types.CellType, types.ModuleType),
    *(property, functools.cached_property, staticmethod, classmethod, torch.jit.ScriptFunction),
)
_HEAP_TYPE = 1 << 9
"""Set in the flags of a class that is written in Python; others may hold what cannot be seen."""
_UNSEEN = {"__init__", "__new__", "__repr__", "__init_subclass__", "__set_name__", "extra_repr", "reset_parameters"}
"""Methods that no step calls."""
_OF_TORCH = {
    *("_parameters", "_buffers", "_modules", "training", "_non_persistent_buffers_set", "_is_full_backward_hook"),
    *(name for name in vars(nn.Identity()) if name.endswith("_hooks") or "_hooks_" in name),
}
"""Attributes of a module that torch itself keeps."""


@dataclass(frozen=True, eq=False)
class Held:
    """A tensor outside parameters and buffers; equal if it is the same one, and nobody has written to it."""

    tensor: Tensor
    version: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self.tensor is other.tensor and self.version == other.version

    def stable(self) -> Content:
        """The content in words that are the same in every process."""
        tensor = self.tensor.detach().cpu().contiguous()
        return str(tensor.dtype), tuple(tensor.shape), _digest(tensor.flatten().view(torch.uint8).numpy().tobytes())


@dataclass(frozen=True)
class Incomparable:
    """An object whose content cannot be told.

    Attributes:
        kind: a word for the object.
        stateless: whether it is code that is taken to keep nothing, as functions of another package.
    """

    kind: str
    stateless: bool = False


Content = object
"""The content of a place: plain values, :class:`Held` or :class:`Incomparable`."""


def own_attributes(layer: nn.Module) -> dict[str, object]:
    """The plain attributes of a layer: without parameters, buffers, layers within, and what torch keeps."""
    return {name: value for name, value in vars(layer).items() if name not in _OF_TORCH}


@dataclass
class Walk:
    """Goes through objects once each, and notes what it finds."""

    places: dict[str, Content] = field(default_factory=dict)
    common: set[str] = field(default_factory=set)
    _seen: dict[int, tuple[str, int]] = field(default_factory=dict)
    _shared: set[str] = field(default_factory=set)
    _kept: list[object] = field(default_factory=list)
    _layer: int = -1
    _together: bool = False

    def layer(self, place: str, layer: nn.Module) -> None:
        """A layer's own attributes, then its class."""
        self._layer += 1
        for name, value in own_attributes(layer).items():
            self.visit(f"{place}.{name}", value)
        for name, buffer in layer._buffers.items():
            self._note(f"{place}.{name}", None if buffer is None else Held(buffer, 0))
        self.visit(type(layer).__name__, type(layer))

    def visit(self, place: str, value: Any) -> None:
        """Note an object's content, and go on with what it holds."""
        try:
            self._visit(place, value)
        except ReferenceError:
            self._note(place, Incomparable("a reference to an object that is gone"))
        except (Exception, SystemExit) as error:  # a user's object may raise anything when it is looked at
            if is_bug(error) and not belongs_to_user(type(value)):
                raise
            self._note(place, Incomparable(f"{type(value).__name__}, which raised {type(error).__name__}"))

    def _visit(self, place: str, value: Any) -> None:
        if len(self.places) > MOST_PLACES:
            self._note("all", Incomparable("too much to compare"))
        elif isinstance(value, PLAIN):
            self._note(place, (type(value).__name__, value if isinstance(value, str | bytes) else repr(value)))
        elif isinstance(value, BUILT_IN):
            self._built_in(place, value)
        elif id(value) in self._seen:
            first, layer = self._seen[id(value)]
            self._note(place, ("as", first))
            if layer != self._layer and first not in self._shared:
                self._shared.add(first)
                self.common |= {path for path in self.places if path.startswith(first)}
        else:
            self._seen[id(value)] = place, self._layer
            self._kept.append(value)  # so that its id stays its own
            self._content(place, value)

    def _content(self, place: str, value: Any) -> None:
        match value:
            case Tensor():
                self._note(place, Held(value, 0 if value.is_inference() else value._version))
            case np.ndarray() if value.dtype != object:
                self._note(place, ("array", value.dtype.str, value.shape, _digest(value.tobytes())))
            case list() | tuple() if len(value) > LONG and all(isinstance(item, PLAIN) for item in value):
                self._note(place, (type(value).__name__, _digest(repr(value).encode(errors="surrogateescape"))))
            case list() | tuple() | deque():
                self._note(place, (type(value).__name__, len(value)))
                self._items(place, enumerate(value))
                self._attributes(place, value)
            case dict() | types.MappingProxyType():
                self._note(place, (type(value).__name__, [repr(key) for key in value]))
                self._items(place, ((repr(key), item) for key, item in value.items()))
                self._attributes(place, value)
            case set() | frozenset() if all(isinstance(item, PLAIN) for item in value):
                self._note(place, (type(value).__name__, sorted(map(repr, value))))
            case bytearray() | array.array():
                self._note(place, (type(value).__name__, bytes(value)))
            case torch.Generator() | random.Random() | np.random.Generator() | np.random.RandomState():
                self._note(place, _state(value))
            case itertools.count():
                self._note(place, ("count", repr(value)))
            case _ if isinstance(value, CODE):
                self._code(place, value)
            case nn.Module():
                self._note(place, type(value).__name__)
                self._items(place, own_attributes(value).items())
                self._items(place, {**value._parameters, **value._buffers, **value._modules}.items())
                self._class(value)
            case _ if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
                self._note(place, ("cache", value.cache_info().currsize))
                self.visit(f"{place}.function", value.__wrapped__)
            case _:
                self._instance(place, value)

    def _instance(self, place: str, value: Any) -> None:
        """An object of any other class: its attributes, if these are all there is to it."""
        kind = type(value)
        slots = [name for base in kind.__mro__ for name in _names(base.__dict__.get("__slots__", ()))]
        empty = not slots and not hasattr(value, "__dict__")
        if empty or isinstance(value, Iterator) or not all(map(_is_transparent, kind.__mro__)):
            self._note(place, Incomparable(kind.__name__))
            return
        self._note(place, kind.__name__)
        self._items(place, ((name, getattr(value, name)) for name in slots if hasattr(value, name)))
        self._attributes(place, value)
        self._class(value)

    def _attributes(self, place: str, value: Any) -> None:
        self._items(place, getattr(value, "__dict__", {}).items())

    def _class(self, value: Any) -> None:
        self.visit(type(value).__name__, type(value))

    def _items(self, place: str, items: Iterable[tuple[object, Any]]) -> None:
        for name, item in list(items):
            self.visit(f"{place}.{name}", item)

    def _code(self, place: str, value: Any) -> None:
        """Functions and classes: what they are, and what a user's hold and name."""
        match value:
            case types.MethodType():
                self._note(place, "method")
                self._items(place, [("self", value.__self__), ("function", value.__func__)])
            case functools.partial():
                self._note(place, "partial")
                self._items(place, [("function", value.func), ("args", value.args), ("keywords", value.keywords)])
            case types.FunctionType():
                self._note(place, (value.__module__, value.__qualname__, _bytecode(value.__code__)))
                if belongs_to_user(value):
                    with self._in_common():  # a copy of a function has the same closure
                        self._function(place, value)
            case type():
                self._note(place, (value.__module__, value.__qualname__))
                for base in value.__mro__ if belongs_to_user(value) else ():
                    if belongs_to_user(base):
                        self._foreign_class(base)
            case property() | functools.cached_property() | staticmethod() | classmethod():
                self._note(place, type(value).__name__)
                parts = ("fget", "fset", "fdel", "func", "__func__")
                self._items(place, ((name, getattr(value, name)) for name in parts if hasattr(value, name)))
            case types.CellType():
                self._note(place, "cell")
                self._items(place, [("cell", value.cell_contents)] if _filled(value) else [])
            case torch.jit.ScriptFunction():
                self._note(place, Incomparable("compiled function", stateless=True))
            case types.ModuleType():
                self._note(place, Incomparable(f"module {value.__name__}", stateless=True))

    def _foreign_class(self, kind: type) -> None:
        with self._in_common():
            for name, value in vars(kind).items():
                if name not in _UNSEEN and (not name.startswith("__") or callable(value)):
                    self.visit(f"class {kind.__name__}.{name}", value)

    def _function(self, place: str, function: types.FunctionType) -> None:
        """Visit all that outlives a call: defaults, closure, attributes, and the globals that the code names."""
        self._items(f"{place} default", enumerate(function.__defaults__ or ()))
        self._items(f"{place} default", (function.__kwdefaults__ or {}).items())
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if _filled(cell):
                self.visit(f"{place} closure {name}", cell.cell_contents)
        self._items(place, vars(function).items())
        names = _global_names(function.__code__)
        for name in sorted(names):
            if name in function.__globals__:
                self._global(f"global {name}", function.__globals__[name], names)
            elif name in KEEPING_FUNCTIONS:
                self._note(f"{place} calls {name}", Incomparable("a function by which it may keep anything"))

    def _global(self, place: str, value: Any, names: set[str]) -> None:
        """A global variable; of a module what its user names of it."""
        if not isinstance(value, types.ModuleType):
            self.visit(place, value)
            return
        root = value.__name__.partition(".")[0]
        drawing = root == "numpy" and "random" in (*names, *value.__name__.split("."))
        if root in CHANGING | KEEPING or drawing:
            self._note(place, Incomparable(f"module {value.__name__}", stateless=root not in KEEPING))
        elif root not in STATELESS_PACKAGES:
            inside = {name: vars(value)[name] for name in sorted(names) if name in vars(value)}
            for name, item in inside.items():
                self.visit(f"{place}.{name}", item)

    def _built_in(self, place: str, value: Any) -> None:
        """A function in C, which is bound to an object or belongs to a module."""
        owner = getattr(value, "__self__", None)
        module = (getattr(value, "__module__", None) or "").partition(".")[0]
        if module in CHANGING | KEEPING - {"builtins"} or (module and module.lstrip("_") not in STATELESS_PACKAGES):
            self._note(place, Incomparable(f"function of {module}", stateless=module not in KEEPING))
            return
        self._note(place, ("built in", getattr(value, "__name__", repr(value))))
        if owner is not None and not isinstance(owner, types.ModuleType | type):
            with self._in_common():  # a copy of a bound function is bound to the same object
                self.visit(f"{place} of", owner)

    @contextmanager
    def _in_common(self) -> Iterator[None]:
        """Whatever is noted in a block belongs to several layers."""
        together, self._together = self._together, True
        yield
        self._together = together

    def _note(self, place: str, content: Content) -> None:
        while place in self.places:
            place += "'"
        self.places[place] = content
        if self._together:
            self.common.add(place)


def belongs_to_user(value: Any) -> bool:
    """True if a class or function is a user's."""
    return str(getattr(value, "__module__", "")).partition(".")[0].lstrip("_") not in STATELESS_PACKAGES


def _is_transparent(kind: type) -> bool:
    """True if attributes are all that an object of a class holds: a class in C may hold more."""
    return bool(kind.__flags__ & _HEAP_TYPE) or kind in (object, types.SimpleNamespace)


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names(slots: str | Iterable[str]) -> Sequence[str]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _global_names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes that code uses, that of functions within included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {*code.co_names, *itertools.chain.from_iterable(map(_global_names, inner))}


def _bytecode(code: types.CodeType) -> str:
    """A digest of the work of code, without its place in a file."""
    constants = [_bytecode(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    return _digest(repr((code.co_code, code.co_names, code.co_varnames, constants)).encode(errors="surrogateescape"))


def _state(generator: Any) -> Content:
    """The state of a generator of random numbers."""
    match generator:
        case torch.Generator():
            return "generator", bytes(generator.get_state().numpy())
        case random.Random():
            return "random", repr(generator.getstate())
        case np.random.Generator():
            return "random", _whole(generator.bit_generator.state)
        case _:
            return "random", _whole(generator.get_state(legacy=False))


def _whole(state: Any) -> str:
    """A generator's state in words; numpy's own words leave out numbers of long arrays."""
    with np.printoptions(threshold=sys.maxsize):
        return repr(state)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
