"""The pictures in the README are what its first two commands print, and the page of their report."""

import re
import sys
from pathlib import Path

import pytest

from tests.products import long

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = r"[-+]?\d+(?:\.\d+)?"


@pytest.fixture(scope="module")
def picture():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        import picture

        yield picture
        sys.modules.pop("picture", None)


def cells(text: str) -> dict[str, list[tuple[float, float]]]:
    """By norm, mean and deviation of the cells of the table by batch size."""
    table = text.partition("Test accuracy by batch size\n")[2].partition("\n\n\n")[0].partition("Final test")[0]
    rows = [line.split(maxsplit=1) for line in table.splitlines() if "±" in line]
    return {
        norm: [(float(mean), float(deviation)) for mean, deviation in re.findall(f"({NUMBER}) ± ({NUMBER})", rest)]
        for norm, rest in rows
    }


def test_the_page_is_drawn_as_the_program_says_and_small_enough_for_a_readme(picture):
    content = picture.PAGE.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) < 300_000
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == picture.PAGE_SIZE


@long
def test_the_picture_is_what_the_commands_print(picture, tmp_path: Path):
    """All words and, as rounding is another on other processors, numbers within a deviation or a percent."""
    shown, printed = picture.text(picture.PICTURE.read_text()), picture.text(picture.drawn(picture.trained(tmp_path)))
    assert shown.splitlines()[0] == f"$ {picture.commands()[1]}"
    titles, printed_titles = ([line for line in text.splitlines() if line[:1].isupper()] for text in (shown, printed))
    assert titles == printed_titles and len(titles) == 7
    assert list(cells(shown)) == list(cells(printed)) == ["none", "batch", "group"]
    for norm, row in cells(shown).items():
        again = cells(printed)[norm]
        assert len(row) == len(again) >= 4
        for (mean, deviation), (other, another) in zip(row, again, strict=True):
            assert abs(mean - other) <= max(1.0, deviation, another), (norm, row, again)
