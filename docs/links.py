"""Check the links of the documents without a network: ``python docs/links.py``.

A relative link must lead to a file or folder, and its anchor to a heading. A path in code marks of a document for
contributors must be there as well, so that a map of the house shows today's rooms.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("*.md", "docs/*.md", "benchmarks/*.md", "results/*.md", "bnbench/*/README.md")
MAPS = ("CONTRIBUTING.md", "bnbench/*/README.md")
"""Documents for contributors."""
FOREIGN = re.compile(r"[a-z]+:")
"""A link to elsewhere, such as ``https:``."""
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|c|h|json|yaml|md|txt|toml)|[\w.-]+(?:/[\w.-]+)+/?")
"""A path: a file's name, or a slash inside."""


def problems(root: Path) -> list[str]:
    """The links and paths that lead nowhere, a sentence each with the document and the line."""
    documents = sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)})
    maps = {path for pattern in MAPS for path in root.glob(pattern)}
    return [
        f"{path.relative_to(root)}:{line}: {problem}"
        for path in documents
        for line, problem in _problems(root, path, path in maps)
    ]


def _problems(root: Path, document: Path, is_map: bool) -> Iterator[tuple[int, str]]:
    for line, token in _tokens(document):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if target and not FOREIGN.match(target) and (problem := _link_problem(document, target)):
            yield line, problem
        if is_map and token.type == "code_inline" and FILE.fullmatch(token.content):
            package = document.parent if document.parent != root else root / "bnbench"
            exact = (root / token.content, root / "bnbench" / token.content)
            if not any(path.exists() for path in exact) and not any(package.rglob(token.content)):
                yield line, f"`{token.content}`: there is no such path; write that of a file that is there"


def _link_problem(document: Path, target: str) -> str | None:
    name, _, anchor = target.partition("#")
    path = document.parent / unquote(name) if name else document
    if not path.exists():
        return f"({target}): there is no such file; link to one that is there"
    if anchor and anchor not in (known := list(_anchors(path))):
        return f"({target}): no heading of {path.name} has this anchor; there are {', '.join(known)}"
    return None


def _tokens(document: Path) -> Iterator[tuple[int, Token]]:
    """All tokens inside the paragraphs, headings and cells of a document, with the line on which these begin."""
    for block in _parse(document):
        for token in block.children or ():
            yield (block.map or [0])[0] + 1, token


def _anchors(document: Path) -> Iterator[str]:
    """The anchors of a document's headings as GitHub forms them; equal ones are numbered."""
    counts: dict[str, int] = {}
    blocks = _parse(document) if document.suffix == ".md" else []
    for before, block in pairwise(blocks):
        if before.type == "heading_open":
            text = "".join(token.content for token in block.children or ())
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            yield f"{anchor}-{counts[anchor]}" if anchor in counts else anchor
            counts[anchor] = counts.get(anchor, 0) + 1


def _parse(document: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(document.read_text(encoding="utf-8"))


if __name__ == "__main__":
    wrong = problems(ROOT)
    print("\n".join(wrong) or "all links lead somewhere")
    sys.exit(bool(wrong))
