"""The check of the documents' links finds each kind of link that leads nowhere."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WHOLE = """# The house

[a file](docs/other.md), [a folder](docs), [a heading](docs/other.md#two-words-and-code), [here](#the-house),
[again](docs/other.md#again-1), [elsewhere](https://example.org/nothing), ![a picture](docs/picture.svg)

| room | what |
|---|---|
| `docs/other.md` | [in a table](docs/other.md) |

```sh
[no link](nowhere.md)
```
"""
OTHER = "# Two words, and `code`\n\n[up](../README.md#the-house)\n\n## Again\n\n## Again\n"


@pytest.fixture
def links(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import links

    yield links
    sys.modules.pop("links", None)


@pytest.fixture
def house(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "bnbench/room").mkdir(parents=True)
    (tmp_path / "bnbench/room/chair.py").touch()
    (tmp_path / "docs/picture.svg").touch()
    (tmp_path / "docs/other.md").write_text(OTHER)
    (tmp_path / "README.md").write_text(WHOLE)
    (tmp_path / "CONTRIBUTING.md").write_text("`room/chair.py` and `conf/norm/<name>.yaml`\n")
    (tmp_path / "bnbench/room/README.md").write_text("`chair.py`\n")
    return tmp_path


def test_links_that_lead_somewhere_are_right(links, house):
    assert links.problems(house) == []


@pytest.mark.parametrize(
    ("document", "text", "problem"),
    [
        ("README.md", "[x](docs/gone.md)", "README.md:3: (docs/gone.md): there is no such file"),
        ("README.md", "![x](gone.png)", "README.md:3: (gone.png): there is no such file"),
        ("README.md", "| a |\n|---|\n| [x](gone) |", "README.md:5: (gone): there is no such file"),
        (
            "README.md",
            "[x](#gone)",
            "README.md:3: (#gone): no heading of README.md has this anchor; there are the-house",
        ),
        ("docs/other.md", "[x](README.md)", "docs/other.md:9: (README.md): there is no such file"),
        ("docs/other.md", "[x](../README.md#gone)", "docs/other.md:9: (../README.md#gone): no heading of README.md"),
        ("docs/other.md", "[x](#again-2)", "docs/other.md:9: (#again-2): no heading of other.md has this anchor"),
        ("CONTRIBUTING.md", "`room/table.py`", "CONTRIBUTING.md:3: `room/table.py`: there is no such path"),
        ("bnbench/room/README.md", "`table.py`", "bnbench/room/README.md:3: `table.py`: there is no such path"),
    ],
)
def test_a_link_that_leads_nowhere_is_told_with_its_line(links, house, document, text, problem):
    path = house / document
    before = path.read_text() if document != "README.md" else "# The house\n"
    path.write_text(f"{before}\n{text}\n")
    (found,) = links.problems(house)
    assert found.startswith(problem)
