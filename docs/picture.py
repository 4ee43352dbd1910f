"""Draw docs/report.svg, the picture in the README: what its first two commands print. `make picture` runs it.

The commands are run in an empty folder. The same machine draws the same picture, to the byte.
"""

import html
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from bnbench import reports, store

HERE = Path(__file__).resolve().parent
PICTURE = HERE / "report.svg"
SYSTEM_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)
WIDTH, CELL = 100, 12.2
"""Columns of the terminal, and how wide one is drawn."""
NAME, VIEWS, BASELINE = "small", ("small-batch", "learning-rate"), "norm=none"


def commands() -> list[str]:
    """The commands of the README that are in the picture: a sweep and its report."""
    lines = (HERE.parent / "README.md").read_text(encoding="utf-8").splitlines()
    sweep = next(line for line in lines if line.startswith(f"bnbench sweep --name {NAME} "))
    words = ["bnbench", "report", NAME, *(word for view in VIEWS for word in ("--view", view)), "--baseline", BASELINE]
    report = next(line for line in lines if line == shlex.join(words))
    return [sweep, report]


def trained(folder: Path) -> Path:
    """The results of the README's sweep, trained in ``folder``."""
    words = shlex.split(commands()[0])[1:]
    subprocess.run([sys.executable, "-m", "bnbench", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "results" / NAME


def drawn(sweep: Path) -> str:
    """The picture of the README's report of a sweep."""
    runs, metrics = store.load_sweeps([sweep])
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False, color_system="truecolor"
    )
    console.print(Text.assemble(("$", "bold green"), f" {commands()[1]}\n"))
    reports.print_report(reports.report(runs, metrics, VIEWS, BASELINE), console)
    return console.export_svg(title="bnbench", code_format=SYSTEM_FONTS)


def text(picture: str) -> str:
    """What a picture says, line by line, as a terminal shows it."""
    lines: dict[float, str] = {}
    for x, y, words in re.findall(r'<text class="[^"]*-r\d+" x="([^"]*)" y="([^"]*)"[^>]*>([^<]*)</text>', picture):
        before = lines.get(float(y), "").ljust(round(float(x) / CELL))
        lines[float(y)] = before + html.unescape(words).replace("\xa0", " ")
    return "\n".join(line.rstrip() for _, line in sorted(lines.items()))


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory() as empty:
        PICTURE.write_text(drawn(trained(Path(empty))), encoding="utf-8")
    print(f"drew {PICTURE}")
