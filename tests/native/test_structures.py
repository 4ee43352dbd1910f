"""The structures that Python and C share are the same, or nothing is trained with them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable

import pytest
import torch

from bnbench.native import c_compiler, library, structures

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

Fields = list[tuple[str, type]]


def _without(fields: Fields) -> Fields:
    return [field for field in fields if field[0] != "momentum"]


def _with_another(fields: Fields) -> Fields:
    return [*fields, ("another", ctypes.c_int64)]


def _swapped(fields: Fields) -> Fields:
    """Two of the same type: no offset tells it, only the names do."""
    names = {"momentum": "eps", "eps": "momentum"}
    return [(names.get(name, name), kind) for name, kind in fields]


def _narrower(fields: Fields) -> Fields:
    return [(name, ctypes.c_int32 if name == "eps" else kind) for name, kind in fields]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without, r"Layer.momentum is missing there and 8 bytes from byte \d+ in C"),
        (_with_another, r"Layer is \d+ bytes from byte 0 there and \d+ bytes from byte 0 in C"),
        (_swapped, r"Layer.eps is 8 bytes from byte \d+ there and 8 bytes from byte \d+ in C"),
        (_narrower, r"Layer.eps is 4 bytes from byte \d+ there and 8 bytes from byte \d+ in C"),
    ],
)
def test_a_structure_that_differs_is_told(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Fields], Fields], told: str
):
    loaded = library(torch.float32)
    assert loaded is not None
    structures.require_same_layout(loaded)
    fields = change(list(structures.Layer._fields_))
    monkeypatch.setattr(structures, "Layer", type("Layer", (ctypes.Structure,), {"_fields_": fields}))
    with pytest.raises(AssertionError, match=told):
        structures.require_same_layout(loaded)


@pytest.mark.parametrize("name", structures.CONSTANTS)
def test_a_constant_that_differs_is_told(monkeypatch: pytest.MonkeyPatch, name: str):
    loaded, value = library(torch.float64), getattr(structures, name)
    assert loaded is not None
    monkeypatch.setattr(structures, name, value + 1)
    with pytest.raises(AssertionError, match=f"{name} is the number {value + 1} there and the number {value} in C"):
        structures.require_same_layout(loaded)


@pytest.mark.parametrize("name", structures.KINDS)
def test_another_number_of_inputs_is_told(monkeypatch: pytest.MonkeyPatch, name: str):
    """Of each kind, as a new one has one until somebody says otherwise."""
    loaded, kind = library(torch.float64), getattr(structures, name)
    assert loaded is not None
    structures.require_same_layout(loaded)
    monkeypatch.setitem(structures.WAYS, kind, structures.WAYS.get(kind, 1) + 1)
    with pytest.raises(AssertionError, match=f"inputs of {name}"):
        structures.require_same_layout(loaded)


def test_every_constant_is_compared():
    """Those in capitals that are whole numbers."""
    numbers = {
        name for name, value in vars(structures).items() if re.fullmatch("[A-Z_0-9]+", name) and type(value) is int
    }
    assert numbers - {"MOST_ENTRIES"} == set(structures.CONSTANTS)
