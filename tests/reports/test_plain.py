import math

import pytest

from bnbench.reports import Cell, plain_text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell(), "-"),
        (Cell("group groups=4"), "group groups=4"),
        (Cell(12), "12"),
        (Cell(0.9721, "percent"), "97.2"),
        (Cell(0.9721, "percent", 0.003), "97.2 ± 0.3"),
        (Cell(0.1, "percent", 0.0, n=3, words="div 3/3"), "div 3/3"),
        (Cell(0.91, "percent", n=1, remarks=("n=1", "unstable, div 2/3")), "91.0 n=1 unstable, div 2/3"),
        (Cell(0.275, "signed percent", 0.021), "+27.5 ± 2.1"),
        (Cell(-0.004, "signed percent"), "-0.4"),
        (Cell(0.0, "signed percent"), "0.0"),
        (Cell(0.00316227766, "lr"), "0.00316"),
        (Cell(0.10001, "lr", digits=5, remarks=("edge",)), "0.10001 edge"),
        (Cell(0.3, "lr", bound=">="), ">= 0.3"),
        (Cell(unit="lr range", low=0.01, high=0.3), "0.01 to 0.3"),
        (Cell(unit="lr range", low=0.01, high=0.01), "0.01"),
        (Cell(1.5, "decades", low=1.5, high=math.inf, bound=">="), ">= 1.5"),
        (Cell(400, "count", low=300, high=math.inf, n=3), "400 [300-never]"),
        (Cell(12_800, "magnitude", low=12_800, high=12_800), "12.8k"),
        (Cell(3.2, "ratio", low=3.2, high=math.inf, bound=">"), "> 3.2x"),
        (Cell(0.85, "ratio"), "0.85x"),
        (Cell(0.1, "ratio"), "0.10x"),
        (Cell(0.0999, "ratio"), "0.10x"),
        (Cell(0.0123, "ratio"), "0.012x"),
        (Cell(0.0001, "ratio"), "0.00010x"),
        (Cell(0.0, "ratio"), "0.00x"),
        (Cell(2 / 3, "share", n=3), "2/3"),
    ],
)
def test_entries_as_plain_text(cell: Cell, text: str) -> None:
    assert plain_text(cell) == text
