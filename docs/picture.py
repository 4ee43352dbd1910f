"""Draw docs/report.svg, the picture in the README, from the sweep that `make demo` trains."""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

import bnbench
from bnbench import reports

SYSTEM_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)

runs, metrics = bnbench.load("demo")
views = reports.report(runs, metrics, ["small-batch", "learning-rate"], "norm=none")
console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
console.print("[bold green]$[/] bnbench report demo --view small-batch --view learning-rate --baseline norm=none\n")
reports.print_views(views, console)
Path("docs/report.svg").write_text(console.export_svg(title="bnbench", code_format=SYSTEM_FONTS))
