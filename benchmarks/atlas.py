"""Compare every norm that comes with bnbench with batch normalization on every question. `make atlas` runs it.

It stops in time with what is decided, and the same command goes on. What it comes to is atlas.html and atlas.csv: which
norm is better where, with a sentence for each reading that is made from the numbers.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from bnbench import comparison, reports
from bnbench.cli.compare import show_sizes, trained
from bnbench.cli.output import show_report, write_text
from bnbench.comparison.overview import overview
from bnbench.norms import NORMS
from bnbench.reports import Report
from bnbench.study import SCALES, Place

RIVAL = "batch"
MINUTES = 60
FOLDER = Path("results/reference")
MOST_BYTES = 4_000_000
"""Of the page, so that it can be kept beside the code."""


def main() -> None:
    """Train what is missing, decide, and write the atlas."""
    began = time.monotonic()
    options = _options()
    place = Place(options.results, options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    norms = [name for name in NORMS if name != RIVAL]
    request = comparison.read_comparison([*norms, *options.settings], [RIVAL], options.on, options.scale, place)
    found, refused = comparison.sizes(request.asked, request.scale, place)
    show_sizes(request, found, refused)
    left = 60 * options.minutes - (time.monotonic() - began)
    dossier = trained(request, (found, refused), place, options.jobs, left)
    command = shlex.join(["python", "-m", "benchmarks.atlas", *sys.argv[1:]])
    facts = comparison.facts_of(request.arms, place)
    _write(comparison.dossier_report(request, dossier, facts, place.components, command), options.out)
    show_report(Report("Atlas", overview(request.asked, dossier).notes, ()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.atlas", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("settings", nargs="*", help="settings of all runs, such as seeds=30")
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--on", action="append", default=[], help="a task, as of bnbench compare; may be repeated")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which it stops with what is decided")
    parser.add_argument("--jobs", type=int, help="worker processes")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder of atlas.html and atlas.csv")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    return parser.parse_args()


def _write(report: Report, folder: Path) -> None:
    """Write both files; a page that is too large to be kept is an error."""
    page = reports.render(report, "html")
    write_text(folder / "atlas.html", page)
    write_text(folder / "atlas.csv", reports.render(report, "csv"))
    if (size := len(page.encode())) > MOST_BYTES:
        raise SystemExit(f"{folder / 'atlas.html'}: {size:,} bytes are more than {MOST_BYTES:,}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
