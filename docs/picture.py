"""Draw the pictures in the README from its first two commands. `make picture` runs it.

docs/report.svg is what they print: the same machine draws the same picture, to the byte. docs/page.png is the page
of the first view of the same report, as Chromium shows it. The commands are run in an empty folder.
"""

import html
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from bnbench import reports, store

HERE = Path(__file__).resolve().parent
PICTURE, PAGE = HERE / "report.svg", HERE / "page.png"
PAGE_SIZE = 1280, 1325
"""Pixels of the window in which the page is shown."""
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


def draw_page(sweep: Path, picture: Path) -> None:
    """Write the picture of the page of the README's report of a sweep, in light colours."""
    file = sweep.parent / "page.html"
    file.write_text(reports.render(reports.report_sweeps([sweep], VIEWS[:1], BASELINE), "html"), encoding="utf-8")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
    window = f"--window-size={','.join(map(str, PAGE_SIZE))}"
    words = ["chromium", *options, window, f"--screenshot={picture}", file.as_uri()]
    subprocess.run(words, check=True, capture_output=True, timeout=120)


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
        sweep = trained(Path(empty))
        PICTURE.write_text(drawn(sweep), encoding="utf-8")
        print(f"drew {PICTURE}")
        if shutil.which("chromium"):
            draw_page(sweep, PAGE)
            print(f"drew {PAGE}")
        else:
            print(f"{PAGE} stays as it was: there is no chromium")
