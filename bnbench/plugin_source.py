"""The source of a plugin: read once, carried to every process that runs it, and known by its syntax."""

from __future__ import annotations

import ast
import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Plugin:
    """A plugin as it was read, which is what runs, whatever becomes of its files.

    Attributes:
        file: where it was read.
        source: what the file held.
        beside: by file, what the modules beside it held.
        source_hash: see :func:`source_hash`.
    """

    file: Path
    source: bytes = field(repr=False)
    beside: Mapping[Path, bytes] = field(repr=False)
    source_hash: str


def source_hash(plugin: Path, source: bytes, beside: Mapping[Path, bytes]) -> str:
    """SHA-256 of the syntax of a plugin and of the modules beside it, whose names count as well.

    Comments, formatting and docstrings change nothing; any other edit does, the name of a variable included.
    """
    digest = hashlib.sha256(_syntax(source))
    for path, helper in sorted(beside.items()):
        syntax = _syntax(helper)
        name = os.fsencode(path.relative_to(plugin.parent).as_posix())
        digest.update(b"\0%s\0%d\0" % (name, len(syntax)))
        digest.update(syntax)
    return digest.hexdigest()


def parsed(source: bytes) -> ast.Module | None:
    """The syntax tree of a source; None if it is no Python. What Python warns of, it tells where the code is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _syntax(source: bytes) -> bytes:
    """The syntax tree as text without positions, equal for all versions of Python; what is no Python as it is.

    Fields that hold nothing are left out, as a newer Python may have more of them.
    """
    tree = parsed(source)
    if tree is None:
        return source
    parts: list[str] = []
    waiting: list[Any] = [tree]
    while waiting:  # a long chain of operations is too deep for recursion
        match waiting.pop():
            case ast.Constant(value=value):
                parts.append(f"{type(value).__name__} {hex(value) if isinstance(value, int) else ascii(value)}")
            case ast.AST() as node:
                fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
                parts.append(f"{type(node).__name__}({','.join(name for name, _ in fields)})")
                waiting += [value for _, value in reversed(fields)]
            case list() as nodes:
                statements = [node for node in nodes if not _does_nothing(node)]
                parts.append(f"[{len(statements)}]")
                waiting += reversed(statements)
            case value:
                parts.append(ascii(value))
    return "\n".join(parts).encode()


def _does_nothing(node: Any) -> bool:
    """True for a docstring or another mere constant, and for a statement in the place of one."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
